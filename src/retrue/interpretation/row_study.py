"""All there is to say about single rows: contributions, what if, and what would flip them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from retrue.interpretation.counterfactual import Search, counterfactual
from retrue.interpretation.kernel import Agreement, kernel_shap
from retrue.interpretation.ranking import ndcg
from retrue.interpretation.what_if import Reach, reaches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrue.config import Problem
    from retrue.interpretation.explained_model import ExplainedModel, Floats
    from retrue.interpretation.seen_values import SeenValues


@dataclass(frozen=True)
class Picked:
    """A row to study, and why."""

    title: str
    note: str
    encoded: Floats
    raw: dict[str, Any]


@dataclass(frozen=True)
class RowStudy:
    """One row explained; of several classes, for the class that was decided."""

    title: str
    note: str
    raw: dict[str, Any]
    scores: tuple[float, ...]
    decision: int
    output: int
    """Which score is explained."""
    margin: float
    base: float
    tree_shap: Floats
    """Shape (n_features,); with the base they add up to the margin."""
    kernel_shap: Floats
    agreement: float
    """nDCG of the row's own ranking of features with the global one."""
    reaches: list[Reach]
    search: Search

    @property
    def score(self) -> float:
        """Of the explained output."""
        return self.scores[self.output]


def study_rows(
    model: ExplainedModel,
    picked: Sequence[Picked],
    seen: Sequence[SeenValues],
    background: Floats,
    overall: Floats,
    problem: Problem,
) -> tuple[list[RowStudy], Agreement]:
    """Explain rows by TreeSHAP, Kernel SHAP, perturbation and counterfactuals.

    Parameters
    ----------
    picked : sequence of Picked
        At least one.
    seen : sequence of SeenValues
        Of the features that may move the score.
    background : ndarray, shape (n_rows, n_columns)
        Encoded rows that stand for what is not known.
    overall : ndarray, shape (n_features,)
        Global importance, for the gap.
    """
    rows = np.stack([one.encoded for one in picked])
    scores, margins = model.scores(rows), model.margins(rows)
    decisions = model.decisions(scores)
    outputs = decisions if model.classes else np.zeros(len(rows), dtype=np.intp)
    contributions, base = model.contributions(rows)
    mine = contributions[np.arange(len(rows)), outputs]
    seed, may_change = problem.interpretation.seed, problem.interpretation.may_change
    kernel = kernel_shap(model, rows, outputs, background, mine, seed)
    agreements = ndcg(np.abs(contributions).sum(axis=1), overall)
    studies = []
    for i, one in enumerate(picked):
        output = int(outputs[i])
        studies.append(
            RowStudy(
                title=one.title,
                note=one.note,
                raw={name: one.raw[name] for name in model.names},
                scores=tuple(scores[i].tolist()),
                decision=int(decisions[i]),
                output=output,
                margin=float(margins[i, output]),
                base=float(base[output]),
                tree_shap=mine[i],
                kernel_shap=kernel.values[i],
                agreement=float(agreements[i]),
                reaches=reaches(model, rows[i], list(seen), output),
                search=counterfactual(model, rows[i], one.raw, seen, may_change),
            )
        )
    return studies, kernel
