"""Counts of numbers at a reference's values: at all where they are few, else at quantiles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_DISTINCT = 16_384
"""Above the default of `drift.max_rows`: two samples of that size are compared exactly."""
N_QUANTILES = 2_048
"""A K-S distance is then at most 1 / 2048 = 0.0005 too small."""
# Rows at a time: 1 MB of floats, which a core's own cache holds while they are sorted.
_CHUNK = 131_072
# Cells of the table that finds a value's place without a search; more would leave the cache.
_MOST_CELLS = 65_536
_PROBE = 8_192


@dataclass(frozen=True, eq=False)
class Grid:
    """Values that rows are counted at and between."""

    values: Floats
    """Shape (m,), ascending, no two alike; it may be empty, and its ends infinite."""

    @cached_property
    def table(self) -> tuple[float, float, npt.NDArray[np.intp]] | None:
        """Low end, cells a unit and the grid position of each cell; None where cells would clash.

        1 to 2 ns a row for each of its few steps, where a sort takes 50 and a hash 190.
        """
        finite = np.flatnonzero(np.isfinite(self.values))
        if not len(finite) or len(finite) > _MOST_CELLS // 8:
            return None
        values = self.values[finite]
        span = float(values[-1]) - float(values[0])
        n_cells = 2 << len(values).bit_length()
        while n_cells <= _MOST_CELLS:
            with np.errstate(over="ignore"):
                scale = n_cells / span if span > 0 else 1.0
            if not np.isfinite(scale) or scale == 0:
                return None
            cells = ((values - values[0]) * scale).astype(np.intp)
            if (np.diff(cells) > 0).all():
                codes = np.zeros(n_cells + 1, np.intp)
                codes[cells] = finite
                return float(values[0]), scale, codes
            n_cells *= 2
        return None

    def find(self, x: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Grid position of each row's cell, and whether its value is there; there must be a table.

        Shape (n_rows,) each; NaN is nowhere.
        """
        assert self.table is not None
        low, scale, codes = self.table
        with np.errstate(invalid="ignore", over="ignore"):
            cells = x - low
            cells *= scale
            code = codes.take(cells.astype(np.intp), mode="clip")
        return code, self.values.take(code) == x


@dataclass(frozen=True, eq=False)
class Numbers:
    """Counts of the rows of one column on a grid, in one pass; those on one grid add up.

    With m grid values there are 2 m + 1 counts: rows below the first value, at it, between it and
    the second, at the second, and so on to the rows above the last.
    """

    grid: Grid
    counts: Ints
    """Shape (2 m + 1,)."""
    sums: Floats
    """Shape (m + 1,): sum of the rows between grid values."""
    n_missing: int = 0
    low: float = np.inf
    """Least of the rows between grid values."""
    high: float = -np.inf

    @classmethod
    def none(cls, grid: Grid) -> Numbers:
        """No rows yet."""
        m = len(grid.values)
        return cls(grid, np.zeros(2 * m + 1, np.int64), np.zeros(m + 1))

    @property
    def values(self) -> Floats:
        """Of the grid, shape (m,)."""
        return self.grid.values

    @property
    def n(self) -> int:
        """Rows with a value."""
        return int(self.counts.sum())

    @property
    def between(self) -> Ints:
        """Rows that lie at no grid value, shape (m + 1,)."""
        return self.counts[::2]

    @property
    def at(self) -> Ints:
        """Rows at each grid value, shape (m,)."""
        return self.counts[1::2]

    @property
    def ends(self) -> tuple[float, float]:
        """Least and greatest value; (inf, -inf) without rows."""
        met = self.values[self.at > 0]
        if not len(met):
            return self.low, self.high
        return min(self.low, float(met[0])), max(self.high, float(met[-1]))

    def add(self, x: Floats) -> Numbers:
        """The counts with further rows, shape (n_rows,); NaN is missing, infinite is a value."""
        found = self
        for start in range(0, len(x), _CHUNK):
            found = found._add_chunk(x[start : start + _CHUNK])
        return found

    def merge(self, other: Numbers) -> Numbers:
        """Counts of the rows of both; they must be on the same grid.

        Counts are exact, so the order of merges does not matter; sums are exact to rounding.
        """
        with np.errstate(invalid="ignore"):
            sums = self.sums + other.sums
        return Numbers(
            self.grid,
            self.counts + other.counts,
            sums,
            self.n_missing + other.n_missing,
            min(self.low, other.low),
            max(self.high, other.high),
        )

    def _add_chunk(self, x: Floats) -> Numbers:
        if self.grid.table is None:
            return self._add_sorted(np.sort(x))
        code, known = self.grid.find(x)
        counts = self.counts.copy()
        m = len(self.values)
        counts[1::2] += np.bincount(code, minlength=m)
        astray = np.flatnonzero(~known)
        if not len(astray):
            return replace(self, counts=counts)
        # Mostly few: taking them off again is less work than counting without them.
        counts[1::2] -= np.bincount(code[astray], minlength=m)
        strays = x[astray]
        # Before the sort, which is slow on NaN.
        present = strays[~np.isnan(strays)]
        n_missing = self.n_missing + len(strays) - len(present)
        found = replace(self, counts=counts, n_missing=n_missing)
        return found._add_sorted(np.sort(present)) if len(present) else found

    def _add_sorted(self, x: Floats) -> Numbers:
        n = int(x.searchsorted(np.nan))
        low, high = x.searchsorted(self.values, "left"), x.searchsorted(self.values, "right")
        starts, ends = np.append(0, high), np.append(low, n)
        counts = self.counts.copy()
        counts[1::2] += high - low
        counts[::2] += ends - starts
        filled = np.flatnonzero(ends > starts)
        if not len(filled):
            return replace(self, counts=counts, n_missing=self.n_missing + len(x) - n)
        sums = self.sums.copy()
        parts = np.stack([starts[filled], ends[filled]], axis=1).ravel()
        # One more value, as an end may be the length, which `reduceat` refuses.
        with np.errstate(over="ignore", invalid="ignore"):
            sums[filled] += np.add.reduceat(np.append(x[:n], 0.0), parts)[::2]
        return Numbers(
            self.grid,
            counts,
            sums,
            self.n_missing + len(x) - n,
            min(self.low, float(x[starts[filled[0]]])),
            max(self.high, float(x[ends[filled[-1]] - 1])),
        )


@dataclass(frozen=True, eq=False)
class NumericReference:
    """What is kept of a reference's numbers."""

    counts: Numbers
    mean: float
    """Of the finite values; 0 without any."""
    squares: float
    """Sum of their squared distances from the mean."""
    n_finite: int
    rank_error: float = 0.0
    """Share of rows that may have moved past a grid value in merges; 0 when nothing was merged."""

    @property
    def sd(self) -> float:
        """Standard deviation of the finite values; 0 without any."""
        return float(np.sqrt(self.squares / self.n_finite)) if self.n_finite else 0.0

    @property
    def is_exact(self) -> bool:
        """Whether every value is on the grid."""
        return self.rank_error == 0 and not self.counts.between.any()

    @property
    def ks_error(self) -> float:
        """By how much a K-S distance from this reference may be wrong, 0 to 1."""
        n = self.counts.n
        return self.rank_error + float(self.counts.between.max() / n) if n else 0.0

    def merge(self, other: NumericReference) -> NumericReference:
        """What is kept of the rows of both.

        Exact when both are and few values come together. Otherwise rows between two grid values
        count at the upper one, which adds the share of such a gap to `rank_error`.
        """
        sides = (self, other)
        n = sum(one.counts.n for one in sides)
        error = sum(one.ks_error * one.counts.n for one in sides) / n if n else 0.0
        pairs = [_settled(one.counts) for one in sides]
        values, place = np.unique(np.concatenate([v for v, _ in pairs]), return_inverse=True)
        counts = np.zeros(len(values), np.int64)
        np.add.at(counts, place, np.concatenate([c for _, c in pairs]))
        n_missing = sum(one.counts.n_missing for one in sides)
        n_finite = sum(one.n_finite for one in sides)
        # Chan, Golub and LeVeque (1983): means and squares of parts add up.
        apart = other.mean - self.mean
        weight = other.n_finite / n_finite if n_finite else 0.0
        squares = self.squares + other.squares + apart * apart * self.n_finite * weight
        kept = _kept(values, counts, n_missing)
        return NumericReference(kept, self.mean + apart * weight, squares, n_finite, error)


def summarise(x: Floats) -> NumericReference:
    """Counts of a reference's column, shape (n_rows,): NaN is missing, infinite is a value."""
    values, counts, n_missing = _distinct(x)
    finite = np.isfinite(values)
    v, c = values[finite], counts[finite]
    n = int(c.sum())
    # Beyond 1e154 a square is infinite: then there is no standard deviation to scale by.
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(np.dot(v, c) / n) if n else 0.0
        squares = float(np.dot((v - mean) ** 2, c))
    return NumericReference(_kept(values, counts, n_missing), mean, squares, n)


def _distinct(x: Floats) -> tuple[Floats, Ints, int]:
    """Values in order, how often each occurs, and how many are missing."""
    probe = np.unique(x[:: max(1, len(x) // _PROBE)])
    probe = probe[~np.isnan(probe)]
    grid = Grid(probe)
    if 0 < len(probe) <= _PROBE // 8 and grid.table is not None:
        found = Numbers.none(grid).add(x)
        if not found.between.any():
            return probe[found.at > 0], found.at[found.at > 0], found.n_missing
        # Rare values that the probe missed; where they are many, it misjudged the column.
        if found.between.sum() < len(x) / 8:
            # By the table: `np.isin` would sort all rows.
            strays = x[~grid.find(x)[1] & ~np.isnan(x)]
            rare, n_rare = np.unique(strays, return_counts=True)
            values = np.concatenate([probe, rare])
            counts = np.concatenate([found.at, n_rare])
            order = np.argsort(values, kind="stable")
            return values[order], counts[order], found.n_missing
    ordered = np.sort(x)
    n = int(ordered.searchsorted(np.nan))
    ordered = ordered[:n]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if n else np.arange(0)
    return ordered[starts], np.diff(starts, append=n).astype(np.int64), len(x) - n


def _kept(values: Floats, counts: Ints, n_missing: int) -> Numbers:
    """All values where they are few, else quantiles, each with the exact count at it."""
    if len(values) <= MOST_DISTINCT:
        whole = Numbers.none(Grid(values))
        whole.counts[1::2] = counts
        return replace(whole, n_missing=n_missing)
    reached = np.cumsum(counts)
    ranks = np.arange(1, N_QUANTILES + 1) * reached[-1] / N_QUANTILES
    chosen = np.unique(np.append([0, len(values) - 1], reached.searchsorted(ranks)))
    kept = Numbers.none(Grid(values[chosen]))
    kept.counts[1::2] = counts[chosen]
    kept.counts[2:-1:2] = np.diff(reached[chosen]) - counts[chosen[1:]]
    gaps = [slice(a + 1, b) for a, b in pairwise(chosen.tolist())]
    kept.sums[1:-1] = [float(np.dot(values[gap], counts[gap])) for gap in gaps]
    return replace(kept, n_missing=n_missing)


def _settled(numbers: Numbers) -> tuple[Floats, Ints]:
    """Grid values with the rows at each and in the gap below it."""
    return numbers.values, numbers.at + numbers.between[:-1]
