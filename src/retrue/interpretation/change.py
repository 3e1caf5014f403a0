"""Explanation change: reasons for a human to look although the figures pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from retrue.errors import TrainingError
from retrue.interpretation import explain
from retrue.interpretation.explain import Explanation, FeatureEffect
from retrue.interpretation.ranking import ndcg

if TYPE_CHECKING:
    import pandas as pd

    from retrue.config import Interpretation, Problem
    from retrue.refs import BundleRef

FLIPPED_AT = 0.5
"""A direction counts when at least three of four ICE lines go that way more than the other."""


class ExplanationChange(BaseModel):
    """How a challenger's explanation differs from the champion's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ndcg: float
    """Rank agreement of the attributions, 0 to 1; the champion's attributions are the gains."""
    flipped: tuple[str, ...]
    """Top features whose ICE lines went one way and now go the other."""
    doubts: tuple[str, ...]
    """Reasons for a human to look; none where nothing is out of bounds."""


def explanation_change(
    ours: Explanation, theirs: Explanation, bounds: Interpretation
) -> ExplanationChange:
    """Compare a challenger's explanation (ours) with the champion's, of the same rows.

    A feature that one of them does not have is attributed nothing there. A direction is flipped
    when the feature is among the first `top_features` of either and the shares of rising and
    falling ICE lines differ by half or more, in opposite ways.
    """
    mine = {one.name: one for one in ours.features}
    before = {one.name: one for one in theirs.features}
    names = list(dict.fromkeys([*before, *mine]))
    agreement = float(
        ndcg(
            [before[name].mean_abs_shap if name in before else 0.0 for name in names],
            [mine[name].mean_abs_shap if name in mine else 0.0 for name in names],
        )
    )
    n = bounds.top_features
    top = dict.fromkeys(one.name for one in (*theirs.features[:n], *ours.features[:n]))
    turns = {
        name: ways
        for name in top
        if name in mine and name in before and (ways := _turns(before[name], mine[name]))
    }
    doubts = []
    if agreement < bounds.ndcg_below:
        doubts.append(
            f"explanation change: the features' ranking agrees with the champion's to nDCG"
            f" {agreement:.3f}, below {bounds.ndcg_below:g} (it was led by {_led(theirs)}, now by"
            f" {_led(ours)})"
        )
    doubts += [f"explanation change: {name} {'; '.join(ways)}" for name, ways in turns.items()]
    return ExplanationChange(ndcg=agreement, flipped=tuple(turns), doubts=tuple(doubts))


def challenge(
    problem: Problem, challenger: BundleRef, champion: BundleRef | None, holdout: pd.DataFrame
) -> tuple[str, ...]:
    """Explain a challenger on held-out rows, keep that, and give the doubts of the comparison.

    A model that cannot be explained is a doubt itself; without a champion there is no other.
    """
    try:
        ours = explain.summarise(challenger, holdout, problem)
        explain.keep(challenger, ours)
        if champion is None:
            return ()
        theirs = explain.summarise(champion, holdout, problem)
    except TrainingError as error:
        return (f"explanation change cannot be told: {error}",)
    return explanation_change(ours, theirs, problem.interpretation).doubts


def _turns(before: FeatureEffect, now: FeatureEffect) -> list[str]:
    """What a person reads of each direction that is now the opposite."""
    if before.by_class and now.by_class:
        pairs = [
            (f" for {name}", was, now.by_class[name])
            for name, was in before.by_class.items()
            if name in now.by_class
        ]
    elif before.direction is not None and now.direction is not None:
        pairs = [("", before.direction, now.direction)]
    else:
        return []
    return [
        f"{'raised' if was > 0 else 'lowered'} the score{where} ({was:+.2f} of ICE lines), now"
        f" {'raises' if is_ > 0 else 'lowers'} it ({is_:+.2f})"
        for where, was, is_ in pairs
        if was * is_ < 0 and min(abs(was), abs(is_)) >= FLIPPED_AT
    ]


def _led(found: Explanation) -> str:
    return ", ".join(one.name for one in found.features[:3]) or "none"
