"""What any model must beat: a linear model and no model, on the same folds. Not deployable."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from retrue import metrics, training
from retrue.encoding_frame import encode_frame, fit_features
from retrue.serving.features import width

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.search.evaluate import Material

MAX_ROWS = 20_000
"""Rows that the linear model learns from: more change its third digit and take minutes."""


class Rival(BaseModel):
    """Losses of one rival on the folds, in the order of the folds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    losses: tuple[float, ...]
    aucs: tuple[float | None, ...]
    seconds: float


def rivals(of: Material, deadline: float = np.inf) -> tuple[Rival, ...]:
    """No skill (shares of the classes, or the mean) and a ridge or logistic regression.

    The linear model sees standardised numbers with the median for what is missing, and a column for
    each category that 1 % of the rows have. It is left out when `deadline` passes.
    """
    began = time.perf_counter()
    constant, linear = [], []
    for k, fold in enumerate(of.folds):
        y, truth = of.y[fold.train], of.y[fold.valid]
        constant.append(_scores(of, truth, np.broadcast_to(_shares(of, y), _shape(of, truth))))
        if time.time() < deadline:
            linear.append(_scores(of, truth, _linear(of, k)))
    spent = time.perf_counter() - began
    found = [_rival("no skill", constant, 0.0)]
    if len(linear) == len(of.folds):
        found.append(_rival("linear", linear, spent))
    return tuple(found)


def _rival(name: str, scores: list[tuple[float, float | None]], seconds: float) -> Rival:
    losses, aucs = zip(*scores, strict=True)
    return Rival(name=name, losses=losses, aucs=aucs, seconds=seconds)


def _shape(of: Material, y: NDArray[np.float64]) -> tuple[int, ...]:
    return (len(y), len(of.classes)) if of.classes else (len(y),)


def _shares(of: Material, y: NDArray[np.float64]) -> NDArray[np.float64]:
    if not of.classes:
        return np.asarray(y.mean())
    return np.bincount(y.astype(np.intp), minlength=len(of.classes)) / len(y)


def _scores(
    of: Material, y: NDArray[np.float64], scores: NDArray[np.float64]
) -> tuple[float, float | None]:
    loss = float(metrics.row_losses(training.loss_name(of.problem), y, scores).mean())
    is_ranked = of.problem.label.task == "binary" and y.min() < y.max()
    return loss, metrics.auc(y, scores) if is_ranked else None


def _linear(of: Material, k: int) -> NDArray[np.float64]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    fold, problem = of.folds[k], of.problem
    rng = np.random.default_rng(problem.search.seed)
    chosen = fold.train
    if len(chosen) > MAX_ROWS:
        chosen = np.sort(rng.choice(chosen, MAX_ROWS, replace=False))
    older, newer = of.train.iloc[chosen], of.train.iloc[fold.valid]
    features = fit_features(older, problem.features, problem.processing)
    is_category = np.repeat(
        [feature["kind"] == "categorical" for feature in features],
        [width(feature) for feature in features],
    )
    x, x_new = _design(encode_frame(older, features), encode_frame(newer, features), is_category)
    y = of.y[chosen]
    if problem.label.task == "regression":
        return np.asarray(Ridge(alpha=1.0).fit(x, y).predict(x_new), dtype=np.float64)
    if y.min() == y.max():
        return np.broadcast_to(_shares(of, y), _shape(of, of.y[fold.valid]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = LogisticRegression(C=0.1, max_iter=50).fit(x, y)
    scores: NDArray[np.float64] = found.predict_proba(x_new)
    if not of.classes:
        return scores[:, 1]
    whole = np.zeros((len(x_new), len(of.classes)))
    whole[:, found.classes_.astype(np.intp)] = scores
    return whole


def _design(
    x: NDArray[np.float64], x_new: NDArray[np.float64], is_category: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns of a linear model for the rows it learns from and those it scores."""
    pairs: list[Any] = []
    for j, category in enumerate(is_category):
        old, new = x[:, j], x_new[:, j]
        if category:
            codes, counts = np.unique(old[~np.isnan(old)], return_counts=True)
            for code in codes[counts >= len(old) * 0.01]:
                pairs.append(((old == code).astype(float), (new == code).astype(float)))
            continue
        known = old[np.isfinite(old)]
        if not len(known) or np.ptp(known) == 0:
            continue
        middle, spread = np.median(known), known.std()
        filled = [np.where(np.isfinite(one), one, middle) for one in (old, new)]
        # Beyond three deviations a line says nothing sensible.
        pairs.append(tuple(np.clip((one - known.mean()) / spread, -3, 3) for one in filled))
    if not pairs:
        return np.zeros((len(x), 1)), np.zeros((len(x_new), 1))
    return np.column_stack([old for old, _ in pairs]), np.column_stack([new for _, new in pairs])
