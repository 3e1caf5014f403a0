"""What a window is compared with: its own season of an earlier year, else the training rows."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from retrue.config_drift import Drift

    Read = Callable[[date, date], tuple[pd.DataFrame, int]]
    """(first day, day after the last) -> rows, and on how many days they are."""

_MOST_YEARS = 5
"""Older seasons are another world; one must stop looking somewhere."""


def season(since: date, until: date, years: int, margin_days: int) -> tuple[date, date]:
    """Days of a window (end exclusive) some years before, widened on either side.

    >>> season(date(2016, 2, 29), date(2016, 3, 7), 1, 0)
    (datetime.date(2015, 2, 28), datetime.date(2015, 3, 7))
    """
    start = _years_before(since, years)
    margin = timedelta(days=margin_days)
    return start - margin, start + (until - since) + margin


def same_season(
    since: date,
    until: date,
    learned_until: date | None,
    readers: Mapping[str, Read],
    columns: Sequence[str],
    drift: Drift,
) -> tuple[pd.DataFrame, str] | None:
    """Rows of the window's season in the newest earlier year that has enough of them.

    Enough are `drift.min_rows` on half of the window's days, with values in every column. Only days
    before `learned_until` count, the end of what the model was made from: a season it never saw is
    no measure of what it knows.

    Parameters
    ----------
    since, until : date
        The window, end exclusive.
    learned_until : date or None
        None: no earlier year counts.
    readers : mapping
        By name of the table, the better one first.
    columns : sequence of str
        Features.
    drift : Drift
        `season_days` and `min_rows`.

    Returns
    -------
    (DataFrame, str) or None
        The rows, and in words which they are.
    """
    if drift.season_days is None or learned_until is None:
        return None
    for years in range(1, _MOST_YEARS + 1):
        first, end = season(since, until, years, drift.season_days)
        if end > min(since, learned_until):
            continue
        for name, read in readers.items():
            rows, n_days = read(first, end)
            enough = len(rows) >= drift.min_rows and 2 * n_days >= (until - since).days
            if enough and rows[list(columns)].notna().any().all():
                last = end - timedelta(days=1)
                return rows, f"{name} of {first} to {last}, the same season"
    return None


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # 29 February
        return day.replace(year=day.year - years, day=28)
