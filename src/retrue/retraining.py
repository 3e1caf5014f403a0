"""How a retraining goes about it: the champion's recipe first, a search only where it may help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.search.recipe import apply

if TYPE_CHECKING:
    from retrue.config import Problem
    from retrue.verdicts import Verdict


def with_champions_recipe(problem: Problem) -> Problem:
    """The problem with the recipe of the version that serves; its own where there is none."""
    from retrue.search.run import serving_recipe

    found = serving_recipe(problem)
    return problem if found is None else apply(problem, found)


def with_confidence(problem: Problem, confidence: float) -> Problem:
    """The problem with another confidence of its gate."""
    gate = problem.gate.model_copy(update={"confidence": confidence})
    return problem.model_copy(update={"gate": gate})


def with_a_short_search(problem: Problem) -> Problem:
    """The problem with the budget that a retraining's search has."""
    budget_s = min(problem.retraining.search_s, problem.search.budget_s)
    search = problem.search.model_copy(update={"budget_s": budget_s})
    return problem.model_copy(update={"search": search})


def is_worth_a_search(problem: Problem, verdict: Verdict) -> bool:
    """Whether another recipe may make of a refusal a promotion.

    It may where the challenger was better on the hold-out but not beyond doubt, or was held up by
    something else than its gain. Where newer rows made it no better at all, the rows are at fault
    and not the recipe; where the gate had no figures, a search gives it none.
    """
    if verdict.promoted or problem.retraining.search != "when_refused" or verdict.gain is None:
        return False
    return verdict.gain > problem.gate.min_gain


def second_confidence(problem: Problem) -> float:
    """Confidence of the gate's second look at the same hold-out: half the error of the first.

    Two looks then err no more often than one and a half times as one (Bonferroni's bound).
    """
    return 1 - (1 - problem.gate.confidence) / 2
