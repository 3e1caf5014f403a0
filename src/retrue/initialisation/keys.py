"""Which columns identify a row, guessed from values that never repeat, and not by accident."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retrue.initialisation.profiling import MIN_ROWS_TO_JUDGE, Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEY_CANDIDATES = 8
_CHANCE = 10.0
"""So many equal pairs would be expected of independent columns; none at all is a rule."""


def key_of(
    profile: Mapping[str, Column], frame: pd.DataFrame, target: str, time: str | None
) -> tuple[str, ...]:
    """The smallest set of at most three complete columns that no two rows share; () if none.

    A single column must look like an identifier. A set must be more than an accident: of
    independent columns with these values, at least ten equal pairs of rows would be expected.
    """
    single = [c for n, c in profile.items() if c.is_unique and n != target]
    named = [c.name for c in single if c.is_identifier and (c.has_id_name or c.kind == "text")]
    counted = [c.name for c in single if c.counting]
    if named or counted:
        return ((named or counted)[0],)
    if len(frame) < MIN_ROWS_TO_JUDGE:
        return ()
    candidates = [
        column
        for name, column in profile.items()
        if name != target and not column.n_missing and column.n_distinct > 1
        if name == time or column.has_id_name or (column.kind == "text" and not column.is_free_text)
    ]
    candidates.sort(key=lambda c: (not c.has_id_name, c.name != time, -c.n_distinct))
    codes = {c.name: pd.factorize(frame[c.name])[0] for c in candidates[:_KEY_CANDIDATES]}
    alike = {name: _alike(one) for name, one in codes.items()}
    if time in alike:
        alike[time] = max(alike[time], 1 / _ticks(frame[time]))
    for names in _sets(list(codes)):
        pairs = len(frame) ** 2 / 2 * float(np.prod([alike[name] for name in names]))
        if pairs >= _CHANCE and _is_unique([codes[name] for name in names]):
            order = {name: i for i, name in enumerate(frame.columns)}
            return tuple(sorted(names, key=lambda name: order[name]))
    return ()


def _sets(names: list[str]) -> Iterator[tuple[str, ...]]:
    for size in (1, 2, 3):
        yield from combinations(names, size)


def _alike(codes: NDArray[np.int64]) -> float:
    """Probability that two rows have the same value (unbiased: 0 where all differ)."""
    counts = np.bincount(codes).astype(np.float64)
    return float(np.sum(counts * (counts - 1)) / (len(codes) * (len(codes) - 1.0)))


def _ticks(times: pd.Series[Any]) -> int:
    """Ticks of the clock between the first and the last time: few for hourly readings."""
    moments = np.unique(times.astype("int64").to_numpy())
    steps = np.diff(moments)
    return int(steps.sum() // np.gcd.reduce(steps)) + 1 if len(steps) else 1


def _is_unique(codes: list[NDArray[np.int64]]) -> bool:
    n_rows = len(codes[0])
    joined = np.zeros(n_rows, np.int64)
    for one in codes:
        joined = pd.factorize(joined * (int(one.max()) + 1) + one)[0]
    return int(joined.max()) + 1 == n_rows
