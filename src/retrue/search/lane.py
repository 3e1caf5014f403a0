"""One lane of a search: ask for a trial, score it fold by fold, tell, until the budget is spent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from retrue.search.trials import fold_results

if TYPE_CHECKING:
    from collections.abc import Callable

    from retrue.search.evaluate import FoldScore
    from retrue.search.recipe import Recipe
    from retrue.search.study import Study
    from retrue.search.trials import TrialRecord

    Tell = Callable[[TrialRecord, str], None]


class Scorer(Protocol):
    """Scores a recipe on a fold, here or elsewhere; None when the deadline passed."""

    def score(self, recipe: Recipe, k: int, deadline: float, bar: float) -> FoldScore | None:
        """Fit on fold `k` and follow the loss, no further than it may reach `bar`."""


def work(study: Study, scorer: Scorer, n_folds: int, deadline: float, tell: Tell) -> int:
    """Run trials until `deadline` (seconds since the epoch) or the study's bound of trials.

    Returns
    -------
    int
        Number of trials of this lane that were closed with a result.
    """
    n_closed = 0
    while time.time() < deadline:
        asked = study.ask()
        if asked is None:
            break
        trial, recipe, _ = asked
        try:
            scores: list[FoldScore] = []
            goes_on = True
            while goes_on and len(scores) < n_folds:
                score = scorer.score(recipe, len(scores), deadline, study.bar(len(scores)))
                if score is None:
                    study.fail(trial)
                    return n_closed
                scores.append(score)
                goes_on = study.report(trial, fold_results(scores)[1]) and not score.is_behind
        except BaseException:
            study.fail(trial)
            raise
        n_rounds, folds = fold_results(scores)
        is_pruned = scores[-1].is_behind or (not goes_on and len(scores) < n_folds)
        fitted = recipe.model_copy(update={"num_boost_round": n_rounds})
        value = study.finish(trial, fitted, folds, is_pruned=is_pruned)
        n_closed += 1
        what = f"trial {trial.number} {recipe.algorithm}, {fitted.n_leaves:,} leaves"
        spent = sum(score.seconds for score in scores)
        said = f"pruned after fold {len(scores)}" if value is None else f"{value:.4f}"
        closed = next(one for one in study.records() if one.number == trial.number)
        tell(closed, f"{what}: {said} in {spent:.1f} s")
    return n_closed
