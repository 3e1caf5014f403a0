"""What is kept of the training rows to hold later rows against: made once, kept in the bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from retrue.drift import categories, numbers
from retrue.drift.categories import CategoricalReference, Categories
from retrue.drift.counts import Floats, Grid, Numbers
from retrue.drift.numbers import NumericReference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from retrue.config import Features
    from retrue.drift.report import Kind

Column = NumericReference | CategoricalReference


@dataclass(frozen=True)
class Reference:
    """Counts of each column of the reference rows; those of parts add up."""

    n_rows: int
    columns: Mapping[str, Column]
    outputs: Mapping[str, Column]
    """`score`: what the model answers for rows it was not fitted on; `label`: what was true."""

    def merge(self, other: Reference) -> Reference:
        """What is kept of the rows of both, which must have the same columns."""
        return Reference(
            self.n_rows + other.n_rows,
            {name: _merged(one, other.columns[name]) for name, one in self.columns.items()},
            {name: _merged(one, other.outputs[name]) for name, one in self.outputs.items()},
        )


def summarise(
    frame: pd.DataFrame, features: Features, outputs: Mapping[str, pd.Series[Any]] | None = None
) -> Reference:
    """Count the reference rows, or a part of them.

    Parameters
    ----------
    frame : DataFrame, shape (n_rows, ...)
        Holds the numeric and categorical features; other columns are ignored. An empty frame, a
        column of nulls and a constant one are counted as they are.
    outputs : mapping of Series, optional
        `score` and `label` of rows, not necessarily of the same ones: numbers are counted as
        numbers, all else as categories.

    Raises
    ------
    ValueError
        A numeric feature holds what is no number; the message names it.
    """
    columns: dict[str, Column] = {
        name: numbers.summarise(to_floats(frame, name)) for name in features.numeric
    }
    columns |= {name: categories.summarise(frame[name]) for name in features.categorical}
    return Reference(
        len(frame), columns, {name: of_output(one) for name, one in (outputs or {}).items()}
    )


def kind_of(column: Column) -> Kind:
    """Whether a column holds numbers or categories."""
    return "numeric" if isinstance(column, NumericReference) else "categorical"


def of_output(values: pd.Series[Any]) -> Column:
    """Counts of scores or labels: of floats as numbers, of all else as categories."""
    if pd.api.types.is_float_dtype(values.dtype):
        return numbers.summarise(values.to_numpy(np.float64, na_value=np.nan))
    return categories.summarise(values)


def to_floats(frame: pd.DataFrame, name: str) -> Floats:
    """A numeric column, shape (n_rows,); null is NaN.

    Raises
    ------
    ValueError
        It holds what is no number; the message names it.
    """
    try:
        found: Floats = pd.to_numeric(frame[name]).to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error
    return found


def to_bytes(reference: Reference) -> bytes:
    """MessagePack, the same for the same reference."""
    return msgspec.msgpack.encode(
        {
            "format": 1,
            "n_rows": reference.n_rows,
            "columns": {name: _plain(one) for name, one in reference.columns.items()},
            "outputs": {name: _plain(one) for name, one in reference.outputs.items()},
        }
    )


def from_bytes(payload: bytes) -> Reference:
    """What `to_bytes` wrote."""
    found = msgspec.msgpack.decode(payload, type=_File)
    return Reference(
        found.n_rows,
        {name: _column(one) for name, one in found.columns.items()},
        {name: _column(one) for name, one in found.outputs.items()},
    )


class _Numeric(msgspec.Struct, tag="numeric", forbid_unknown_fields=True):
    grid: bytes
    counts: bytes
    sums: bytes
    n_missing: int
    mean: float
    squares: float
    n_finite: int
    rank_error: float


class _Categorical(msgspec.Struct, tag="categorical", forbid_unknown_fields=True):
    counts: dict[str, int]
    n_rest: int
    n_missing: int


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    n_rows: int
    columns: dict[str, _Numeric | _Categorical]
    outputs: dict[str, _Numeric | _Categorical]


def _plain(column: Column) -> _Numeric | _Categorical:
    if isinstance(column, CategoricalReference):
        listed = column.counts
        return _Categorical(dict(listed.counts), listed.n_rest, listed.n_missing)
    kept = column.counts
    # Of few values none lies between two others: half of the counts, and the sums, are zeros.
    counts = kept.at if column.is_exact else kept.counts
    return _Numeric(
        _packed(kept.values, "<f8"),
        _packed(counts, "<i8"),
        b"" if column.is_exact else _packed(kept.sums, "<f8"),
        kept.n_missing,
        column.mean,
        column.squares,
        column.n_finite,
        column.rank_error,
    )


def _packed(values: Any, dtype: str) -> bytes:
    return np.ascontiguousarray(values, dtype).tobytes()


def _column(found: _Numeric | _Categorical) -> Column:
    if isinstance(found, _Categorical):
        return CategoricalReference(Categories(found.counts, found.n_rest, found.n_missing))
    grid = np.frombuffer(found.grid, "<f8").astype(np.float64)
    counts = np.frombuffer(found.counts, "<i8").astype(np.int64)
    sums = np.frombuffer(found.sums, "<f8").astype(np.float64)
    if not found.sums:
        full = np.zeros(2 * len(grid) + 1, np.int64)
        full[1::2] = counts
        counts, sums = full, np.zeros(len(grid) + 1)
    kept = Numbers(Grid(grid), counts, sums, found.n_missing)
    return NumericReference(kept, found.mean, found.squares, found.n_finite, found.rank_error)


def _merged(one: Column, other: Column) -> Column:
    if isinstance(one, NumericReference) and isinstance(other, NumericReference):
        return one.merge(other)
    if isinstance(one, CategoricalReference) and isinstance(other, CategoricalReference):
        return one.merge(other)
    raise TypeError(f"{type(one).__name__} and {type(other).__name__} do not add up")
