"""The content hash of a table: equal for equal values, whatever their order or layout."""

import hashlib
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from retrue.errors import DataError

# Part of the hash: a change of the scheme must not look like a change of the data.
_SCHEME = b"retrue-content-1"
_NAN = np.array(np.nan).view(np.int64)[()]
"""The one pattern of bits that all missing floats are taken for."""


def content_sha256(
    frame: pd.DataFrame, key: Sequence[str], order: npt.NDArray[np.intp] | None = None
) -> str:
    """SHA-256 (hex) of all values of a table.

    Parameters
    ----------
    frame : DataFrame
        Columns of numbers, booleans, text (object or category) or times; the index is left
        out.
    key : sequence of str
        Columns whose values order the rows; ties are ordered by all other columns.
    order : ndarray of int, shape (n_rows,), optional
        `canonical_order(frame, key)`, where it is known already.

    Returns
    -------
    str
        Equal if and only if (up to SHA-256) names, kinds and values are equal. Orders of
        rows, columns and categories, unused categories and bit widths do not matter. Exact:
        -0.0 is not 0.0, 1 is not 1.0, True or "1", and times are compared to the microsecond.
        All missing values of a column are one (None, NaN of any payload, NaT), as a Delta
        table has one null. An empty table has a hash of its names and kinds.

    Raises
    ------
    DataError
        If a column holds values of another kind.
    """
    if order is None:
        order = canonical_order(frame, key)
    in_order = bool((order[1:] > order[:-1]).all())
    digest = hashlib.sha256(_SCHEME + struct.pack("<q", len(frame)))
    for name in sorted(frame.columns):
        tag, values, texts = _canonical(frame[name])
        label = name.encode()
        digest.update(struct.pack("<cq", tag, len(label)) + label)
        for text in texts:
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(struct.pack("<q", len(encoded)) + encoded)
        digest.update(struct.pack("<q", len(texts)))
        digest.update(np.ascontiguousarray(values if in_order else values[order]).data)
    return digest.hexdigest()


def text_sha256(text: str) -> str:
    """SHA-256 (hex) of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def combined(hashes: Iterable[str]) -> str:
    """SHA-256 (hex) of several hashes, whatever their order; of one alone it is that one."""
    ordered = sorted(hashes)
    if len(ordered) == 1:
        return ordered[0]
    return hashlib.sha256("\n".join(["retrue-parts-1", *ordered]).encode()).hexdigest()


def canonical_order(frame: pd.DataFrame, key: Sequence[str]) -> npt.NDArray[np.intp]:
    """Positions that sort the rows by `key`, then, only where keys tie, by all columns.

    Text sorts by code point, missing text first; floats by their bits.
    """
    keys = _packed([_canonical(frame[name])[1] for name in key])
    # A version is hashed after it was sorted: seeing that costs a tenth of sorting it again.
    order = np.arange(len(frame)) if _is_sorted(keys) else _lexsort(keys, len(frame))
    if not _has_ties(keys, order):
        return order
    rest = [_canonical(frame[name])[1] for name in sorted(set(frame.columns) - set(key))]
    return _lexsort(keys + rest, len(frame))


def _packed(keys: list[npt.NDArray[np.int64]]) -> list[npt.NDArray[np.int64]]:
    """Fewer keys of the same order: neighbours whose spans fit into one int64 together are one."""
    packed: list[npt.NDArray[np.int64]] = []
    width = 0  # of the last of them
    for values in keys:
        low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
        span = high - low + 1
        if packed and width * span < 1 << 63:
            packed[-1] = packed[-1] * span + (values - low)
            width *= span
        else:
            packed.append(values - low if span < 1 << 63 else values)
            width = span
    return packed


def _lexsort(keys: list[npt.NDArray[np.int64]], n_rows: int) -> npt.NDArray[np.intp]:
    # lexsort takes the main key last.
    return np.lexsort(keys[::-1]) if keys else np.arange(n_rows)


def _is_sorted(keys: list[npt.NDArray[np.int64]]) -> bool:
    tied: npt.NDArray[np.bool_] | np.bool_ = np.True_
    for values in keys:
        if (tied & (values[1:] < values[:-1])).any():
            return False
        tied = tied & (values[1:] == values[:-1])
    return True


def _has_ties(keys: list[npt.NDArray[np.int64]], order: npt.NDArray[np.intp]) -> bool:
    same = np.ones(max(len(order) - 1, 0), bool)
    for values in keys:
        ordered = values[order]
        same &= ordered[1:] == ordered[:-1]
    return bool(same.any())


def _canonical(column: pd.Series) -> tuple[bytes, npt.NDArray[np.int64], list[str]]:
    """Return a tag of the kind, one int64 a row that orders it, and the texts it indexes."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _texts(column, column.cat.codes.to_numpy(), list(column.cat.categories))
    if isinstance(dtype, pd.DatetimeTZDtype):
        instants = column.dt.tz_convert("UTC").dt.tz_localize(None)
        return b"T", instants.to_numpy().astype("datetime64[us]").view(np.int64), []
    if pd.api.types.is_object_dtype(dtype) or isinstance(dtype, pd.StringDtype):
        codes, uniques = pd.factorize(column)
        return _texts(column, codes, list(uniques))
    return *_plain(column), []


def _plain(column: pd.Series) -> tuple[bytes, npt.NDArray[np.int64]]:
    values = column.to_numpy()
    match values.dtype.kind:
        case "b":
            return b"b", values.astype(np.int64)
        case "i" | "u" if values.dtype != np.uint64 or not len(values) or values.max() < 1 << 63:
            return b"i", values.astype(np.int64, copy=False)
        case "f":
            bits = values.astype(np.float64, copy=False).view(np.int64)
            strange = np.isnan(values) & (bits != _NAN)
            return b"f", np.where(strange, _NAN, bits) if strange.any() else bits
        case "M":
            return b"t", values.astype("datetime64[us]").view(np.int64)
    raise _unhashable(column, str(column.dtype))


def _texts(
    column: pd.Series, codes: npt.NDArray[Any], uniques: list[object]
) -> tuple[bytes, npt.NDArray[np.int64], list[str]]:
    """Ranks among the sorted texts that occur; -1 for a missing value."""
    used = np.zeros(len(uniques) + 1, bool)
    used[codes] = True
    texts: list[str] = []
    for value in (u for u, here in zip(uniques, used[:-1], strict=True) if here):
        if not isinstance(value, str):
            raise _unhashable(column, type(value).__name__)
        texts.append(value)
    order = sorted(range(len(texts)), key=texts.__getitem__)
    rank = np.full(len(uniques) + 1, -1, np.int64)
    rank[np.flatnonzero(used[:-1])[order]] = np.arange(len(texts))
    return b"s", rank[codes], [texts[i] for i in order]


def _unhashable(column: pd.Series, found: str) -> DataError:
    return DataError(
        "numbers, booleans, text or times", found, f"column {column.name}", "convert the column"
    )
