"""Fit calibrators on held-out time, and keep one only where it helps on later time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrue import metrics
from retrue.serving.calibration import Calibrator, calibrate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.metrics import Array

# Below it isotonic regression overfits, a sigmoid does not (Niculescu-Mizil & Caruana 2005).
MIN_ISOTONIC_ROWS = 1_000
_STEPS = 50
_DONE = 1e-10


@dataclass(frozen=True)
class Choice:
    """The calibrator that helped most on the later part, None when none did."""

    calibrator: Calibrator | None
    before: float
    """Log loss of the later part as the model scores it."""
    after: float
    """The same with the calibrator."""


def choose(y: Array, score: Array, y_later: Array, score_later: Array) -> Choice:
    """Fit each calibrator on one part and keep the best on a later one, if it lowers its log loss.

    Parameters
    ----------
    y, y_later : ndarray, shapes (n_rows,) and (n_later,)
        0 or 1, or positions of classes.
    score, score_later : ndarray, shapes (n_rows,) or (n_rows, n_classes), and as many columns
        Probabilities of a model that has seen neither part.

    Returns
    -------
    Choice
        Without a calibrator also when a part is empty or the first lacks a class.
    """
    if not len(y) or not len(y_later):
        return Choice(None, float("nan"), float("nan"))
    before = _loss(y_later, score_later)
    best = Choice(None, before, before)
    for candidate in _candidates(y, score):
        after = _loss(y_later, apply(candidate, score_later))
        if after < best.after:
            best = Choice(candidate, before, after)
    return best


def apply(calibrator: Calibrator | None, score: Array) -> Array:
    """Calibrated scores, of the same shape; bit for bit what the server answers."""
    if calibrator is None:
        return score
    return np.array(calibrate(score.tolist(), calibrator), dtype=np.float64).reshape(score.shape)


def logistic(x: Array, target: Array) -> tuple[float, float] | None:
    """Offset and slope of a logistic regression on one column, by Newton's method.

    None when the column is constant or tells the classes apart entirely.
    """
    if np.ptp(x) == 0:
        return None
    theta = np.array([0.0, 1.0])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(theta[0] + theta[1] * x, -700, 700)))
        residual, weight = target - chance, chance * (1 - chance)
        slope = np.array([residual.sum(), residual @ x])
        cross = weight @ x
        bend = np.array([[weight.sum(), cross], [cross, weight @ (x * x)]])
        if np.linalg.cond(bend) > 1 / np.finfo(float).eps:
            return None
        step = np.linalg.solve(bend, slope)
        theta = theta + step
        if np.abs(step).max() < _DONE:
            return float(theta[0]), float(theta[1])
    return None


def logit(score: Array) -> Array:
    """Log odds; 0 and 1 are moved inward by 2.2e-16, as in the log loss."""
    inside = np.clip(score, metrics.EPSILON, 1 - metrics.EPSILON)
    return np.asarray(np.log(inside / (1 - inside)))


def _candidates(y: Array, score: Array) -> list[Calibrator]:
    if score.ndim > 1:
        return _softmax(y, score)
    return [*_sigmoid(y, score), *_isotonic(y, score)]


def _sigmoid(y: Array, score: Array) -> list[Calibrator]:
    n_positive = y.sum()
    n_negative = len(y) - n_positive
    if not n_positive or not n_negative:
        return []
    # Platt's targets: short of 0 and 1, so that a few well separated rows do not end in certainty.
    high, low = (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2)
    found = logistic(logit(score), np.where(y == 1, high, low))
    if found is None or found[1] <= 0:  # a falling curve would turn the order of the rows around
        return []
    return [Calibrator("sigmoid", scale=found[1], offsets=[found[0]])]


def _isotonic(y: Array, score: Array) -> list[Calibrator]:
    if len(y) < MIN_ISOTONIC_ROWS or y.min() == y.max():
        return []
    from sklearn.isotonic import isotonic_regression

    x, position, count = np.unique(score, return_inverse=True, return_counts=True)
    share = np.bincount(position, y) / count
    # Certainty is more than these rows can teach; one row that errs then costs 36 nats.
    rising = isotonic_regression(
        share, sample_weight=count, y_min=1 / (len(y) + 2), y_max=1 - 1 / (len(y) + 2)
    )
    first = np.flatnonzero(np.diff(rising, prepend=np.nan) != 0)
    last = np.append(first[1:] - 1, len(rising) - 1)
    kept = np.unique(np.concatenate([first, last]))
    return [Calibrator("isotonic", x=x[kept].tolist(), y=rising[kept].tolist())]


def _softmax(y: Array, score: Array) -> list[Calibrator]:
    """One scale for all classes and an offset each, by the convex log loss."""
    n_classes = score.shape[1]
    known = y >= 0
    truth = y[known].astype(np.intp)
    if len(np.unique(truth)) < n_classes:
        return []
    from scipy.optimize import minimize

    logs = np.log(np.maximum(score[known], metrics.EPSILON))
    is_truth = np.zeros(logs.shape)
    is_truth[np.arange(len(truth)), truth] = 1

    def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        raised = theta[0] * logs + theta[1:]
        raised -= raised.max(axis=1, keepdims=True)
        chance = np.exp(raised)
        chance /= chance.sum(axis=1, keepdims=True)
        missed = (chance - is_truth) / len(truth)
        mean = -np.log(np.maximum(chance[np.arange(len(truth)), truth], metrics.EPSILON)).mean()
        return float(mean), np.concatenate([[(missed * logs).sum()], missed.sum(axis=0)])

    start = np.concatenate([[1.0], np.zeros(n_classes)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B").x
    if not np.isfinite(found).all() or found[0] <= 0:
        return []
    return [Calibrator("softmax", scale=float(found[0]), offsets=found[1:].tolist())]


def _loss(y: Array, score: Array) -> float:
    return float(metrics.row_losses("log_loss", y, score).mean())
