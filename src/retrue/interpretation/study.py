"""A model explained from all sides: what one page tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrue import bundles
from retrue.interpretation import asked_rows, explain, row_study
from retrue.interpretation.change import ExplanationChange, explanation_change
from retrue.interpretation.curves import Curve, curve
from retrue.interpretation.explained_model import ExplainedModel, Floats, load
from retrue.interpretation.gap import Gap, gap
from retrue.interpretation.mimic import Mimic, mimic
from retrue.interpretation.permutation import Permutation, permutation
from retrue.interpretation.row_study import Picked, RowStudy
from retrue.interpretation.seen_values import rows_as_json, seen_values
from retrue.serving.encoding import encode

if TYPE_CHECKING:
    import pandas as pd

    from retrue.config import Problem
    from retrue.interpretation.asked_rows import AskedRow
    from retrue.interpretation.explain import Explanation
    from retrue.interpretation.kernel import Agreement
    from retrue.refs import ModelRef

N_CURVE_ROWS = 200
N_GRID = 20
N_DIFFERENT = 3
"""Rows that differ most from the global ranking, told in short."""


@dataclass(frozen=True)
class Study:
    """A model version explained on held-out rows, all together and one by one."""

    ref: ModelRef
    model: ExplainedModel
    explanation: Explanation
    contributions: Floats
    """TreeSHAP of the held-out sample, shape (n_rows, n_outputs, n_features)."""
    base: Floats
    matrix: Floats
    """The same rows as the model sees them."""
    output: int
    """The class that is decided most often, whose curves and contributions are drawn; else 0."""
    sum_error: float
    """Largest difference between a margin and its contributions' sum."""
    splits: dict[str, float]
    """LightGBM's own count of splits, as shares."""
    permutation: Permutation
    mimic: Mimic
    curves: list[Curve]
    gap: Gap
    different: list[list[tuple[str, float]]]
    """First features, with their contributions, of the rows that differ most."""
    rows: list[RowStudy]
    kernel: Agreement
    champion: int | None
    """Version the explanation is compared with."""
    change: ExplanationChange | None


def study(
    problem: Problem, ref: ModelRef, asked: AskedRow | None = None, champion: ModelRef | None = None
) -> Study:
    """Explain a model version, and the row that is asked about, if one is.

    Parameters
    ----------
    ref, champion : ModelRef
        Model to explain, and the one whose explanation it is compared with.
    asked : AskedRow, optional
        It comes before the rows that are picked for contrast.

    Raises
    ------
    DataError
        The model's data version is gone, or the row that is asked about lacks a feature.
    TrainingError
        LightGBM cannot explain this kind of model.
    """
    settings = problem.interpretation
    model = load(ref.bundle, problem.training.num_threads)
    picked = [] if asked is None else [_asked(model, asked)]
    held, labels = asked_rows.holdout(problem, ref.bundle, model.classes)
    order = np.random.default_rng(settings.seed).permutation(len(held))
    chosen = np.sort(order[: settings.n_rows])
    sample = held.iloc[chosen]
    matrix = model.encode(sample)
    reference = bundles.read_reference(ref.bundle)
    background = model.encode(reference)
    seen = seen_values(reference, model)

    contributions, base = model.contributions(matrix)
    margins, scores = model.margins(matrix), model.scores(matrix)
    strength = np.abs(contributions).mean(axis=(0, 1))
    ranked = np.argsort(-strength, kind="stable").tolist()
    drawn = [i for i in ranked if len(seen[i].raw) > 1][: 2 * settings.top_features]
    curves = [curve(model, matrix[:N_CURVE_ROWS], seen[i], N_GRID) for i in drawn]
    directions = {one.values.name: ways for one in curves if (ways := one.directions) is not None}
    found = gap(contributions)
    picked += _contrasts(model, sample, matrix, scores, found)
    splits = model.importance("split")
    # What no tree asks about moves nothing: of 300 features that is most of the work.
    used = [one for one, n in zip(seen, splits, strict=True) if n]
    rows, kernel = row_study.study_rows(model, picked, used, background, strength, problem)
    return Study(
        ref=ref,
        model=model,
        explanation=explain.effects(model, contributions, directions),
        contributions=contributions,
        base=base,
        matrix=matrix,
        output=int(np.bincount(model.decisions(scores)).argmax()) if model.classes else 0,
        sum_error=float(np.abs(contributions.sum(axis=2) + base - margins).max()),
        splits=dict(zip(model.names, (splits / (splits.sum() or 1)).tolist(), strict=True)),
        permutation=permutation(model, matrix, labels[chosen], ranked, settings.seed),
        mimic=mimic(model, background, settings.seed),
        curves=curves,
        gap=found,
        different=[_first(model, contributions, i) for i in found.differ_most[:N_DIFFERENT]],
        rows=rows,
        kernel=kernel,
        champion=None if champion is None else champion.version,
        change=None if champion is None else _change(problem, ref, champion, held),
    )


def _asked(model: ExplainedModel, asked: AskedRow) -> Picked:
    encoded = np.array(encode([asked.values], model.features))
    note = ""
    if asked.score is not None:
        scores = model.scores(encoded[None, :])[0]
        now = scores.max() if model.classes else scores[0]
        same = "this version gives the same, bit for bit"
        if now != asked.score:
            same = f"this version gives {now:.6g}"
        note = f"Answered by version {asked.model_version} with {asked.score:.6g}; {same}."
    return Picked(asked.title, note, encoded, asked.values)


def _contrasts(
    model: ExplainedModel, sample: pd.DataFrame, matrix: Floats, scores: Floats, found: Gap
) -> list[Picked]:
    """Held-out rows worth a look: the least sure, the surest, the one explained most unusually."""
    if model.task == "multiclass":
        ordered = np.sort(scores, axis=1)
        sure = ordered[:, -1] - ordered[:, -2]
        wanted = [
            ("The least sure", "The two likeliest classes are closest.", int(sure.argmin())),
            ("The surest", "One class is furthest ahead.", int(sure.argmax())),
        ]
    elif model.task == "binary":
        near = np.abs(scores[:, 0] - model.threshold)
        wanted = [
            ("Nearest to the threshold", "", int(near.argmin())),
            ("The highest score", "", int(scores[:, 0].argmax())),
        ]
    else:
        wanted = [
            ("The highest prediction", "", int(scores[:, 0].argmax())),
            ("The lowest prediction", "", int(scores[:, 0].argmin())),
        ]
    wanted.append(
        (
            "Explained most unusually",
            "Its own ranking of features is furthest from the global one.",
            int(found.differ_most[0]),
        )
    )
    # One row may be two of them: it is told once.
    once = {at: (title, note, at) for title, note, at in reversed(wanted)}
    return [
        Picked(title, note, matrix[at], rows_as_json(sample.iloc[[at]], model.names)[0])
        for title, note, at in sorted(once.values(), key=wanted.index)
    ]


def _first(model: ExplainedModel, contributions: Floats, row: int) -> list[tuple[str, float]]:
    """Its four strongest features; of several classes, for the class they move most."""
    strength = np.abs(contributions[row]).sum(axis=0)
    order = np.argsort(-strength, kind="stable")[:4]
    output = int(np.abs(contributions[row]).sum(axis=1).argmax())
    return [(model.names[i], float(contributions[row, output, i])) for i in order]


def _change(
    problem: Problem, ref: ModelRef, champion: ModelRef, held: pd.DataFrame
) -> ExplanationChange:
    ours, theirs = (explain.summarise(one.bundle, held, problem) for one in (ref, champion))
    return explanation_change(ours, theirs, problem.interpretation)
