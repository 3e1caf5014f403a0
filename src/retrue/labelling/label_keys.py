"""What identifies a row wherever it is met: one text for the served, the linked and the labelled.

A client sends `5` or `5.0`, a file holds `"5"`, a data frame `5.0`: they are one key. So are a time
in UTC and the same moment with another offset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

Key = str | int | float
"""A number or a text, as in JSON."""

_WHOLE = re.compile(r"-?(0|[1-9]\d*)")
_DECIMAL = re.compile(r"-?(0|[1-9]\d*)\.\d+")
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)
# JSON's numbers have no bounds, its readers have 64 bits: what may be beyond is kept as text.
_BOUND = 10**18
_DIGITS = 20


def key_value(value: object) -> Key | None:
    """The one form of a key's value; None where it is missing.

    Examples
    --------
    >>> [key_value(value) for value in (5, 5.0, "5", "05", True, float("nan"))]
    [5, 5, 5, '05', 1, None]
    >>> key_value("2013-01-01T02:00:00+02:00"), key_value("2013-01-01")
    ('2013-01-01T00:00:00Z', '2013-01-01T00:00:00Z')
    """
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool | int | np.bool_ | np.integer):
        whole = int(value)
        return whole if abs(whole) < _BOUND else str(whole)
    if isinstance(value, float | np.floating):
        number = float(value)
        if not np.isfinite(number):
            return None
        return key_value(int(number)) if number.is_integer() else number
    # NaT calls itself a datetime.
    return _utc_text(value) if isinstance(value, datetime) and pd.notna(value) else None


def key_text(names: Sequence[str], row: Mapping[str, Any]) -> str | None:
    """Return the key as a JSON object in the order of `names`; None where a value is missing.

    Examples
    --------
    >>> key_text(["day", "flight"], {"flight": 12.0, "day": "2013-01-01", "temp": 39})
    '{"day":"2013-01-01T00:00:00Z","flight":12}'
    """
    values = {name: key_value(row.get(name)) for name in names}
    if not values or None in values.values():
        return None
    return msgspec.json.encode(values).decode()


def canonical(text: str | None) -> str | None:
    """Bring a key that was logged as it was sent, a JSON object or None, into its one form."""
    row = msgspec.json.decode(text) if text else {}
    return key_text(list(row), row)


def key_texts(frame: pd.DataFrame, names: Sequence[str]) -> npt.NDArray[np.object_]:
    """`key_text` of each row of a frame, shape (n_rows,); None where a value is missing."""
    texts: npt.NDArray[np.object_] = np.full(len(frame), "", object)
    is_missing = np.full(len(frame), not names)
    for position, name in enumerate(names):
        # Column by column, each value once: a JSON text for each row would take ten times as long.
        codes, uniques = pd.factorize(frame[name])
        values = [key_value(value) for value in uniques]
        opening = ("," if position else "{") + msgspec.json.encode(name).decode() + ":"
        parts = [opening + msgspec.json.encode(value).decode() for value in values]
        gone = np.array([value is None for value in values] + [True])
        texts += np.array([*parts, ""], object)[codes]
        is_missing |= gone[codes]
    texts += "}"
    texts[is_missing] = None
    return texts


def is_time(text: str) -> bool:
    """Whether a text has the form of a date or a time of ISO 8601, written in full."""
    return _TIME.fullmatch(text) is not None


# Served rows repeat their times and names: reading a time takes longer than the rest of a key.
@lru_cache(maxsize=65_536)
def _text(text: str) -> Key | None:
    if _WHOLE.fullmatch(text) and text != "-0":
        return key_value(int(text)) if len(text) <= _DIGITS else text
    if _DECIMAL.fullmatch(text) and repr(float(text)) == text:
        return key_value(float(text))
    if is_time(text):
        try:
            return _utc_text(datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            return text
    return text or None


def _utc_text(moment: datetime) -> str:
    """The way times are written in the prediction log; without an offset it is UTC."""
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if isinstance(moment, pd.Timestamp):
        moment = moment.floor("us").to_pydatetime()
    return moment.isoformat().removesuffix("+00:00") + "Z"
