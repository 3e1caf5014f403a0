"""What a model leans on, in short: cheap enough for every training, and comparable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from retrue.errors import DataError
from retrue.files import write_atomically
from retrue.home import lake_dir
from retrue.interpretation.curves import curve
from retrue.interpretation.explained_model import ExplainedModel, Floats, load
from retrue.interpretation.seen_values import seen_values

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from retrue.config import Problem
    from retrue.refs import BundleRef

N_ROWS = 150
"""Rows of a summary: TreeSHAP takes 0.8 ms a row for 200 trees of 31 leaves. On the flights the
nDCG of two models' rankings from 100 rows has a standard deviation of .007 around that of 1,600."""
N_TREE_ROWS = 60_000
"""Trees times rows at most, down to 40 rows: a model of many classes or rounds must not hold up a
training."""
MIN_ROWS = 40
N_LINES = 60
"""ICE lines that decide a direction; a share of 60 lines has a standard error of at most .065."""
N_GRID = 6


class FeatureEffect(BaseModel):
    """What one feature does in a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    mean_abs_shap: float
    """Mean of the absolute contributions to the margin, of all classes."""
    share: float
    """Of the sum over all features, 0 to 1; 0 where nothing is attributed."""
    gain_share: float
    """Share of LightGBM's total gain."""
    direction: float | None
    """Of a number among the first features: share of the ICE lines that rise less those that fall.

    Of several classes that of the class it moves most.
    """
    by_class: dict[str, float] = {}
    """Directions of each class of a multiclass problem."""


class Explanation(BaseModel):
    """Features by falling mean |SHAP|, measured on `n_rows` rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[FeatureEffect, ...]
    n_rows: int
    unit: str
    """Of `mean_abs_shap`."""


def summarise(bundle: BundleRef, frame: pd.DataFrame, problem: Problem) -> Explanation:
    """Summarise the model of a bundle on a seeded sample of rows; see `summarise_model`.

    Two bundles given the same frame are summarised on the same rows, each as its own features
    encode them; of a model of more than 400 trees (rounds times classes) on the first of them.
    """
    return summarise_model(load(bundle, problem.training.num_threads), frame, problem)


def summarise_model(model: ExplainedModel, frame: pd.DataFrame, problem: Problem) -> Explanation:
    """Mean |TreeSHAP|, gain, and ICE directions of a model's features.

    Parameters
    ----------
    frame : DataFrame
        At least one row; of more than 150 a seeded sample is taken, the less of it the more trees
        there are.

    Raises
    ------
    DataError
        There is no row, or a column of the model is missing.
    TrainingError
        LightGBM cannot explain this kind of model.
    """
    if frame.empty:
        raise DataError("rows to explain the model on", "none", problem.name, "widen the span")
    seed = problem.interpretation.seed
    n_rows = min(N_ROWS, max(MIN_ROWS, N_TREE_ROWS // max(model.booster.num_trees(), 1)))
    rows = frame.sample(min(N_ROWS, len(frame)), random_state=seed).head(n_rows)
    matrix = model.encode(rows)
    contributions, _ = model.contributions(matrix)
    # Directions of twice the features that are compared: another model ranks a little otherwise.
    n_directions = 2 * problem.interpretation.top_features
    return effects(model, contributions, _directions(model, rows, contributions, n_directions))


def effects(
    model: ExplainedModel, contributions: Floats, directions: dict[str, Floats]
) -> Explanation:
    """Put contributions, shape (n_rows, n_outputs, n_features), and directions into words."""
    strength = np.abs(contributions).mean(axis=0)
    mean_abs = strength.mean(axis=0)
    shares = mean_abs / (mean_abs.sum() or 1.0)
    gain = model.importance("gain")
    gains = gain / (gain.sum() or 1.0)
    found = []
    for i in np.argsort(-mean_abs, kind="stable").tolist():
        ways = directions.get(model.names[i])
        found.append(
            FeatureEffect(
                name=model.names[i],
                mean_abs_shap=float(mean_abs[i]),
                share=float(shares[i]),
                gain_share=float(gains[i]),
                direction=None if ways is None else float(ways[strength[:, i].argmax()]),
                by_class={}
                if ways is None or not model.classes
                else dict(zip(model.classes, ways.tolist(), strict=True)),
            )
        )
    return Explanation(features=tuple(found), n_rows=len(contributions), unit=model.unit)


def kept_path(bundle: BundleRef) -> Path:
    """Where the explanation of a bundle, on the hold-out it was judged by, is kept."""
    return lake_dir(bundle.problem) / "explanations" / bundle.sha256[:16] / "explanation.json"


def kept(bundle: BundleRef) -> dict[str, bytes]:
    """Name and content of the explanation that was kept of a bundle; empty where none was."""
    path = kept_path(bundle)
    return {path.name: path.read_bytes()} if path.exists() else {}


def keep(bundle: BundleRef, found: Explanation) -> Path:
    """Keep the explanation of a bundle for its card and its registration."""
    path = kept_path(bundle)
    write_atomically(path, found.model_dump_json(indent=1))
    return path


def _directions(
    model: ExplainedModel, rows: pd.DataFrame, contributions: Floats, n: int
) -> dict[str, Floats]:
    """ICE directions of the numbers among the first `n` features."""
    mean_abs = np.abs(contributions).mean(axis=(0, 1))
    first = set(np.argsort(-mean_abs, kind="stable")[:n].tolist())
    numeric = [
        i for i in sorted(first) if model.features[i]["kind"] == "numeric" and mean_abs[i] > 0
    ]
    if not numeric:
        return {}
    seen = seen_values(rows, model)
    matrix = model.encode(rows.head(N_LINES))
    curves = {
        model.names[i]: curve(model, matrix, seen[i], N_GRID, margin=True)
        for i in numeric
        if len(seen[i].raw) > 1
    }
    return {name: found for name, one in curves.items() if (found := one.directions) is not None}
