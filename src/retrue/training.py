"""Fit one LightGBM model on a time-ordered split. Home of the lightgbm package."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retrue.config import Problem
from retrue.encoding_frame import encode_frame, fit_features
from retrue.errors import TrainingError
from retrue.metrics import auc, log_loss, row_log_loss
from retrue.serving.encoding import Feature

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_TRAIN_ROWS = 500
"""With fewer, a tree of 31 leaves has under 16 rows a leaf; LightGBM's own minimum is 20."""


@dataclass(frozen=True)
class Split:
    """Labelled rows in time order: `train` ends where `holdout` begins."""

    train: pd.DataFrame
    holdout: pd.DataFrame
    cut: pd.Timestamp


@dataclass(frozen=True)
class Fitted:
    """One fitted model with what is needed to serve, judge and reproduce it."""

    model_text: str
    features: list[Feature]
    metrics: dict[str, float]
    curve: dict[str, list[float]] = field(repr=False)
    """Log loss after each boosting round, by data set name."""


def midnight(day: date) -> pd.Timestamp:
    """Start of a UTC day."""
    return pd.Timestamp(day, tz="UTC")


def labelled(frame: pd.DataFrame, problem: Problem, until: date) -> pd.DataFrame:
    """Rows of the training span whose label is known at `until` (exclusive, UTC midnight)."""
    times = frame[problem.data.time]
    known_before = midnight(until - timedelta(days=problem.label.known_after_days))
    keep = (times >= midnight(problem.training.start)) & (times < known_before)
    return frame[keep & frame[problem.label.column].notna()]


def target(frame: pd.DataFrame, problem: Problem) -> NDArray[np.float64]:
    """Binary label of labelled rows, shape (n_samples,): 1.0 where the column exceeds the bound."""
    column = frame[problem.label.column].to_numpy(dtype=np.float64)
    return (column > problem.label.above).astype(np.float64)


def split(frame: pd.DataFrame, problem: Problem, until: date) -> Split:
    """Cut labelled rows by time: the newest `holdout_days` before `until` are held out.

    Raises
    ------
    TrainingError
        Too few rows on either side, or a single class in the training part.
    """
    rows = labelled(frame, problem, until)
    cut = midnight(until - timedelta(days=problem.training.holdout_days))
    older = rows[problem.data.time] < cut
    train, holdout = rows[older], rows[~older]
    where = f"{problem.name}, {problem.training.start} to {until}"
    if len(train) < MIN_TRAIN_ROWS or holdout.empty:
        raise TrainingError(
            f"at least {MIN_TRAIN_ROWS} labelled training rows and a filled hold-out",
            f"{len(train)} and {len(holdout)}",
            where,
            "widen the span, or shorten training.holdout_days",
        )
    if np.unique(target(train, problem)).size < 2:
        raise TrainingError(
            "both classes of the label",
            "one class only",
            f"{where}, column {problem.label.column}",
            "check label.above and the span",
        )
    return Split(train, holdout, cut)


def fit(parts: Split, problem: Problem) -> Fitted:
    """Fit `num_boost_round` trees (Ke et al. 2017, LightGBM), deterministic by the config's seed.

    The hold-out is scored for the metrics and the learning curve only; it chooses nothing.
    """
    import lightgbm as lgb

    features = fit_features(parts.train, problem.features.numeric, problem.features.categorical)
    names = [feature["name"] for feature in features]
    y_train, y_holdout = target(parts.train, problem), target(parts.holdout, problem)
    train_set = lgb.Dataset(
        encode_frame(parts.train, features),
        y_train,
        feature_name=names,
        categorical_feature=list(problem.features.categorical),
        free_raw_data=True,
    )
    holdout = train_set.create_valid(encode_frame(parts.holdout, features), y_holdout)
    score = np.empty_like(y_holdout)
    curve: list[float] = []

    def follow(probabilities: NDArray[np.float64], _: object) -> tuple[str, float, bool]:
        # LightGBM keeps these up to date round by round: scoring anew at the end costs 0.25 s more.
        score[:] = probabilities
        curve.append(float(row_log_loss(y_holdout, score).mean()))
        return "log_loss", curve[-1], False

    booster = lgb.train(
        _parameters(problem),
        train_set,
        problem.training.num_boost_round,
        valid_sets=[holdout],
        feval=follow,
    )
    base_rate = float(y_train.mean())
    constant = np.full_like(y_holdout, base_rate)
    return Fitted(
        model_text=booster.model_to_string(),
        features=features,
        metrics={
            "holdout_log_loss": log_loss(y_holdout, score),
            "holdout_auc": auc(y_holdout, score),
            "no_skill_log_loss": log_loss(y_holdout, constant),
            "train_base_rate": base_rate,
            "holdout_base_rate": float(y_holdout.mean()),
            "n_train": float(len(y_train)),
            "n_holdout": float(len(y_holdout)),
        },
        curve={"holdout_log_loss_by_round": curve},
    )


def score(model_text: str, features: list[Feature], frame: pd.DataFrame) -> NDArray[np.float64]:
    """Probabilities of the positive class, shape (n_samples,)."""
    import lightgbm as lgb

    booster = lgb.Booster(model_str=model_text)
    return np.asarray(booster.predict(encode_frame(frame, features)), dtype=np.float64)


def _parameters(problem: Problem) -> dict[str, Any]:
    """The config's parameters; those that make a run repeatable cannot be overridden."""
    return {
        **problem.training.params,
        "objective": "binary",
        "metric": "none",
        "seed": problem.training.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": problem.training.num_threads,
        "verbosity": -1,
    }
