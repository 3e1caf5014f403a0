"""Counts of categories: those of a reference, and those that it lacks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

Ints = npt.NDArray[np.int64]

MOST_LISTED = 16_384
"""Of a reference: rarer categories count as one, or an identifier would fill the bundle."""
MOST_NEW = 1_024
"""Categories that a reference lacks are told apart up to here, then they count as one."""


@dataclass(frozen=True)
class Categories:
    """Rows by category; those of parts add up in any order."""

    counts: Mapping[str, int]
    n_rest: int = 0
    """Rows of categories that are not told apart."""
    n_missing: int = 0

    @property
    def n(self) -> int:
        """Rows with a value."""
        return sum(self.counts.values()) + self.n_rest


@dataclass(frozen=True)
class CategoricalReference:
    """What is kept of a reference's categories: the commonest first."""

    counts: Categories

    @property
    def n_unlisted(self) -> int:
        """Rows whose category would not be listed had that row not been there (Good 1953)."""
        return self.counts.n_rest + sum(one == 1 for one in self.counts.counts.values())

    def merge(self, other: CategoricalReference) -> CategoricalReference:
        """What is kept of the rows of both; exact up to `MOST_LISTED` categories."""
        both = Counter(self.counts.counts) + Counter(other.counts.counts)
        n_rest = self.counts.n_rest + other.counts.n_rest
        return CategoricalReference(
            _listed(both, n_rest, self.counts.n_missing + other.counts.n_missing)
        )


@dataclass(frozen=True)
class WindowCategories:
    """Rows by the categories of a reference, and by those that it lacks."""

    known: frozenset[str] = field(repr=False)
    counts: Categories = Categories({})
    new: Categories = Categories({})

    @property
    def n(self) -> int:
        """Rows with a value."""
        return self.counts.n + self.new.n

    @property
    def n_missing(self) -> int:
        """Rows without one."""
        return self.counts.n_missing

    def add(self, column: pd.Series[Any]) -> WindowCategories:
        """The counts with further rows."""
        counts, n_missing = count(column)
        known = {name: n for name, n in counts.items() if name in self.known}
        new = {name: n for name, n in counts.items() if name not in self.known}
        return self.merge(
            WindowCategories(self.known, Categories(known, 0, n_missing), _pooled(Categories(new)))
        )

    def merge(self, other: WindowCategories) -> WindowCategories:
        """Counts of the rows of both, in any order; they must have the same reference."""
        return WindowCategories(
            self.known, _sum(self.counts, other.counts), _pooled(_sum(self.new, other.new))
        )


def summarise(column: pd.Series[Any]) -> CategoricalReference:
    """Counts of a reference's column; null is missing."""
    counts, n_missing = count(column)
    return CategoricalReference(_listed(counts, 0, n_missing))


def count(column: pd.Series[Any]) -> tuple[Counter[str], int]:
    """Rows by the text of their category, and how many are missing."""
    distinct: Any
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, distinct = column.cat.codes.to_numpy(), column.cat.categories
    else:
        codes, distinct = pd.factorize(column.to_numpy(dtype=object))
    # One place more, in front, for the code -1 of a null.
    found = np.bincount(codes.astype(np.intp) + 1, minlength=len(distinct) + 1).tolist()
    counts: Counter[str] = Counter()
    for value, n in zip(distinct, found[1:], strict=True):
        if n:
            counts[label(value)] += n
    return counts, found[0]


def label(value: object) -> str:
    """Text of a category.

    One null turns a column of integers into floats: 1 and 1.0 are the same category.

    >>> label(1.0), label(1), label("AA")
    ('1', '1', 'AA')
    """
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)  # type: ignore[call-overload]


def _listed(counts: Mapping[str, int], n_rest: int, n_missing: int) -> Categories:
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    rarer = sum(n for _, n in ranked[MOST_LISTED:])
    return Categories(dict(ranked[:MOST_LISTED]), n_rest + rarer, n_missing)


def _sum(one: Categories, other: Categories) -> Categories:
    both = dict(one.counts)
    for name, n in other.counts.items():
        both[name] = both.get(name, 0) + n
    return Categories(both, one.n_rest + other.n_rest, one.n_missing + other.n_missing)


def _pooled(new: Categories) -> Categories:
    """All or none are told apart: which of them came first depends on the order of merges."""
    if new.n_rest or len(new.counts) > MOST_NEW:
        return Categories({}, new.n, new.n_missing)
    return new
