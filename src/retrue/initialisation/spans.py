"""Which column says when a row happened, guessed, and what time span that gives to training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retrue.errors import DataError
from retrue.initialisation.profiling import Column, words_of
from retrue.splits import MIN_TRAIN_ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TIME_WORDS = ("time", "timestamp", "datetime", "date", "at", "created", "일시", "날짜", "시간")


@dataclass(frozen=True)
class Span:
    """Training span in UTC dates and the newest days held out of it."""

    start: date
    until: date
    holdout_days: int
    holdout_share: float


def time_column(
    profile: Mapping[str, Column], frame: pd.DataFrame, target: str, where: str, asked: str | None
) -> str | None:
    """The column that says when a row happened: the one asked for, or the likeliest one.

    One is guessed only if it is complete and spans more than a day; its name counts first, then
    that it is the earliest: what comes later in a row is known later.

    Raises
    ------
    DataError
        The one asked for is not there, is no time, has gaps, or does not span two days.
    """
    if asked is not None:
        return _asked(profile, frame, asked, where)
    days = {
        name: _days(frame[name])
        for name, column in profile.items()
        if column.kind == "time" and name != target and not column.n_missing
    }
    found = [name for name, its in days.items() if its.max() > its.min() + 1]
    named = [name for name in found if set(words_of(name)) & set(_TIME_WORDS)] or found
    return min(named, key=lambda name: days[name].mean(), default=None)


def _asked(profile: Mapping[str, Column], frame: pd.DataFrame, asked: str, where: str) -> str:
    if asked not in profile:
        raise DataError(
            f"the column {asked}", f"columns {', '.join(profile)}", where, "correct --time"
        )
    column, where = profile[asked], f"{where} column {asked}"
    if column.kind != "time":
        remedy = "write the column as ISO 8601, or leave out --time"
        raise DataError("times such as 2024-01-31T13:00:00Z", f"{column.kind}s", where, remedy)
    if column.n_missing:
        row = int(np.flatnonzero(frame[asked].isna().to_numpy())[0])
        raise DataError(
            "a time in each row",
            f"{column.n_missing} missing, first in data row {row + 1}",
            where,
            "fill them at the source, or leave out --time",
        )
    days = _days(frame[asked])
    if days.max() < days.min() + 2:
        remedy = "deliver more days, or leave out --time"
        raise DataError("rows of three days or more", "fewer", where, remedy)
    return asked


def holdout_share(n_rows: int) -> float:
    """A fifth, or less where training would be left with too few rows; 0.05 at the least.

    Examples
    --------
    >>> [holdout_share(n) for n in (10_000, 569, 100)]
    [0.2, 0.06, 0.05]
    """
    # Held out by chance, some more rows may go than the share says.
    spare = 1 - 1.06 * MIN_TRAIN_ROWS / max(n_rows, 1)
    return min(0.2, max(0.05, math.floor(100 * spare) / 100))


def span_of(times: pd.Series[Any]) -> Span:
    """All days there are; the newest fifth of the rows (or less) is held out, in whole days."""
    days = np.sort(_days(times))
    first, last = int(days[0]), int(days[-1])
    newest = last + 1 - days
    # Half the days at the most, so that training has its share of every season there is.
    options = np.arange(1, max(2, min(366, (last - first + 1) // 2) + 1))
    shares = np.searchsorted(newest[::-1], options, side="right") / len(days)
    at = int(np.argmin(np.abs(shares - holdout_share(len(days)))))
    until = date.max if last >= _day_number(date.max) else _date(last + 1)
    return Span(_date(first), until, int(options[at]), float(shares[at]))


def _days(times: pd.Series[Any]) -> NDArray[np.int64]:
    """Days since 1970 (UTC) of each time that is there."""
    values = times.dropna()
    if values.dt.tz is not None:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    days: NDArray[np.int64] = values.to_numpy("datetime64[D]").astype(np.int64)
    return days


def _day_number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _date(number: int) -> date:
    limits = _day_number(date.min), _day_number(date(MAXYEAR, 12, 31))
    return date(1970, 1, 1) + timedelta(days=min(max(number, limits[0]), limits[1]))
