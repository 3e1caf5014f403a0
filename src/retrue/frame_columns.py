"""Columns of a frame as the encoding reads them: numbers, texts, times, character n-grams."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd

from retrue.errors import DataError
from retrue.serving.dates import MISSING_DATE, date_parts, not_a_date
from retrue.serving.features import category_text
from retrue.serving.ngrams import NGRAM, code_points, padded

Float64s = npt.NDArray[np.float64]

# 4 M characters at a time need some 200 MB for their n-grams, however long the table is.
_CHUNK_CHARACTERS = 1 << 22


def column(frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
    """The column; DataError where there is none."""
    if name not in frame.columns:
        raise DataError(
            "every feature of the model", "no such column", f"column {name!r}", "add the column"
        )
    return frame[name]


def numbers(values: "pd.Series[Any]", name: str) -> Float64s:
    """Numbers as float64, shape (n,), null is NaN.

    Raises
    ------
    DataError
        Row and column of the first text, truth value or number beyond float64.
    """
    if pd.api.types.is_bool_dtype(values.dtype):
        raise _not_a_number("a truth value", 0, name)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    nulls = values.isna().to_numpy()
    plain = values.to_numpy(dtype=object)
    found = np.full(len(plain), np.nan)
    for row in np.flatnonzero(~nulls).tolist():
        value = plain[row]
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
            raise _not_a_number(type(value).__name__, row, name)
        try:
            found[row] = float(value)
        except OverflowError:
            raise _not_a_number("a number out of range", row, name) from None
    return found


def texts(values: "pd.Series[Any]", name: str) -> tuple[npt.NDArray[np.intp], list[str]]:
    """Position of each row's text among the texts, -1 where null; a distinct value is read once.

    Two distinct values (5 and "5") may give the same text twice.

    Raises
    ------
    DataError
        A value is neither a text nor a number nor a truth value.
    """
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) != "string":
        # Mixed values: True, 1 and 1.0 are equal, and yet other texts, so go value by value.
        values = pd.Series(values.map(lambda v: _text(v, name), na_action="ignore"), dtype=object)
    codes, distinct = _distinct(values)
    return codes, [_text(value, name) for value in distinct]


def dates(values: "pd.Series[Any]", name: str) -> Float64s:
    """Parts of times, shape (n, 7), NaN where null.

    Times without a zone are taken as UTC, texts are read as serving reads them.

    Raises
    ------
    DataError
        Row and column of the first value that is neither a time nor ISO 8601 text.
    """
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        codes, distinct = _distinct(values)
        parts = [_parts(value, codes, i, name) for i, value in enumerate(distinct)]
        # The last one is for code -1, a null.
        return np.array([*parts, MISSING_DATE])[codes]
    index = pd.DatetimeIndex(values)
    moments = index if index.tz is None else index.tz_convert("UTC").tz_localize(None)
    microseconds = moments.to_numpy().astype("datetime64[us]")
    whole, rest = np.divmod(microseconds.astype(np.int64), 1_000_000)
    day = (moments.year, moments.month, moments.day, moments.weekday)
    found = np.column_stack([*day, moments.hour, moments.dayofyear, whole + rest / 1e6])
    found = found.astype(np.float64)
    found[np.isnat(microseconds)] = np.nan
    return found


def ngrams(values: "pd.Series[Any]", name: str, n_buckets: int) -> Float64s:
    """Counts of hashed character n-grams, shape (n, n_buckets), NaN where null."""
    codes, distinct = texts(values, name)
    # The last one is for code -1, a null.
    counts = np.full((len(distinct) + 1, n_buckets), np.nan)
    for start, chunk in _chunks(distinct):
        counts[start : start + len(chunk)] = _count(chunk, n_buckets)
    return counts[codes]


def _not_a_number(found: str, row: int, name: str) -> DataError:
    where = f"row {row}, column {name!r}"
    return DataError("a number or null", found, where, "mend the data, or list it as categorical")


def _distinct(values: "pd.Series[Any]") -> tuple[npt.NDArray[np.intp], list[Any]]:
    """Position of each value among the distinct ones, -1 where null; in order of appearance."""
    is_text = values.dtype == object or isinstance(values.dtype, pd.StringDtype)
    if not is_text:
        codes, distinct = pd.factorize(values)
        return codes, list(distinct)
    # Not factorize: it compares texts only as far as their first NUL.
    known = values.notna().to_numpy()
    found = values[known].tolist()
    positions = {value: position for position, value in enumerate(dict.fromkeys(found))}
    codes = np.full(len(values), -1, dtype=np.intp)
    codes[known] = [positions[value] for value in found]
    return codes, list(positions)


def _text(value: object, name: str) -> str:
    plain = value.item() if isinstance(value, np.generic) else value
    if not isinstance(plain, str | bool | int | float):
        found, where = type(plain).__name__, f"column {name!r}"
        raise DataError("a text or a number", found, where, "turn the column into texts")
    return category_text(plain)


def _parts(value: object, codes: npt.NDArray[np.intp], code: int, name: str) -> tuple[float, ...]:
    try:
        if isinstance(value, str | date):
            return date_parts(value if isinstance(value, str) else value.isoformat())
        found = type(value).__name__
    except ValueError:
        found = "another text"
    raise not_a_date(found, int(np.argmax(codes == code)), name)


def _chunks(distinct: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Texts in portions that bound the memory, each with the position of its first."""
    start = n_characters = 0
    for end, text in enumerate(distinct, 1):
        n_characters += len(text)
        if n_characters >= _CHUNK_CHARACTERS or end == len(distinct):
            yield start, distinct[start:end]
            start, n_characters = end, 0


def _count(chunk: Sequence[str], n_buckets: int) -> Float64s:
    """`ngram_counts` of many texts at once, shape (len(chunk), n_buckets)."""
    folded = [padded(text) for text in chunk]
    points = np.frombuffer(code_points("".join(folded)), dtype="<u4")
    rows = np.repeat(np.arange(len(folded)), [len(text) for text in folded])
    n = len(points) - NGRAM + 1
    # For messages of one length crc(a ^ b ^ c) is crc(a) ^ crc(b) ^ crc(c): the hash of an n-gram
    # is that of its characters, each alone at its place among zero bytes. Three look-ups then do
    # what a call a row and n-gram would (20 times slower).
    characters = np.flatnonzero(np.bincount(points))
    hashes = np.zeros(max(n, 0), dtype=np.uint32)
    for place in range(NGRAM):
        alone = np.zeros(int(points.max()) + 1, dtype=np.uint32)
        for character in characters.tolist():
            four = character.to_bytes(4, "little")
            alone[character] = crc32(bytes(4 * place) + four + bytes(4 * (NGRAM - 1 - place)))
        hashes ^= alone[points[place : place + n]]
    within = rows[:n] == rows[NGRAM - 1 :]
    cells = rows[:n][within] * n_buckets + hashes[within] % n_buckets
    counts = np.bincount(cells, minlength=len(folded) * n_buckets)
    return counts.reshape(len(folded), n_buckets).astype(np.float64)
