"""Champion and challenger on one hold-out: the gain, and all the figures that stand beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrue import bundles, calibrators, gate, splits, training
from retrue.decision_costs import decision_threshold
from retrue.evidence import calibration, figures, resampling, seeds, slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from retrue.config import Problem
    from retrue.metrics import Array
    from retrue.refs import BundleRef
    from retrue.verdicts import Verdict


@dataclass(frozen=True)
class Scores:
    """What is said of each row of the hold-out, shapes (n_rows,) or (n_rows, n_classes)."""

    challenger: Array
    champion: Array
    """Of the champion, or of no skill."""
    no_skill: Array
    twins: Sequence[Array] = ()
    """Of models that differ from the challenger in their seed alone."""


def compare(
    problem: Problem, parts: splits.Split, challenger: BundleRef, champion: BundleRef | None
) -> Verdict:
    """Score the hold-out with both models, or against no skill, and weigh what comes out."""
    ours = bundles.score_with(challenger, parts.holdout, parts.classes)
    rate = np.asarray(bundles.read_metrics(challenger)["no_skill"], dtype=np.float64)
    no_skill = np.broadcast_to(rate, ours.shape)
    theirs = no_skill
    if champion is not None:
        theirs = bundles.score_with(champion, parts.holdout, parts.classes)
    calibrator = bundles.read_calibrator(challenger)
    twins = [calibrators.apply(calibrator, one) for one in _twins(problem, parts)]
    threshold = decision_threshold(problem)
    return weigh(problem, parts, Scores(ours, theirs, no_skill, twins), threshold)


def weigh(problem: Problem, parts: splits.Split, scores: Scores, threshold: float) -> Verdict:
    """Weigh scores of the hold-out: gain, metrics with intervals, slices and calibration.

    Every figure has the same draws of days. What cannot be judged is refused with the reason and
    without figures.
    """
    rules, seed = problem.gate, problem.training.seed
    y = splits.target(parts.holdout, problem, parts.classes)
    days = splits.blocks(parts.holdout, problem)
    ours, theirs = scores.challenger, scores.champion
    verdict = gate.compare(y, theirs, ours, days, rules, seed, scores.twins)
    if verdict.gain is None:
        return verdict
    draws = resampling.draw(days, rules.resamples, seed)
    models = [ours, *scores.twins]

    def on_slice(rows: NDArray[np.intp]) -> tuple[Array, Array, Array]:
        of_models = [one[rows] for one in models]
        return gate.gain_draws(rules, y[rows], theirs[rows], of_models, draws.of_rows(rows), seed)

    metrics = figures.intervals(problem, y, ours, draws, threshold)
    found: dict[str, object] = {
        "metrics": metrics,
        "champion_metrics": figures.intervals(problem, y, theirs, draws, threshold),
        "slices": slices.gains(parts.holdout, rules, verdict.n_days, on_slice),
    }
    if problem.label.task != "regression":
        found["calibration"] = calibration.measure(y, ours, theirs, draws, rules)
    faults: list[str] = []
    if "auc" not in metrics:  # which tells whether there is any signal
        skill = gate.compare(y, scores.no_skill, ours, days, rules, seed)
        if skill.lower is not None and skill.lower <= 0:
            faults = [f"no signal: not shown to be better than no skill ({skill.reason})"]
    return gate.weigh(verdict.model_copy(update=found), rules, faults)


def _twins(problem: Problem, parts: splits.Split) -> list[NDArray[np.float64]]:
    """Scores of further models of the recipe; none where the seed changes nothing."""
    if not seeds.is_stochastic(problem.training.params, len(parts.train)):
        return []
    found = []
    for step in range(1, problem.gate.seeds + 1):
        training_section = problem.training.model_copy(
            update={"seed": (problem.training.seed + step) % 2**31}
        )
        other = problem.model_copy(update={"training": training_section})
        found.append(training.twin_scores(parts.train, parts.holdout, other, parts.classes))
    return found
