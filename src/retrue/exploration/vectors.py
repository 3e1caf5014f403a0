"""Any column as codes over its distinct values: counted once, then cheap to ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

Kind = Literal["number", "whole number", "boolean", "time", "category", "text", "empty"]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MAX_LEVELS = 60
"""Categories whose text is kept: more than any picture shows or any table of counts holds."""
TEXT_LENGTH = 30
"""Mean characters from which distinct texts are taken for prose, not for names."""
MAX_TEXT = 200
"""Characters kept of a value: a field may hold a megabyte."""


@dataclass(frozen=True)
class Vector:
    """One column. `codes` is (n_rows,), -1 where missing, and points into the distinct values.

    Categories are coded by falling count, so the most frequent k are the codes below k.
    """

    name: str
    kind: Kind
    codes: Ints
    counts: Ints
    """Rows of each distinct value, (n_distinct,)."""
    numbers: Floats
    """Number of each distinct value: seconds since 1970 of a time, characters of a text."""
    levels: tuple[str, ...]
    """Texts of the first distinct values, at most 60."""

    @property
    def is_ordered(self) -> bool:
        """Whether `numbers` are its values, so that it can be ranked."""
        return self.kind in ("number", "whole number", "boolean", "time")

    @property
    def values(self) -> Floats:
        """`numbers` of each row, (n_rows,); NaN where missing."""
        return np.append(self.numbers, np.nan)[self.codes]  # -1 is the last

    @property
    def n_distinct(self) -> int:
        """Distinct values among its rows."""
        return int(np.count_nonzero(self.counts))

    def take(self, rows: Ints) -> Vector:
        """The same column of some rows."""
        codes = self.codes[rows]
        counts = np.bincount(codes[codes >= 0], minlength=len(self.counts))
        return replace(self, codes=codes, counts=counts)


def vector(series: pd.Series[Any]) -> Vector:
    """Code a column of any dtype; values that cannot be hashed are coded by their text.

    Examples
    --------
    >>> vector(pd.Series(["b", None, "a", "b"], name="x")).codes.tolist()
    [0, -1, 1, 0]
    """
    name = str(series.name)
    try:
        codes, distinct = pd.factorize(series)
    except TypeError:
        codes, distinct = pd.factorize(series.map(repr, na_action="ignore"))
    codes = codes.astype(np.int64)
    values = pd.Series(distinct)
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    kind, numbers = _kind(values)
    if kind in ("category", "text"):
        order = np.argsort(-counts, kind="stable")
        position = np.append(np.argsort(order), -1)
        codes, counts, values = position[codes], counts[order], values.iloc[order]
        numbers = numbers[order] if len(numbers) else numbers
    levels = tuple(str(value)[:MAX_TEXT] for value in values.iloc[:MAX_LEVELS])
    return Vector(name, kind, codes, counts, numbers, levels)


def number_text(kind: Kind, value: float) -> str:
    """A number of a column as people write it; a time to the second, UTC.

    Examples
    --------
    >>> number_text("time", 0.0), number_text("number", 12345.6), number_text("number", 3.0)
    ('1970-01-01', '12,346', '3')
    """
    if not np.isfinite(value):
        return str(value)
    if kind == "time":
        return moment_text(value)
    if value == round(value) and abs(value) < 1e15:
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}"
    if 1000 <= abs(value) < 1e9:
        return f"{round(value):,}" if abs(round(value)) >= 10_000 else f"{value:.0f}"
    return f"{value:.4g}"


def moment_text(seconds: float) -> str:
    """Seconds since 1970 as a date, with the time of day unless it is midnight."""
    text = str(np.datetime64(round(seconds), "s"))
    return text.removesuffix("T00:00:00").replace("T", " ")


def _kind(values: pd.Series[Any]) -> tuple[Kind, Floats]:  # noqa: PLR0911 - one a kind
    """Kind by the distinct values, and their numbers where there are any."""
    nothing = np.empty(0)
    if values.empty:
        return "empty", nothing
    if pd.api.types.is_bool_dtype(values.dtype):
        return "boolean", values.to_numpy(np.float64)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return _number(values.to_numpy(np.float64))
    if pd.api.types.is_timedelta64_dtype(values.dtype):
        return _number(values.dt.total_seconds().to_numpy(np.float64))
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        naive = values.dt.tz_convert("UTC").dt.tz_localize(None) if values.dt.tz else values
        return "time", naive.to_numpy("datetime64[us]").astype(np.int64) / 1e6
    for kind in pd.api.types.infer_dtype(values), "string":
        read: Callable[[pd.Series[Any]], tuple[Kind, Floats]] | None = {
            "decimal": lambda known: _number(known.astype(np.float64).to_numpy()),
            "boolean": lambda known: ("boolean", known.to_numpy(np.float64)),
            "date": lambda known: _kind(pd.Series(pd.to_datetime(known))),
            "string": _words,
        }.get(kind)
        if read is not None:
            try:
                return read(values)
            except (TypeError, ValueError, OverflowError):
                continue
    return "category", nothing


def _number(numbers: Floats) -> tuple[Kind, Floats]:
    finite = numbers[np.isfinite(numbers)]
    is_whole = bool((finite == np.round(finite)).all())
    return ("whole number" if is_whole else "number"), numbers


def _words(values: pd.Series[Any]) -> tuple[Kind, Floats]:
    lengths = np.array([len(str(value)) for value in values], dtype=np.float64)
    is_prose = lengths.mean() >= TEXT_LENGTH and len(lengths) > MAX_LEVELS
    return ("text", lengths) if is_prose else ("category", np.empty(0))
