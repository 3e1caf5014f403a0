"""Metrics to be expected of scored rows without their labels (CBPE), with an interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrue.decision_costs import error_cost
from retrue.evidence.resampling import bounds
from retrue.gate import MIN_DAYS
from retrue.metrics import EPSILON
from retrue.performance.report import Estimated
from retrue.verdicts import Interval

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from retrue.config import Problem
    from retrue.metrics import Array

_N_DRAWS = 200
# Rows whose labels are drawn for the interval: with more of them it is a little too wide.
_MOST_DRAWN = 20_000
_SUM_TOLERANCE = 1e-6


def estimate(problem: Problem, score: Array, days: npt.ArrayLike, threshold: float) -> Estimated:
    """Estimate the metrics of a classifier from its scores (Kivimäki et al. 2024; NannyML's CBPE).

    A row of score p is right by chance p, if the scores are calibrated: sums of these chances give
    the confusion matrix, the losses and the ROC curve to be expected. The assumption is that a
    score means the same as on the model's hold-out. So the estimate follows a change of the
    features, and is blind to a change of what they mean for the label (concept drift).

    Parameters
    ----------
    problem : Problem
        Its task, costs, confidence, seed and `drift.min_rows`.
    score : ndarray, shape (n_rows,) or (n_rows, n_classes)
        Probabilities of label 1 or of each class, as the model's calibrator left them.
    days : array-like, shape (n_rows,)
        The day of each row, or another block of rows that belong together.
    threshold : float
        Probability above which a binary problem acts.

    Returns
    -------
    Estimated
        Metrics in their natural sign. The interval is for a window of as many days: days are drawn
        with replacement, and labels anew by their chances. It holds no shock that a whole day's
        labels share. Without metrics, and with the reason, for a regression, too few rows or days,
        and any score that is NaN or no probability. AUC and others are left out where a draw may
        hold one class only.
    """
    n_rows, block = len(score), np.unique(np.asarray(days), return_inverse=True)[1]
    n_days = int(block.max()) + 1 if n_rows else 0
    if why := _why_not(problem, score, n_days):
        return Estimated(n_rows=n_rows, n_days=n_days, reason=why)
    found = intervals(problem, score, block, threshold)
    return Estimated(metrics=found, n_rows=n_rows, n_days=n_days)


def intervals(
    problem: Problem, score: Array, block: npt.NDArray[np.intp], threshold: float
) -> dict[str, Interval]:
    """The metrics themselves, for scores that are probabilities; see `estimate`."""
    rng = np.random.default_rng(problem.training.seed)
    # By score, once for all draws; by block then, so that the order of the rows does not matter.
    order = np.lexsort((block, *np.atleast_2d(score.T)))
    score, block = score[order], block[order]
    # A row has of each class as many labels as its score says: that makes sums expected sums.
    value = _figures(problem, score, threshold)(score, np.ones(len(score)))
    n_blocks = int(block.max()) + 1
    if len(score) > _MOST_DRAWN:
        chosen = np.sort(rng.permutation(len(score))[:_MOST_DRAWN])
        score, block = score[chosen], block[chosen]
    figures = _figures(problem, score, threshold)
    centre = figures(score, np.ones(len(score)))
    drawn: dict[str, list[float]] = {name: [] for name in value}
    for _ in range(_N_DRAWS):
        weight = rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks))[block]
        hits = _labels(rng, weight, score)
        for name, one in figures(hits, weight.astype(np.float64)).items():
            drawn[name].append(one)
    found = {}
    for name, one in value.items():
        moved = np.array(drawn[name]) + (one - centre[name])
        if np.isfinite(one) and np.isfinite(moved).all():
            lower, upper = bounds(moved, problem.gate.confidence)
            found[name] = Interval(value=one, lower=min(lower, one), upper=max(upper, one))
    return found


def row_log_loss(score: Array) -> Array:
    """Log loss (nats) to be expected of each row, shape (n_rows,): the entropy of its score."""
    chance = np.column_stack([1 - score, score]) if score.ndim == 1 else score
    return np.asarray(-(chance * np.log(np.clip(chance, EPSILON, 1 - EPSILON))).sum(axis=1))


def _labels(rng: np.random.Generator, weight: npt.NDArray[np.int64], score: Array) -> Array:
    """How many labels 1, or of each class, rows get by their chances."""
    if score.ndim == 1:
        return rng.binomial(weight, score).astype(np.float64)
    chance = score / score.sum(axis=1, keepdims=True)
    return rng.multinomial(weight, chance).astype(np.float64)


def _why_not(problem: Problem, score: Array, n_days: int) -> str:
    if problem.label.task == "regression":
        return "a regression's predictions do not say how uncertain they are: cannot estimate"
    if len(score) < problem.drift.min_rows:
        return f"{len(score)} rows, {problem.drift.min_rows} wanted"
    good = ((score >= 0) & (score <= 1)).reshape(len(score), -1).all(axis=1)
    if score.ndim > 1:
        good &= np.abs(score.sum(axis=1) - 1) < _SUM_TOLERANCE
    if not good.all():
        return f"{np.sum(~good)} of {len(score)} scores are no probabilities"
    if n_days < MIN_DAYS:
        return f"{n_days} days are fewer than {MIN_DAYS}"
    return ""


def _figures(
    problem: Problem, score: Array, threshold: float
) -> Callable[[Array, Array], dict[str, float]]:
    if score.ndim > 1:
        return _several_classes(score)
    return _two_classes(problem, score, threshold)


def _two_classes(
    problem: Problem, score: Array, threshold: float
) -> Callable[[Array, Array], dict[str, float]]:
    """Metrics of rows in order of their score, by how many labels 1 each has of its weight."""
    surprise_1 = -np.log(np.clip(score, EPSILON, 1 - EPSILON))
    surprise_0 = -np.log(np.clip(1 - score, EPSILON, 1 - EPSILON))
    acts = score > threshold
    last = np.flatnonzero(np.diff(score, append=np.inf))  # of each run of equal scores

    def figures(hits: Array, weight: Array) -> dict[str, float]:
        rest = weight - hits
        n, positive, alarm = weight.sum(), hits.sum(), weight[acts].sum()
        hit = hits[acts].sum()
        false_alarm, miss = alarm - hit, positive - hit
        rejected = n - positive - false_alarm
        of_1, of_0 = np.cumsum(hits)[last], np.cumsum(rest)[last]
        ones, zeros = np.diff(of_1, prepend=0.0), np.diff(of_0, prepend=0.0)
        won = float((ones * (of_0 - zeros / 2)).sum())
        at_least = positive - of_1 + ones  # labels 1 at this score or above
        above = at_least + (n - positive) - of_0 + zeros
        precision = np.divide(at_least, above, out=np.zeros(len(ones)), where=above > 0)
        return {
            "log_loss": float((hits @ surprise_1 + rest @ surprise_0) / n),
            "auc": _ratio(won, positive * (n - positive)),
            "average_precision": _ratio(float(ones @ precision), positive),
            "brier": float((hits @ (1 - score) ** 2 + rest @ score**2) / n),
            "cost": float(error_cost(problem, false_alarm, miss) / n),
            "accuracy": float((hit + rejected) / n),
            "balanced_accuracy": (_ratio(hit, positive) + _ratio(rejected, n - positive)) / 2,
            "precision": float(hit / alarm) if alarm else 0.0,
            "recall": _ratio(hit, positive),
            "f1": float(2 * hit / (alarm + positive)) if alarm + positive else 0.0,
        }

    return figures


def _several_classes(score: Array) -> Callable[[Array, Array], dict[str, float]]:
    """Metrics of rows by how many labels of each class a row has of its weight."""
    n_classes = score.shape[1]
    surprise = -np.log(np.clip(score, EPSILON, 1 - EPSILON))
    square = (score**2).sum(axis=1, keepdims=True) - 2 * score + 1
    said = score.argmax(axis=1)
    rows = np.arange(len(score))

    def figures(hits: Array, weight: Array) -> dict[str, float]:
        n, right = weight.sum(), hits[rows, said]
        present = hits.sum(axis=0)
        predicted = np.bincount(said, weight, n_classes)
        hit = np.bincount(said, right, n_classes)
        with np.errstate(invalid="ignore"):
            recall, f1 = hit / present, 2 * hit / (present + predicted)
        return {
            "log_loss": float((hits * surprise).sum() / n),
            "brier": float((hits * square).sum() / n),
            "accuracy": float(right.sum() / n),
            "balanced_accuracy": float(np.nanmean(recall)),
            "f1": float(np.nanmean(f1)),
        }

    return figures


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0 else float("nan")
