"""Statistics and p-values of two-sample tests, from counts alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrue.drift.counts import Numbers

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_BINS = 10
# A share of nothing has no logarithm; one in 10,000 is the usual floor.
_LEAST_SHARE = 1e-4


def ks_distance(reference: Numbers, current: Numbers) -> float:
    """Kolmogorov-Smirnov distance of two sides on one grid, 0 to 1; both must have rows.

    Exact where one side has all its rows on the grid: between two grid values that side's
    distribution stands still, so the largest distance is at an end. Elsewhere too small, by at most
    the largest share of reference rows between two grid values.
    """
    apart = np.cumsum(reference.counts) / reference.n - np.cumsum(current.counts) / current.n
    return float(np.abs(apart).max())


def ks_p_value(distance: float, n_reference: int, n_current: int) -> float:
    """Asymptotic, two-sided (Kolmogorov 1933, Smirnov 1939), with Vrbik's (2018) correction.

    At n = n_reference * n_current / (n_reference + n_current) of 100 and more it differs from the
    distribution for finite n, which takes up to half a second, by less than 0.0002.

    >>> round(ks_p_value(0.1, 200, 200), 3)
    0.253
    """
    from scipy.special import kolmogorov

    n = n_reference * n_current / (n_reference + n_current)
    z = distance * np.sqrt(n)
    return float(kolmogorov(z + 1 / (6 * np.sqrt(n)) + (z - 1) / (4 * n)))


def one_sided_p_value(reference: Floats, current: Floats) -> float:
    """Exact p-value that current scores are not the higher ones, for equally many a side.

    Shape (n,) each. The one-sided K-S test; of k steps of 1 / n as the distance, the chance is
    C(2 n, n + k) / C(2 n, n) (Gnedenko and Korolyuk 1951). With ties it is an upper bound.
    """
    from scipy.special import gammaln

    n = len(reference)
    ref, cur = np.sort(reference), np.sort(current)
    both = np.concatenate([ref, cur])
    steps = int((ref.searchsorted(both, "right") - cur.searchsorted(both, "right")).max())
    log_p = 2 * gammaln(n + 1) - gammaln(n + steps + 1) - gammaln(n - steps + 1)
    return float(np.exp(min(0.0, log_p)))


def chi_squared(reference: Sequence[int], current: Sequence[int]) -> tuple[float, float]:
    """Pearson's (1900) statistic and asymptotic p-value of two rows of counts of one length.

    Cells that are empty on both sides are left out; with two cells it has Yates' (1934) correction,
    as SciPy's and alibi-detect's have. A single cell gives (0, 1).
    """
    from scipy.special import chdtrc

    table = np.array([reference, current], dtype=np.float64)
    table = table[:, table.sum(axis=0) > 0]
    freedom = table.shape[1] - 1
    if freedom < 1:
        return 0.0, 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    apart = np.abs(table - expected)
    if freedom == 1:
        apart -= np.minimum(0.5, apart)
    statistic = float((apart**2 / expected).sum())
    return statistic, float(chdtrc(freedom, statistic))


def more_often(n_of_reference: int, reference: int, n_of_current: int, current: int) -> float:
    """P-value that something is no more frequent in the current rows than in the reference.

    `n_of_reference` of `reference` rows against `n_of_current` of `current`, as two Poisson rates:
    of all cases, those in the current rows are binomial (Przyborowski and Wilenski 1940).

    >>> more_often(0, 1000, 0, 1000), more_often(0, 1000, 1, 1000)
    (1.0, 0.5)
    """
    from scipy.special import betainc

    if not n_of_current:
        return 1.0
    share = current / (reference + current)
    return float(betainc(n_of_current, n_of_reference + 1, share))


def wasserstein(reference: Numbers, current: Numbers) -> float | None:
    """Wasserstein-1 distance of two sides on one grid, in the column's unit; None if infinite.

    Exact where both have their rows on the grid, as of a column with few values. Elsewhere too
    small where the distributions cross between two grid values, by less than the gap's width times
    its share of rows: on 6,000 rows of a normal by 0.1 %, of a log-normal with a heavy tail by 3 %.
    """
    grid = reference.values
    sides = [(one, 1 / one.n) for one in (reference, current)]
    ends = [*reference.ends, *current.ends]
    if not np.isfinite(ends).all():
        return None
    if not len(grid):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        after = [np.cumsum(one.counts)[1::2] * share for one, share in sides]
        # Of each side: the integral of its distribution that rows within a gap add to it.
        within = [(one.between[:-1] * grid - one.sums[:-1]) * share for one, share in sides]
        gaps = (after[0] - after[1])[:-1] * np.diff(grid) + (within[0] - within[1])[1:]
        above = [(one.sums[-1] - one.between[-1] * grid[-1]) * share for one, share in sides]
        below = within[0][0] - within[1][0]
        total = float(np.abs(gaps).sum() + abs(below) + abs(above[0] - above[1]))
    return total if np.isfinite(total) else None


def decile_bins(reference: Numbers, current: Numbers) -> tuple[list[float], Ints, Ints]:
    """Upper ends of bins between the reference's deciles, and the rows of each side in them.

    The last bin, above the last end, has none. A lowest value that is a decile by itself gets a bin
    of its own, so that what falls below it is seen.
    """
    reached = np.cumsum(reference.counts)
    n = int(reached[-1])
    ranks = np.maximum(np.arange(1, _BINS) * n // _BINS, 1)
    places = np.unique(reached[1::2].searchsorted(ranks))
    places = places[places < len(reference.values)]
    ends = [float(one) for one in reference.values[places]]
    cuts = 2 * places + 1
    if len(places) and places[0] == 0:
        cuts = np.append(0, cuts)
        ends = [float(np.nextafter(ends[0], -np.inf)), *ends]
    found = []
    for one in (reference, current):
        total = np.cumsum(one.counts)
        found.append(np.diff(total[cuts], prepend=0, append=total[-1]))
    return ends, found[0], found[1]


def psi(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Population stability index (Siddiqi 2006) of two rows of counts, 0 or more.

    Below 0.1 stable, above 0.25 another population. Shares count as at least 0.0001.

    >>> psi([50, 50], [50, 50])
    0.0
    """
    p, q = (
        np.maximum(one / one.sum(), _LEAST_SHARE)
        for one in (np.asarray(reference, np.float64), np.asarray(current, np.float64))
    )
    return float(((q - p) * np.log(q / p)).sum())


def corrected(p_values: Sequence[float], how: Literal["bonferroni", "fdr"]) -> list[float]:
    """P-values that may be held against alpha although there are several of them.

    `bonferroni`: each times their number, so that one false alarm at all is as rare as alpha.
    `fdr`: so that of the alarms a share of alpha is false (Benjamini and Hochberg 1995).

    >>> corrected([0.01, 0.5], "bonferroni"), corrected([0.03, 0.04], "fdr")
    ([0.02, 1.0], [0.04, 0.04])
    """
    p = np.asarray(p_values, np.float64)
    if how == "bonferroni":
        return [float(one) for one in np.minimum(1.0, p * len(p))]
    order = np.argsort(-p, kind="stable")
    scaled = p[order] * len(p) / np.arange(len(p), 0, -1)
    found = np.empty_like(p)
    found[order] = np.minimum.accumulate(np.minimum(scaled, 1.0))
    return [float(one) for one in found]
