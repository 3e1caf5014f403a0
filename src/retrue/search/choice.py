"""Which trial to take: the simplest one that is not told apart from the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from retrue.search.trials import TrialRecord, difference

if TYPE_CHECKING:
    from collections.abc import Sequence


class Choice(BaseModel):
    """The trial that was taken, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    best: int
    """The trial with the best value."""
    n_alike: int
    """Complete trials that are within one standard error of the best."""
    reason: str


def choose(
    trials: Sequence[TrialRecord], metric: str, *, is_drifting: bool = True
) -> Choice | None:
    """Take the least complex of the trials within one standard error of the best.

    The one-standard-error rule (Breiman et al. 1984, section 3.4.3) on paired differences: the best
    of many trials owes part of its lead to luck on these folds, and under drift a larger model
    loses more. Complexity is the number of leaves of the whole model. Where rows have no time
    (`is_drifting` is false), the folds are like the rows to come, and the best trial is taken.

    Returns
    -------
    Choice or None
        None when no trial is complete.
    """
    complete = [one for one in trials if one.state == "complete" and one.value is not None]
    if not complete:
        return None
    sign = -1.0 if metric == "auc" else 1.0
    best = min(complete, key=lambda one: (sign * (one.value or 0.0), one.number))
    alike = []
    for one in complete:
        gap = difference(one.folds, best.folds)
        if one is best or gap.mean <= gap.standard_error:
            alike.append(one)
    taken = best
    if is_drifting:
        taken = min(alike, key=lambda one: (one.recipe.n_leaves, one.number))
    return Choice(
        number=taken.number,
        best=best.number,
        n_alike=len(alike),
        reason=_reason(taken, best, len(alike), metric),
    )


def _reason(taken: TrialRecord, best: TrialRecord, n_alike: int, metric: str) -> str:
    said = f"trial {taken.number} ({taken.recipe.algorithm}): {metric} {taken.value:.4f}"
    if taken is best:
        return f"{said}, the best of {n_alike} within one standard error"
    gap = difference(taken.folds, best.folds)
    return (
        f"{said}, the simplest ({taken.recipe.n_leaves:,} leaves) of {n_alike} trials within one"
        f" standard error of the best, trial {best.number} ({best.value:.4f},"
        f" {best.recipe.n_leaves:,} leaves; loss {gap.mean:+.4f} ± {gap.standard_error:.4f})"
    )
