"""What is kept of a reference's numbers: all values where they are few, else quantiles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from retrue.drift.counts import Floats, Grid, Ints, Numbers

MOST_DISTINCT = 16_384
"""Above the default of `drift.max_rows`: two samples of that size are compared exactly."""
N_QUANTILES = 2_048
"""A K-S distance is then at most 1 / 2048 = 0.0005 too small."""
_PROBE = 8_192


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
