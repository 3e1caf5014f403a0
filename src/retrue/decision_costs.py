"""From the canvas's costs to a threshold, and what its decisions would have cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.config import Problem


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
        Counts of both errors and, where both costs have one unit, their sum in it beside the
        cheaper of acting always and acting never. Empty for another task than a binary one.
    """
    if problem.label.task != "binary":
        return {}
    acts = score > decision_threshold(problem)
    n_alarms = float(np.sum(acts & (y == 0)))
    n_missed = float(np.sum(~acts & (y == 1)))
    found = {"holdout_false_positives": n_alarms, "holdout_false_negatives": n_missed}
    alarm, miss = problem.canvas.cost_false_positive, problem.canvas.cost_false_negative
    if alarm.unit != miss.unit:
        return found
    always, never = float(np.sum(y == 0)) * alarm.amount, float(np.sum(y == 1)) * miss.amount
    return {
        **found,
        "holdout_cost_total": n_alarms * alarm.amount + n_missed * miss.amount,
        "no_skill_cost_total": min(always, never),
    }
