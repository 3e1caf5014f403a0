"""Intervals of one model's figures: whole blocks drawn with replacement (Kuensch 1989)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrue import metrics
from retrue.gate import Interval

if TYPE_CHECKING:
    import numpy.typing as npt

    from retrue.config import Problem
    from retrue.metrics import Array

# Draws whose weights are held at a time: 50 of 30,000 rows take 12 MB.
_CHUNK = 50


def intervals(
    problem: Problem, y: Array, score: Array, blocks: npt.ArrayLike
) -> dict[str, Interval]:
    """The figures of the task, each with its two-sided percentile interval (Efron 1979).

    Parameters
    ----------
    y : ndarray, shape (n_rows,)
        Labels as `retrue.splits.target` gives them.
    score : ndarray, shape (n_rows,) or (n_rows, n_classes)
        Probabilities of label 1 or of each class, or predicted values.
    blocks : array-like, shape (n_rows,)
        The day of each row, or another block of rows that belong together.

    Returns
    -------
    dict
        `log_loss` and `auc` of two classes, `log_loss` of several, `rmse` of a regression; without
        a figure that some draw does not have, such as the AUC where a class is rare.
    """
    code = np.unique(np.asarray(blocks), return_inverse=True)[1]
    n_blocks = int(code.max()) + 1
    rng = np.random.default_rng(problem.training.seed)
    drawn = rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=problem.gate.resamples)
    counts = np.vstack([np.ones(n_blocks), drawn.astype(np.float64)])  # first the sample itself
    found: dict[str, Array] = {}
    if problem.label.task == "regression":
        found["rmse"] = np.sqrt(_means(metrics.row_losses("squared_error", y, score), code, counts))
    else:
        found["log_loss"] = _means(metrics.row_losses("log_loss", y, score), code, counts)
    if problem.label.task == "binary":
        found["auc"] = _aucs(y, score, code, counts)
    tail = (1 - problem.gate.confidence) / 2
    return {
        name: Interval(
            value=float(values[0]),
            lower=float(np.quantile(values[1:], tail)),
            upper=float(np.quantile(values[1:], 1 - tail)),
        )
        for name, values in found.items()
        if np.isfinite(values).all()
    }


def _means(loss: Array, code: npt.NDArray[np.intp], counts: Array) -> Array:
    n_blocks = counts.shape[1]
    sums, sizes = np.bincount(code, loss, n_blocks), np.bincount(code, minlength=n_blocks)
    return np.asarray((counts @ sums) / (counts @ sizes))


def _aucs(y: Array, score: Array, code: npt.NDArray[np.intp], counts: Array) -> Array:
    """AUC of weighted rows under each draw, ties half; NaN where a class is absent."""
    order = np.argsort(score, kind="stable")
    truth, code, ranked = y[order] == 1, code[order], score[order]
    # Where a run of equal scores begins and ends: its negatives count half.
    starts = np.searchsorted(ranked, ranked[truth], side="left")
    ends = np.searchsorted(ranked, ranked[truth], side="right")
    found = []
    for chunk in np.array_split(counts, max(len(counts) // _CHUNK, 1)):
        weight = chunk[:, code]
        negative = np.pad(np.cumsum(np.where(truth, 0.0, weight), axis=1), ((0, 0), (1, 0)))
        positive = weight[:, truth]
        wins = (positive * (negative[:, starts] + negative[:, ends]) / 2).sum(axis=1)
        pairs = positive.sum(axis=1) * negative[:, -1]
        found.append(np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))
    return np.concatenate(found)
