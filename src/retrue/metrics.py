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


def average_precision(y: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Precision at each recall, weighted by the recall gained there; 0 to 1.

    The base rate without skill. Labels 0 or 1 with at least one 1; scores as for `log_loss`.
    """
    from sklearn import metrics

    return float(metrics.average_precision_score(*checked(y, score)))


def summary(task: str, y: Array, score: Array, no_skill: Array) -> dict[str, float]:
    """Metrics of a hold-out by their names.

    Parameters
    ----------
    task : str
        `binary`, `multiclass` or `regression`.
    y : ndarray, shape (n_rows,)
        Labels as `retrue.splits.target` gives them.
    score : ndarray, shape (n_rows,) or (n_rows, n_classes)
        What the model says of the same rows.
    no_skill : ndarray, shape () or (n_classes,)
        What would be said of every row without any model.

    Returns
    -------
    dict
        Beside each loss the same of no skill; errors of a regression in the target's unit.
    """
    constant = np.broadcast_to(no_skill, score.shape)
    if task == "regression":
        return {
            "holdout_rmse": float(np.sqrt(np.mean((y - score) ** 2))),
            "holdout_mae": float(np.mean(np.abs(y - score))),
            "no_skill_rmse": float(np.sqrt(np.mean((y - constant) ** 2))),
            "train_mean": float(no_skill),
            "holdout_mean": float(y.mean()),
        }
    found = {
        "holdout_log_loss": float(row_losses("log_loss", *checked(y, score)).mean()),
        "no_skill_log_loss": float(row_losses("log_loss", *checked(y, constant)).mean()),
    }
    if task == "multiclass":
        accuracy = float(np.mean(score.argmax(axis=1) == y))
        return {**found, "holdout_accuracy": accuracy, "n_classes": float(score.shape[1])}
    return {
        **found,
        "holdout_auc": auc(y, score),
        "train_base_rate": float(no_skill),
        "holdout_base_rate": float(y.mean()),
    }


def row_log_loss(y: Array, score: Array) -> Array:
    """Log loss of each row (n_rows,) for inputs that passed `checked`."""
    right = np.clip(np.where(y == 1, score, 1 - score), EPSILON, 1 - EPSILON)
    return np.asarray(-np.log(right), dtype=np.float64)


def row_losses(metric: str, y: Array, score: Array) -> Array:
    """Loss of each row, shape (n_rows,), for inputs that passed `checked`.

    `log_loss`: nats, of the probability given to what came true; a class the model does not know
    (label -1) had none. `squared_error`: the square of the target's unit.
    """
    if metric == "squared_error":
        return np.asarray((y - score) ** 2, dtype=np.float64)
    if score.ndim == 1:
        return row_log_loss(y, score)
    known = np.take_along_axis(score, np.maximum(y, 0).astype(np.intp)[:, None], axis=1)[:, 0]
    right = np.clip(np.where(y >= 0, known, 0.0), EPSILON, 1 - EPSILON)
    return np.asarray(-np.log(right), dtype=np.float64)


def checked(
    y: npt.ArrayLike, score: npt.ArrayLike, metric: str = "log_loss"
) -> tuple[Array, Array]:
    """Labels and scores as float64, each (n_rows,), or (n_rows, n_classes) for several classes.

    Raises
    ------
    TrainingError
        When there are no rows, lengths differ, a label is not one of the classes (not finite, for
        a regression), or a score is NaN or outside 0 to 1 (not finite, for a regression).
    """
    labels, scores = np.asarray(y, dtype=np.float64), np.asarray(score, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape[:1] or not len(labels):
        raise TrainingError(
            "as many scores as labels, at least one",
            f"shapes {scores.shape} and {labels.shape}",
            "scores",
            "score the same rows that carry the labels",
        )
    if metric == "squared_error":
        fits, good = np.isfinite(labels), np.isfinite(scores)
        labels_wanted = scores_wanted = "finite numbers"
    else:
        n_classes = 2 if scores.ndim == 1 else scores.shape[1]
        lowest = 0 if scores.ndim == 1 else -1  # -1: a class the model does not know
        fits = np.isin(labels, np.arange(lowest, n_classes))
        good = (scores >= 0) & (scores <= 1)
        labels_wanted = "labels 0 or 1" if scores.ndim == 1 else f"labels below {n_classes}"
        scores_wanted = "scores from 0 to 1"
    strange = np.flatnonzero(~fits)
    if len(strange):
        raise TrainingError(
            labels_wanted,
            f"{labels[strange[0]]:g}",
            f"label of row {strange[0]}",
            "leave out rows without a label",
        )
    bad = np.flatnonzero(~good.reshape(len(labels), -1).all(axis=1))
    if len(bad):
        worst = scores.reshape(len(labels), -1)[bad[0]]
        raise TrainingError(
            scores_wanted,
            f"{', '.join(f'{value:g}' for value in worst)} ({len(bad)} such rows)",
            f"score of row {bad[0]}",
            "mend the model: a NaN must not be judged",
        )
    return labels, scores
