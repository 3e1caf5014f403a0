"""From the canvas's costs to a threshold, and what its decisions would have cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.config import Problem


Counts = TypeVar("Counts", float, "NDArray[np.float64]")


def decision_threshold(problem: Problem) -> float:
    """Probability above which acting is cheaper than not acting (Elkan 2001, eq. 2).

    Of a binary problem; the others decide without a threshold.
    """
    false_positive = problem.canvas.cost_false_positive.amount
    false_negative = problem.canvas.cost_false_negative.amount
    total = false_positive + false_negative
    return false_positive / total if total else 0.5


def decision_costs(
    problem: Problem, y: NDArray[np.float64], score: NDArray[np.float64]
) -> dict[str, float]:
    """What deciding by the threshold would have cost on labelled rows.

    Parameters
    ----------
    problem : Problem
        Its canvas names the costs of both errors.
    y : ndarray, shape (n_samples,)
        Labels 0.0 or 1.0.
    score : ndarray, shape (n_samples,)
        Probabilities of label 1; NaN never acts.

    Returns
    -------
    dict
        Counts of both errors and what they cost, beside the cheaper of acting always and acting
        never. Empty for another task than a binary one.
    """
    if problem.label.task != "binary":
        return {}
    acts = score > decision_threshold(problem)
    n_alarms = float(np.sum(acts & (y == 0)))
    n_missed = float(np.sum(~acts & (y == 1)))
    always = error_cost(problem, float(np.sum(y == 0)), 0.0)
    never = error_cost(problem, 0.0, float(np.sum(y == 1)))
    return {
        "holdout_false_positives": n_alarms,
        "holdout_false_negatives": n_missed,
        "holdout_cost_total": error_cost(problem, n_alarms, n_missed),
        "no_skill_cost_total": min(always, never),
    }


def error_cost(problem: Problem, n_alarms: Counts, n_missed: Counts) -> Counts:
    """What errors cost, in the canvas's unit: both have the same."""
    alarm, miss = problem.canvas.cost_false_positive, problem.canvas.cost_false_negative
    return n_alarms * alarm.amount + n_missed * miss.amount
