"""Kolmogorov's distance to a known distribution, for many blocks of days at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEVELS = np.linspace(0, 1, 41)


@dataclass(frozen=True)
class Grid:
    """A distribution at its quantiles: points in order, and the share of values up to each."""

    points: NDArray[np.float64]
    levels: NDArray[np.float64]
    spread: float
    """From the first to the third quartile."""


def grid(values: NDArray[np.float64]) -> Grid | None:
    """The distribution of values; NaN is left out, None comes out when nothing else is in.

    Distances on 40 quantiles are at most .025 below Kolmogorov's. Each point comes twice, with the
    share below it too, so that values with a mass of their own are seen.
    """
    known = np.sort(values[~np.isnan(values)])
    if not len(known):
        return None
    at = np.unique(np.quantile(known, _LEVELS, method="inverted_cdf"))
    points = np.unique(np.concatenate([np.nextafter(at, -np.inf), at]))
    levels = np.searchsorted(known, points, side="right") / len(known)
    low, high = np.quantile(known, [0.25, 0.75])
    return Grid(points, levels, float(high - low))


def by_block(
    values: NDArray[np.float64],
    blocks: NDArray[np.intp],
    n_blocks: int,
    known: Grid,
    least: int = 20,
) -> NDArray[np.float64]:
    """Distance of each block to what is known, 0 to 1, (n_blocks,); NaN below `least` values."""
    is_value = ~np.isnan(values)
    bins = np.searchsorted(known.points, values[is_value], side="left")
    width = len(known.points) + 1
    table = np.bincount(blocks[is_value] * width + bins, minlength=n_blocks * width)
    table = table.reshape(n_blocks, width).astype(np.float64)
    sizes = table.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.cumsum(table, axis=1)[:, :-1] / sizes[:, None]
    return np.where(sizes >= least, np.abs(shares - known.levels).max(axis=1), np.nan)


def distance(values: NDArray[np.float64], known: Grid) -> float:
    """Distance of all values to what is known, 0 to 1; NaN below 20 values."""
    return float(by_block(values, np.zeros(len(values), np.intp), 1, known)[0])


def spread(values: NDArray[np.float64]) -> float:
    """From the first to the third quartile; NaN without values."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan")
    low, high = np.quantile(known, [0.25, 0.75])
    return float(high - low)
