"""Blocks of rows drawn with replacement, and what figures come to under each draw."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retrue.metrics import Array
from retrue.verdicts import Interval

Ints = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Draws:
    """How often each block is drawn in each resample; first comes the sample itself, each once."""

    block: Ints
    """Block of each row, shape (n_rows,)."""
    counts: Array
    """Shape (1 + n_resamples, n_blocks)."""

    def sums(self, values: npt.ArrayLike) -> Array:
        """Sum of `values` (n_rows,) under each draw, shape (1 + n_resamples,)."""
        weights = np.asarray(values, dtype=np.float64)
        by_block = np.bincount(self.block, weights, minlength=self.counts.shape[1])
        return np.asarray(self.counts @ by_block)

    @property
    def n_rows(self) -> Array:
        """Rows of each draw, shape (1 + n_resamples,)."""
        return np.asarray(self.counts @ np.bincount(self.block, minlength=self.counts.shape[1]))

    def table(self, position: Ints, n_positions: int, values: npt.ArrayLike) -> Array:
        """Sums of `values` at each position under each draw, (1 + n_resamples, n_positions)."""
        n_blocks = self.counts.shape[1]
        weights = np.asarray(values, dtype=np.float64)
        cells = np.bincount(self.block * n_positions + position, weights, n_blocks * n_positions)
        return np.asarray(self.counts @ cells.reshape(n_blocks, n_positions))

    def of_rows(self, chosen: npt.NDArray[np.bool_] | Ints) -> "Draws":
        """The same draws for some of the rows, or for all in another order."""
        return Draws(self.block[chosen], self.counts)


def draw(blocks: npt.ArrayLike, n_resamples: int, seed: int) -> Draws:
    """Draw as many blocks as there are, with replacement (Kuensch 1989: blocks keep dependence).

    Parameters
    ----------
    blocks : array-like, shape (n_rows,)
        The block of each row, such as its day: anything sortable without nulls.
    """
    names, code = np.unique(np.asarray(blocks), return_inverse=True)
    n_blocks = len(names)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=n_resamples)
    counts = np.vstack([np.ones(n_blocks), drawn.astype(np.float64)])
    return Draws(code.astype(np.intp), counts)


def means(values: Array, draws: Draws) -> Array:
    """Mean of `values` (n_rows,) under each draw; NaN where a draw holds none of the rows."""
    return ratio(draws.sums(values), draws.n_rows)


def aucs(y: Array, score: Array, draws: Draws) -> Array:
    """AUC under each draw, shape (1 + n_resamples,); NaN where a class is absent.

    A draw's AUC is bilinear in its counts, so the pairs won (ties half) by the positives of one
    block against the negatives of another are counted once.
    """
    n_blocks = draws.counts.shape[1]
    won = np.zeros((n_blocks, n_blocks))
    positive = np.flatnonzero(y == 1)
    positive = positive[np.argsort(score[positive], kind="stable")]
    block = draws.block[positive]
    negative_block, negative_score = draws.block[y == 0], score[y == 0]
    for other in range(n_blocks):
        rivals = np.sort(negative_score[negative_block == other])
        below = np.searchsorted(rivals, score[positive], side="left")
        upto = np.searchsorted(rivals, score[positive], side="right")
        won[:, other] = np.bincount(block, weights=(below + upto) / 2, minlength=n_blocks)
    pairs = draws.sums(y == 1) * draws.sums(y == 0)
    wins = np.einsum("rd,de,re->r", draws.counts, won, draws.counts, optimize=True)
    return ratio(wins, pairs)


def ratio(above: Array, below: Array) -> Array:
    """Quotients; NaN where the divisor is 0."""
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def bounds(drawn: Array, confidence: float) -> tuple[float, float]:
    """Two-sided percentile interval (Efron 1979); NaN when any draw is."""
    tail = (1 - confidence) / 2
    lower, upper = (float(q) for q in np.quantile(drawn, [tail, 1 - tail]))
    return lower, upper


def interval(values: Array, confidence: float) -> Interval | None:
    """The figure of the sample itself with its interval; None when a draw has no such figure."""
    if not np.isfinite(values).all():
        return None
    lower, upper = bounds(values[1:], confidence)
    return Interval(value=float(values[0]), lower=lower, upper=upper)


def wide_bounds(
    values: Array, n_blocks: int, confidence: float, n_intervals: int
) -> tuple[float, float] | None:
    """Two-sided interval that holds `n_intervals` times at once (Bonferroni).

    From the draws' standard deviation and Student's t for so many blocks: so far out in the tails
    there are too few draws to count. None when a draw has no such figure.
    """
    if not np.isfinite(values).all() or n_blocks < 2:
        return None
    from scipy.special import stdtrit

    t = float(stdtrit(n_blocks - 1, 1 - (1 - confidence) / 2 / max(n_intervals, 1)))
    reach = t * float(values[1:].std(ddof=1)) * (n_blocks / (n_blocks - 1)) ** 0.5
    return float(values[0]) - reach, float(values[0]) + reach
