"""Fit one LightGBM model on a split. Home of the lightgbm package."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from retrue import calibrators, checkpoint, metrics, splits
from retrue.decision_costs import decision_costs
from retrue.encoding_frame import (
    categorical_columns,
    encode_frame,
    encode_table,
    fit_features,
    matrix_columns,
)
from retrue.splits import Split, ages, target

if TYPE_CHECKING:
    import lightgbm as lgb
    import pandas as pd
    from numpy.typing import NDArray

    from retrue.checkpoint import Checkpoint
    from retrue.config import Problem
    from retrue.serving.calibration import Calibrator
    from retrue.serving.features import Feature

# Of the blocks of the training part, the newest that a calibrator is fitted and tried on: a fifth.
_CALIBRATION_SHARE = 0.2
BIN_ROWS = "bin_construct_sample_cnt", "subsample_for_bin"
"""LightGBM's names for how many rows it makes bins from; of more it draws as many by the seed."""
MOST_BIN_ROWS = 1_000_000
"""Five times LightGBM's own: bins of all rows cost little, the luck of a draw some further fits."""
# So that a fifth is one block to fit on and one to try on.
_MIN_BLOCKS = 10


@dataclass(frozen=True)
class Fitted:
    """One fitted model with what is needed to serve, judge and reproduce it."""

    model_text: str
    features: list[Feature]
    classes: tuple[str, ...]
    metrics: dict[str, float]
    no_skill: NDArray[np.float64]
    """What a model without skill would answer: the share of label 1, of each class, or the mean."""
    curve: dict[str, list[float]] = field(repr=False)
    """Mean loss of the hold-out after each boosting round; empty where a cluster fitted it."""
    checkpoint: Checkpoint = field(repr=False)
    """Missing values and balance of the classes, before and after processing."""
    calibrator: Calibrator | None = None
    """What corrects the model's scores, where that helped on held-out time."""
    holdout_scores: NDArray[np.float64] | None = field(default=None, repr=False)


def fit(parts: Split, problem: Problem) -> Fitted:
    """Fit `num_boost_round` trees (Ke et al. 2017, LightGBM), deterministic by the config's seed.

    The hold-out is scored for the metrics and the learning curve only; it chooses nothing. With
    `training.cluster` the workers of a Dask cluster fit the model, and there is no curve: scores of
    the hold-out by round would have to come from all workers, round by round.
    """
    features = fit_features(parts.train, problem.features, problem.processing)
    y_train = target(parts.train, problem, parts.classes)
    y_holdout = target(parts.holdout, problem, parts.classes)
    weights = _weights(parts.train, y_train, problem)
    loss = loss_name(problem)
    if problem.training.cluster:
        text = _fit_on_cluster(parts.train, y_train, features, weights, problem, parts.classes)
        curve: list[float] = []
        scores = score(text, features, parts.holdout)
    else:
        train_set = _dataset(parts.train, y_train, features, weights)
        text, curve, scores = _fit_here(train_set, parts, y_holdout, features, problem)
    no_skill = _no_skill(y_train, len(parts.classes))
    choice = _choose_calibrator(parts, problem)
    scores = calibrators.apply(choice.calibrator, scores)
    found = metrics.summary(problem.label.task, y_holdout, scores, no_skill)
    if problem.training.calibration != "none" and np.isfinite(choice.before):
        found |= {"calibration_loss_before": choice.before, "calibration_loss_after": choice.after}
    return Fitted(
        model_text=text,
        features=features,
        classes=parts.classes,
        metrics={
            **found,
            **decision_costs(problem, y_holdout, scores),
            "n_train": float(len(y_train)),
            "n_holdout": float(len(y_holdout)),
        },
        no_skill=no_skill,
        curve={f"holdout_{loss}_by_round": curve},
        checkpoint=checkpoint.checkpoint(
            parts.train,
            y_train,
            features,
            weights,
            task=problem.label.task,
            classes=parts.classes,
        ),
        calibrator=choice.calibrator,
        holdout_scores=scores,
    )


def _fit_here(
    train_set: lgb.Dataset,
    parts: Split,
    y_holdout: NDArray[np.float64],
    features: list[Feature],
    problem: Problem,
) -> tuple[str, list[float], NDArray[np.float64]]:
    """The model's text, the curve, and scores of the hold-out."""
    import lightgbm as lgb

    # Its labels are not LightGBM's business, which knows no class that training has not seen.
    valid = train_set.create_valid(encode_table(parts.holdout, features), np.maximum(y_holdout, 0))
    loss = loss_name(problem)
    score: NDArray[np.float64] = np.empty(0)
    curve: list[float] = []

    def follow(scores: NDArray[np.float64], _: object) -> tuple[str, float, bool]:
        # LightGBM keeps these up to date round by round: scoring anew at the end costs 0.25 s more.
        nonlocal score
        score = scores.copy()
        curve.append(float(metrics.row_losses(loss, y_holdout, score).mean()))
        return loss, curve[-1], False

    booster = lgb.train(
        parameters(problem, len(parts.classes)),
        train_set,
        problem.training.num_boost_round,
        valid_sets=[valid],
        feval=follow,
    )
    return booster.model_to_string(), curve, score


def _fit_on_cluster(
    train: pd.DataFrame,
    y: NDArray[np.float64],
    features: list[Feature],
    weights: NDArray[np.float64] | None,
    problem: Problem,
    classes: tuple[str, ...],
) -> str:
    from retrue import training_cluster

    return training_cluster.fit_text(
        problem.training.cluster,
        parameters(problem, len(classes)),
        problem.training.num_boost_round,
        encode_frame(train, features),
        y,
        weights,
        matrix_columns(features),
        categorical_columns(features),
    )


def twin_scores(
    train: pd.DataFrame, rows: pd.DataFrame, problem: Problem, classes: tuple[str, ...]
) -> NDArray[np.float64]:
    """Scores of `rows` by a model of the problem's recipe fitted to `train`, which is then let go.

    Returns
    -------
    ndarray of float64, shape (len(rows),) or (len(rows), len(classes))
        Not calibrated.
    """
    import lightgbm as lgb

    features = fit_features(train, problem.features, problem.processing)
    y = target(train, problem, classes)
    weights = _weights(train, y, problem)
    if problem.training.cluster:
        text = _fit_on_cluster(train, y, features, weights, problem, classes)
        return score(text, features, rows)
    booster = lgb.train(
        parameters(problem, len(classes)),
        _dataset(train, y, features, weights),
        problem.training.num_boost_round,
    )
    return np.asarray(booster.predict(encode_frame(rows, features)), dtype=np.float64)


def _weights(
    train: pd.DataFrame, y: NDArray[np.float64], problem: Problem
) -> NDArray[np.float64] | None:
    recipe = problem.training
    return row_weights(y, ages(train, problem), recipe.class_weights, recipe.half_life_days)


def row_weights(
    y: NDArray[np.float64],
    age_days: NDArray[np.float64],
    balance: Literal["none", "balanced"],
    half_life_days: float,
) -> NDArray[np.float64] | None:
    """Weights of rows, shape (n_samples,): of their class, times that of their age.

    Recent rows count more where the world drifts: a weight halves every `half_life_days`
    (exponential forgetting, Koychev 2000). None where all rows weigh alike.

    Examples
    --------
    >>> row_weights(np.array([0.0, 1.0]), np.array([10.0, 0.0]), "none", 10.0).round(2).tolist()
    [0.67, 1.33]
    """
    weights = checkpoint.class_weights(y, balance)
    if not half_life_days:
        return weights
    recent: NDArray[np.float64] = 0.5 ** (age_days / half_life_days)
    recent = recent / recent.mean()
    return recent if weights is None else weights * recent


def loss_name(problem: Problem) -> str:
    """The loss that a model of this task is fitted to."""
    return "squared_error" if problem.label.task == "regression" else "log_loss"


def score(model_text: str, features: list[Feature], frame: pd.DataFrame) -> NDArray[np.float64]:
    """Scores of each row, as the model gives them: a bundle's calibrator comes after it.

    Returns
    -------
    ndarray of float64, shape (n_samples,) or (n_samples, n_classes)
        Probability of the positive class, of each class, or the predicted value.
    """
    import lightgbm as lgb

    booster = lgb.Booster(model_str=model_text)
    return np.asarray(booster.predict(encode_frame(frame, features)), dtype=np.float64)


def _dataset(
    frame: pd.DataFrame,
    y: NDArray[np.float64],
    features: list[Feature],
    weights: NDArray[np.float64] | None,
) -> lgb.Dataset:
    import lightgbm as lgb

    return lgb.Dataset(
        encode_table(frame, features),
        y,
        weight=weights,
        feature_name=matrix_columns(features),
        categorical_feature=categorical_columns(features),
        free_raw_data=True,
    )


def _choose_calibrator(parts: Split, problem: Problem) -> calibrators.Choice:
    """Fit anew without the newest fifth of the blocks; their halves fit and try calibrators."""
    none = calibrators.Choice(None, np.nan, np.nan)
    if problem.training.calibration == "none":
        return none
    block = splits.blocks(parts.train, problem)
    names = np.unique(block)
    if len(names) < _MIN_BLOCKS:
        return none
    n_late = int(np.ceil(_CALIBRATION_SHARE * len(names)))
    late, later = block >= names[-n_late], block >= names[-(n_late // 2)]
    early, rows = parts.train[~late], parts.train[late]
    y = target(rows, problem, parts.classes)
    seen = target(early, problem, parts.classes)
    if len(np.unique(seen)) < max(2, len(parts.classes)):
        return none
    score = twin_scores(early, rows, problem, parts.classes)
    tries = later[late]
    return calibrators.choose(y[~tries], score[~tries], y[tries], score[tries])


def _no_skill(y: NDArray[np.float64], n_classes: int) -> NDArray[np.float64]:
    if not n_classes:
        return np.asarray(y.mean())
    return np.bincount(y.astype(np.intp), minlength=n_classes) / len(y)


def parameters(problem: Problem, n_classes: int) -> dict[str, Any]:
    """The config's parameters; those that make a run repeatable cannot be overridden."""
    is_told = any(name in problem.training.params for name in BIN_ROWS)
    return {
        **({} if is_told else {BIN_ROWS[0]: MOST_BIN_ROWS}),
        **problem.training.params,
        "objective": problem.training.params.get("objective", problem.label.task),
        **({"num_class": n_classes} if n_classes else {}),
        "metric": "none",
        "seed": problem.training.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": problem.training.num_threads,
        "verbosity": -1,
    }
