"""A delivery of labels, row by row: what can be a label of the problem, and when it was known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retrue.errors import ConfigError, DataError
from retrue.labelling.label_expression import LATE_LABEL
from retrue.labelling.label_keys import key_text

if TYPE_CHECKING:
    from retrue.config import Problem

Value = str | int | float
# How far a sender's clock may be ahead of ours.
_CLOCKS_DIFFER = timedelta(minutes=5)
_TRUTHS = (0, 1)
_SHOWN_CHARS = 40


@dataclass(frozen=True)
class Entry:
    """One label as it was delivered; `known_at` is None where the delivery did not say."""

    key: str | None
    value: Value
    known_at: datetime | None = None
    author: str | None = None
    prediction_id: str | None = None


def read_entries(
    problem: Problem, frame: pd.DataFrame, source: str, author: str | None, now: datetime
) -> list[Entry]:
    """Read the rows of a delivery; parameters and errors as in `labels.add`."""
    insist_on_key(problem)
    wanted = [*problem.data.key, "label"]
    if missing := [name for name in wanted if name not in frame.columns]:
        expected = f"the columns {', '.join(wanted)}"
        raise DataError(expected, f"no column {missing[0]}", source, "add it")
    latest = utc(now) + _CLOCKS_DIFFER
    entries = []
    rows: list[dict[Any, Any]] = frame.to_dict("records")
    for index, row in zip(frame.index, rows, strict=True):
        where = f"{source} row {index} column"
        key = key_text(problem.data.key, row)
        if key is None:
            gone = next(n for n in problem.data.key if key_text([n], row) is None)
            raise DataError("a key's value", "none", f"{where} {gone}", "fill it in")
        value = label_value(problem, row["label"], f"{where} label")
        known_at = _moment(row.get("known_at"), f"{where} known_at", latest)
        entries.append(Entry(key, value, known_at, _plain_text(row.get("author")) or author))
    return entries


def insist_on_key(problem: Problem) -> None:
    """Refuse labels for rows that nothing identifies."""
    if not problem.data.key:
        remedy = "name the columns that identify a row; labels are joined by them"
        raise ConfigError("columns in data.key", "none", f"problem {problem.name}", remedy)


def label_value(problem: Problem, value: object, where: str) -> Value:
    """One label as it is stored; DataError where it cannot be a label of this problem."""
    if isinstance(value, bool | int | np.bool_ | np.integer):
        value = int(value)
    elif isinstance(value, np.floating):
        value = float(value)
    if not isinstance(value, str | int | float) or value == "" or value != value:  # noqa: PLR0124
        raise DataError("a number or a text", "none", where, "fill it in, or leave the row out")
    if not _is_finite(value):
        raise DataError("a number within float64", "one beyond", where, "correct it")
    if problem.label.expression.strip() != LATE_LABEL:  # what it may be is known to the expression
        return value
    if problem.label.task == "binary" and value not in _TRUTHS:
        raise DataError("1 or 0", repr(value)[:_SHOWN_CHARS], where, "correct it")
    if problem.label.task == "regression" and isinstance(value, str):
        raise DataError("a number", repr(value)[:_SHOWN_CHARS], where, "correct it")
    return value


def utc(moment: Any) -> datetime:
    """In UTC, to the microsecond; without an offset it is taken as UTC."""
    if isinstance(moment, pd.Timestamp):
        moment = moment.to_pydatetime(warn=False)
    plain: datetime = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return plain


def _moment(value: object, where: str, latest: datetime) -> datetime | None:
    if value is None or value is pd.NaT or value == "" or value != value:  # noqa: PLR0124 - NaN
        return None
    try:
        moment = utc(datetime.fromisoformat(value) if isinstance(value, str) else value)
    except (ValueError, OverflowError, AttributeError):
        raise DataError(
            "an ISO 8601 time", repr(value)[:_SHOWN_CHARS], where, "correct it"
        ) from None
    if moment > latest:
        raise DataError("a time that has passed", str(value)[:_SHOWN_CHARS], where, "correct it")
    return moment


def _is_finite(value: str | float) -> bool:
    try:
        return isinstance(value, str) or math.isfinite(value)
    except OverflowError:
        return False


def _plain_text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
