"""How good scores are: log loss, AUC, and what no skill would reach. Home of scikit-learn."""

import numpy as np
import numpy.typing as npt

from retrue.errors import TrainingError

Array = npt.NDArray[np.float64]
# The smallest distance to 0 and 1 that scikit-learn's log_loss lets a float64 score have.
EPSILON = float(np.finfo(np.float64).eps)


def log_loss(y: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Mean negative log likelihood (nats a row) of binary labels; lower is better.

    Parameters
    ----------
    y : array-like, shape (n_rows,)
        Labels 0 or 1; one class alone is allowed.
    score : array-like, shape (n_rows,)
        Probabilities of label 1; exact 0 and 1 are moved inward by 2.2e-16.

    Raises
    ------
    TrainingError
        When there are no rows, lengths differ, a label is not 0 or 1, or a score is NaN or
        outside 0 to 1.
    """
    from sklearn import metrics

    labels, scores = checked(y, score)
    return float(metrics.log_loss(labels, scores, labels=[0, 1]))


def auc(y: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Area under the ROC curve, 0 to 1: the chance that a 1 scores above a 0, ties half.

    Parameters
    ----------
    y : array-like, shape (n_rows,)
        Labels 0 or 1, both present.
    score : array-like, shape (n_rows,)
        Probabilities of label 1.

    Raises
    ------
    TrainingError
        As `log_loss`, and when the labels hold one class only.
    """
    from sklearn import metrics

    labels, scores = checked(y, score)
    if labels.min() == labels.max():
        raise TrainingError(
            "labels of both classes",
            f"only class {int(labels[0])} in {len(labels)} rows",
            "AUC",
            "score a longer span, or use log_loss",
        )
    return float(metrics.roc_auc_score(labels, scores))


def no_skill(y_train_rate: float, y: npt.ArrayLike) -> dict[str, float]:
    """Return what the constant score `y_train_rate` reaches: log_loss, and an AUC of one half.

    Parameters
    ----------
    y_train_rate : float
        Share of label 1 in the training span, 0 to 1.
    y : array-like, shape (n_rows,)
        Labels 0 or 1 of the rows to judge on.

    Raises
    ------
    TrainingError
        As `log_loss`.
    """
    labels = np.asarray(y)
    return {"log_loss": log_loss(labels, np.full(len(labels), y_train_rate)), "auc": 0.5}


def row_log_loss(y: Array, score: Array) -> Array:
    """Log loss of each row (n_rows,) for inputs that passed `checked`."""
    right = np.clip(np.where(y == 1, score, 1 - score), EPSILON, 1 - EPSILON)
    return np.asarray(-np.log(right), dtype=np.float64)


def checked(y: npt.ArrayLike, score: npt.ArrayLike) -> tuple[Array, Array]:
    """Labels and scores as float64 (n_rows,).

    Raises
    ------
    TrainingError
        When there are no rows, lengths differ, a label is not 0 or 1, or a score is NaN or
        outside 0 to 1.
    """
    labels, scores = np.asarray(y, dtype=np.float64), np.asarray(score, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape or not len(labels):
        raise TrainingError(
            "as many scores as labels, at least one",
            f"shapes {scores.shape} and {labels.shape}",
            "scores",
            "score the same rows that carry the labels",
        )
    strange = np.flatnonzero((labels != 0) & (labels != 1))
    if len(strange):
        raise TrainingError(
            "labels 0 or 1",
            f"{labels[strange[0]]:g}",
            f"label of row {strange[0]}",
            "leave out rows without a label",
        )
    bad = np.flatnonzero(~((scores >= 0) & (scores <= 1)))
    if len(bad):
        raise TrainingError(
            "scores from 0 to 1",
            f"{scores[bad[0]]:g} ({len(bad)} such rows)",
            f"score of row {bad[0]}",
            "mend the model: a NaN must not be judged",
        )
    return labels, scores
