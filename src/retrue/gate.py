"""Does a challenger deserve promotion: paired evidence, resampled by day."""

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from retrue import metrics
from retrue.config import Gate
from retrue.errors import TrainingError
from retrue.metrics import Array

Ints = npt.NDArray[np.intp]
# Below it the bootstrap has too few blocks to say anything: 5 days give 126 different resamples.
MIN_DAYS = 5


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(_Frozen):
    """A figure of the hold-out with its two-sided block-bootstrap interval."""

    value: float
    lower: float
    upper: float


class SliceGain(_Frozen):
    """Gain on the rows of one category; the interval allows for the number of slices."""

    name: str
    """Column."""
    value: str
    """Category of the column."""
    n_rows: int
    champion: float
    challenger: float
    gain: float
    lower: float | None
    upper: float | None
    """None where resamples of these rows hold one class only."""
    margin: float
    """How much worse it may be."""
    holds: bool


class Bin(_Frozen):
    """One bin of a reliability diagram: what was said and what came true."""

    lower: float
    upper: float
    mean_score: float
    observed: float
    n: int


class Calibration(_Frozen):
    """Whether probabilities mean what they say; of several classes: the likeliest one's."""

    bins: tuple[Bin, ...]
    expected_error: float
    """Mean distance of `mean_score` and `observed` over the bins, weighted by rows."""
    expected_error_lower: float
    slope: float | None
    intercept: float | None
    slope_lower: float | None
    slope_upper: float | None
    """Of the logistic recalibration; None when the scores are all alike or tell all apart."""
    intercept_lower: float | None
    intercept_upper: float | None
    champion_error: float | None
    holds: bool


class ProcessingPerformance(_Frozen):
    """What a server of the built bundle was measured to do; None: it gave no answers."""

    p50_ms: float | None
    p99_ms: float | None
    rows_per_s: float | None
    memory_mb: float | None
    holds: bool
    reasons: tuple[str, ...] = ()


class Verdict(_Frozen):
    """The gate's answer; the metric keeps its natural sign, the gain is positive when better."""

    promoted: bool
    metric: str
    champion: float | None
    challenger: float | None
    gain: float | None
    lower: float | None
    upper: float | None
    """Two-sided percentile interval of the gain at `confidence`; None when refused unseen."""
    confidence: float
    n_rows: int
    n_days: int
    reason: str
    n_seeds: int = 1
    """Models of the challenger's recipe that the interval counts in."""
    metrics: dict[str, Interval] = {}
    """The challenger's on the hold-out by their field names (`retrue.metric_table`)."""
    champion_metrics: dict[str, Interval] = {}
    """The champion's on the same rows, or those of no skill for a first model."""
    slices: tuple[SliceGain, ...] = ()
    calibration: Calibration | None = None
    processing: ProcessingPerformance | None = None
    doubts: tuple[str, ...] = ()
    """Why a human is to look although the figures pass."""


def compare(
    y: npt.ArrayLike,
    champion: npt.ArrayLike,
    challenger: npt.ArrayLike,
    days: npt.ArrayLike,
    gate: Gate,
    seed: int,
) -> Verdict:
    """Judge a challenger against the champion on the same labelled rows.

    Whole days are drawn with replacement (blocks for dependent data: Kuensch 1989; percentile
    interval: Efron 1979), because rows of a day share weather and outages: a bootstrap of rows
    would promote noise. The order of the rows does not matter, to the last bit.

    Parameters
    ----------
    y : array-like, shape (n_rows,)
        Labels 0 or 1, numbers of classes, or the values of a regression.
    champion, challenger : array-like, shape (n_rows,) or (n_rows, n_classes)
        Probabilities of label 1 or of each class, or predicted values.
    days : array-like, shape (n_rows,)
        The day of each row, or another block of rows that belong together: anything sortable
        without nulls.
    gate : Gate
        Metric, minimal gain, confidence and number of resamples.
    seed : int
        Of the resampling.

    Returns
    -------
    Verdict
        Promoted only when the lower bound of the gain is above `gate.min_gain`. Refused, with the
        reason, for fewer than 5 days, one class, no rows, and scores that are NaN or outside 0 to
        1 on either side.
    """
    labels = np.asarray(y)
    day = np.asarray(days)
    n_days = len(np.unique(day))
    try:
        if day.shape != labels.shape:
            return refused(gate, len(labels), n_days, f"{len(labels)} labels, {len(day)} days")
        truth, old = metrics.checked(labels, champion, gate.metric)
        _, new = metrics.checked(labels, challenger, gate.metric)
    except TrainingError as error:
        return refused(gate, len(labels), n_days, str(error))
    if n_days < MIN_DAYS:
        why = f"{n_days} labelled days are fewer than {MIN_DAYS}"
        return refused(gate, len(labels), n_days, why)
    if gate.metric != "squared_error" and truth.min() == truth.max():
        why = f"all {len(truth)} labels are {int(truth[0])}: nothing to tell apart"
        return refused(gate, len(labels), n_days, why)

    code = np.unique(day, return_inverse=True)[1].astype(np.intp)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(n_days, np.full(n_days, 1 / n_days), size=gate.resamples)
    counts = np.vstack([np.ones(n_days), draws.astype(np.float64)])  # First the sample itself.
    if gate.metric == "auc":
        order = np.lexsort((new, old, truth, code))  # Sums in one order: the same bits for any.
        code, truth = code[order], truth[order]
        before, after = (_aucs(truth, score[order], code, counts) for score in (old, new))
        gains = after - before
    else:
        losses = [metrics.row_losses(gate.metric, truth, score) for score in (old, new)]
        order = np.lexsort((losses[1], losses[0], code))
        before, after = (_means(loss[order], code[order], counts) for loss in losses)
        gains = before - after
    tail = (1 - gate.confidence) / 2
    lower, upper = (float(q) for q in np.quantile(gains[1:], [tail, 1 - tail]))
    if not np.isfinite([lower, upper]).all():
        why = "too few days hold both classes to resample them"
        return refused(gate, len(labels), n_days, why)
    promoted = lower > gate.min_gain
    return Verdict(
        promoted=promoted,
        metric=gate.metric,
        champion=float(before[0]),
        challenger=float(after[0]),
        gain=float(gains[0]),
        lower=lower,
        upper=upper,
        confidence=gate.confidence,
        n_rows=len(labels),
        n_days=n_days,
        reason=(
            f"{gate.metric} {before[0]:.4f} -> {after[0]:.4f}: gain {gains[0]:+.4f} "
            f"[{lower:+.4f}, {upper:+.4f}] at {gate.confidence:.0%} over {n_days} days; "
            f"the lower bound is {'above' if promoted else 'not above'} {gate.min_gain:g}"
        ),
    )


def against_no_skill(
    y: npt.ArrayLike,
    challenger: npt.ArrayLike,
    train_rate: npt.ArrayLike,
    days: npt.ArrayLike,
    gate: Gate,
    seed: int,
) -> Verdict:
    """Judge a first model: as `compare`, against the same score for every row.

    `train_rate` is that score: the training part's share of label 1, its shares of the classes
    (n_classes,), or its mean.
    """
    rate = np.asarray(train_rate, dtype=np.float64)
    constant = np.broadcast_to(rate, (len(np.asarray(y)), *rate.shape))
    return compare(y, constant, challenger, days, gate, seed)


def refused(gate: Gate, n_rows: int, n_days: int, why: str) -> Verdict:
    """A verdict without evidence: the challenger could not be judged, so it is not promoted."""
    return Verdict(
        promoted=False,
        metric=gate.metric,
        champion=None,
        challenger=None,
        gain=None,
        lower=None,
        upper=None,
        confidence=gate.confidence,
        n_rows=n_rows,
        n_days=n_days,
        reason=f"refused: {why}",
    )


def _means(loss: Array, day: Ints, counts: Array) -> Array:
    """Mean loss under each row of day counts: (n_resamples, n_days) -> (n_resamples,)."""
    sums = np.bincount(day, weights=loss)
    return np.asarray((counts @ sums) / (counts @ np.bincount(day)), dtype=np.float64)


def _aucs(y: Array, score: Array, day: Ints, counts: Array) -> Array:
    """AUC under each row of day counts: (n_resamples, n_days) -> (n_resamples,).

    A resample's AUC is bilinear in its day counts, so the pairs won (ties half) by the positives
    of one day against the negatives of another are counted once. NaN where a class is absent.
    """
    n_days = counts.shape[1]
    won = np.zeros((n_days, n_days))
    positive = np.flatnonzero(y == 1)
    positive = positive[np.argsort(score[positive], kind="stable")]
    negative_day, negative_score = day[y == 0], score[y == 0]
    for other in range(n_days):
        rivals = np.sort(negative_score[negative_day == other])
        below = np.searchsorted(rivals, score[positive], side="left")
        upto = np.searchsorted(rivals, score[positive], side="right")
        won[:, other] = np.bincount(day[positive], weights=(below + upto) / 2, minlength=n_days)
    n_positive = np.bincount(day[positive], minlength=n_days)
    n_negative = np.bincount(negative_day, minlength=n_days)
    pairs = (counts @ n_positive) * (counts @ n_negative)
    wins = np.einsum("rd,de,re->r", counts, won, counts, optimize=True)
    return np.divide(wins, pairs, out=np.full(len(counts), np.nan), where=pairs > 0)
