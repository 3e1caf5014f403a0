"""One explanation from the question to the page, and into the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from retrue import interpretation_page, tracking
from retrue.config import Problem
from retrue.interpretation import explain
from retrue.interpretation.asked_rows import AskedRow, given_row, predicted_row
from retrue.interpretation.change import ExplanationChange
from retrue.interpretation.explain import Explanation
from retrue.interpretation.row_study import RowStudy
from retrue.interpretation.study import Study, study
from retrue.refs import ModelRef

FOLDER = "explanations"
"""Of a run's artifacts."""


class RowExplained(BaseModel):
    """Why one row got its score, and what would flip its decision."""

    model_config = ConfigDict(frozen=True)

    title: str
    score: float
    decision: int | str | None
    margin: float
    base: float
    contributions: dict[str, float]
    """By falling size; with the base they add up to the margin."""
    counterfactual: list[dict[str, Any]]
    """Changes (column, before, after, distance); empty where none was found."""
    said: str


class Explained(BaseModel):
    """What an explanation leaves behind, in figures; the page has all of it."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    page: Path
    artifact: str
    """Of the MLflow run of the model version."""
    model_version: int
    explanation: Explanation
    shap_sum_error: float
    kernel_correlation: float | None
    mimic_r2: float
    mimic_agreement: float | None
    gap_median_ndcg: float
    change: ExplanationChange | None
    """Against the champion, where there is another one."""
    row: RowExplained | None
    """The row that was asked about."""


def ask(problem: str, prediction_id: str, row: str) -> AskedRow | None:
    """The row that is asked about: a logged prediction, or a JSON object or a file with one."""
    if prediction_id:
        return predicted_row(problem, prediction_id)
    return given_row(row) if row else None


def explain_model(
    problem: Problem, model: ModelRef, champion: ModelRef | None, asked: AskedRow | None = None
) -> Explained:
    """Explain a model version, write its page, log both to its run and name them in the registry.

    The page about one row has a name of its own and is not in the registry: it may hold what a
    person sent.
    """
    found = study(problem, model, asked, champion)
    path = interpretation_page.write_page(problem, found, asked.name if asked else "")
    general = interpretation_page.page_path(model)
    artifact = f"{FOLDER}/{general.name}"
    if asked is None:
        tracking.attach_files(model.run_id, [explain.keep(model.bundle, found.explanation)])
        leads = ", ".join(one.name for one in found.explanation.features[:3])
        tags = {
            "retrue.explanation_page": artifact,
            "retrue.explanation": (
                f"led by {leads}; a 12-leaf tree imitates it to R2 {found.mimic.r2:.2f}"
            ),
        }
        tracking.attach(model, [path], FOLDER, tags)
    correlation = found.kernel.correlation
    return Explained(
        page=path,
        artifact=artifact if asked is None else "",
        model_version=model.version,
        explanation=found.explanation,
        shap_sum_error=found.sum_error,
        kernel_correlation=None if np.isnan(correlation) else correlation,
        mimic_r2=found.mimic.r2,
        mimic_agreement=found.mimic.agreement,
        gap_median_ndcg=float(np.median(found.gap.ndcg)),
        change=found.change,
        row=_row(found, found.rows[0]) if asked else None,
    )


def _row(found: Study, row: RowStudy) -> RowExplained:
    model = found.model
    decision: int | str | None = row.decision if model.task == "binary" else None
    order = np.argsort(-np.abs(row.tree_shap), kind="stable").tolist()
    flip = row.search.found
    return RowExplained(
        title=row.title,
        score=row.score,
        decision=model.classes[row.decision] if model.classes else decision,
        margin=row.margin,
        base=row.base,
        contributions={model.names[i]: float(row.tree_shap[i]) for i in order},
        counterfactual=[
            {"column": c.name, "before": c.before, "after": c.after, "distance": c.distance}
            for c in (flip.changes if flip else ())
        ],
        said=row.search.said,
    )
