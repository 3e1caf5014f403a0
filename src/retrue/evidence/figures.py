"""All metrics of one model on the hold-out, under every draw of its blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrue import metrics
from retrue.decision_costs import error_cost
from retrue.evidence.resampling import aucs, interval, means, ratio

if TYPE_CHECKING:
    import numpy.typing as npt

    from retrue.config import Problem
    from retrue.evidence.resampling import Draws
    from retrue.metrics import Array
    from retrue.verdicts import Interval

# Grouping flights' scores so moves no bound of average precision by more than 0.0005.
_N_GROUPS = 256


def intervals(
    problem: Problem, y: Array, score: Array, draws: Draws, threshold: float
) -> dict[str, Interval]:
    """Metrics of the task with their intervals, in the order of `retrue.metric_table`.

    Parameters
    ----------
    y : ndarray, shape (n_rows,)
        Labels as `retrue.splits.target` gives them.
    score : ndarray, shape (n_rows,) or (n_rows, n_classes)
        Probabilities of label 1 or of each class, or predicted values.
    threshold : float
        Probability above which a binary problem acts.

    Returns
    -------
    dict
        Without those that are not defined on every draw, such as AUC where a class is rare.
    """
    if problem.label.task == "regression":
        drawn = _regression(y, score, draws)
    elif problem.label.task == "multiclass":
        drawn = _several_classes(y, score, draws)
    else:
        drawn = _two_classes(problem, y, score, draws, threshold)
    found = {name: interval(values, problem.gate.confidence) for name, values in drawn.items()}
    return {name: one for name, one in found.items() if one is not None}


def deciding_values(metric: str, y: Array, score: Array, draws: Draws) -> Array:
    """The gate's metric under each draw, shape (1 + n_resamples,)."""
    if metric == "auc":
        return aucs(y, score, draws)
    return means(metrics.row_losses(metric, y, score), draws)


def _two_classes(
    problem: Problem, y: Array, score: Array, draws: Draws, threshold: float
) -> dict[str, Array]:
    hit = draws.sums((score > threshold) & (y == 1))
    alarm = draws.sums(score > threshold)
    positive, n = draws.sums(y), draws.n_rows
    false_alarm, miss = alarm - hit, positive - hit
    rejected = n - positive - false_alarm
    return {
        "log_loss": means(metrics.row_log_loss(y, score), draws),
        "auc": aucs(y, score, draws),
        "average_precision": _average_precisions(y, score, draws),
        "brier": means((score - y) ** 2, draws),
        "cost": ratio(error_cost(problem, false_alarm, miss), n),
        "accuracy": ratio(hit + rejected, n),
        "balanced_accuracy": (ratio(hit, positive) + ratio(rejected, n - positive)) / 2,
        "precision": _or_zero(hit, alarm),
        "recall": ratio(hit, positive),
        "f1": _or_zero(2 * hit, alarm + positive),
    }


def _several_classes(y: Array, score: Array, draws: Draws) -> dict[str, Array]:
    n_classes = score.shape[1]
    truth, said = y.astype(np.intp), score.argmax(axis=1)
    is_known, right = truth >= 0, truth == said
    present = draws.table(np.maximum(truth, 0), n_classes, is_known)
    predicted = draws.table(said, n_classes, np.ones(len(y)))
    hit = draws.table(said, n_classes, right)
    recall = ratio(hit, present)
    of_truth = np.zeros(score.shape)
    of_truth[np.flatnonzero(is_known), truth[is_known]] = 1
    return {
        "log_loss": means(metrics.row_losses("log_loss", y, score), draws),
        "brier": means(((score - of_truth) ** 2).sum(axis=1), draws),
        "accuracy": means(right.astype(np.float64), draws),
        # Over the classes that a draw holds, as scikit-learn does it.
        "balanced_accuracy": _mean_of_finite(recall),
        "f1": _mean_of_finite(ratio(2 * hit, present + predicted)),
    }


def _regression(y: Array, score: Array, draws: Draws) -> dict[str, Array]:
    n, total = draws.n_rows, draws.sums(y - y.mean())
    squares = draws.sums((y - score) ** 2)
    spread = draws.sums((y - y.mean()) ** 2) - ratio(total**2, n)
    return {
        "squared_error": ratio(squares, n),
        "rmse": np.sqrt(ratio(squares, n)),
        "mae": means(np.abs(y - score), draws),
        "r2": 1 - ratio(squares, spread),
    }


def _average_precisions(y: Array, score: Array, draws: Draws) -> Array:
    """Average precision under each draw; exact for the sample, the others moved along with it.

    Draws are figured over scores in groups of equal size: a cumulative sum over all rows for each
    draw would cost more than the rest of the evidence together.
    """
    if y.min() == y.max():
        return np.full(len(draws.counts), np.nan)
    edges = np.unique(np.quantile(score, np.linspace(0, 1, _N_GROUPS + 1)[1:-1]))
    group: npt.NDArray[np.intp] = len(edges) - np.searchsorted(edges, score, side="right")
    positive = np.cumsum(draws.table(group, len(edges) + 1, y), axis=1)
    everyone = np.cumsum(draws.table(group, len(edges) + 1, np.ones(len(y))), axis=1)
    gained = np.diff(positive, axis=1, prepend=0)
    grouped = ratio((gained * _or_zero(positive, everyone)).sum(axis=1), positive[:, -1])
    return np.asarray(grouped - grouped[0] + metrics.average_precision(y, score))


def _or_zero(above: Array, below: Array) -> Array:
    """Quotients, 0 where there is nothing to divide by, as scikit-learn has it."""
    return np.divide(above, below, out=np.zeros(above.shape), where=below > 0)


def _mean_of_finite(values: Array) -> Array:
    known = np.isfinite(values)
    return ratio(np.where(known, values, 0).sum(axis=1), known.sum(axis=1).astype(np.float64))
