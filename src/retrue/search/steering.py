"""What steers a study: the sampler, and what stops a trial before its last fold."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from retrue.search.trials import FoldResult, difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    import optuna

N_STARTUP = 10
"""Trials before the sampler models them; Optuna's own default of TPE."""
PRUNE_BEYOND = 1.0
"""Standard errors of the difference to the best that a trial may lie behind."""


def best_of(complete: Sequence[Any], *, is_maximised: bool) -> Any:
    """The trial with the best value, the first of equals."""
    sign = -1 if is_maximised else 1
    return min(complete, key=lambda one: (sign * (one.value or 0.0), one.number))


def sampler(seed: int, is_parallel: bool) -> optuna.samplers.BaseSampler:
    """A sampler that depends on the trials and `seed` alone, so that a resumed search is the same.

    Tree-structured Parzen estimator (Bergstra et al. 2011), of all choices together.
    """
    from optuna.samplers import TPESampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that some of it is experimental
        return TPESampler(
            n_startup_trials=N_STARTUP,
            multivariate=True,
            group=True,
            constant_liar=is_parallel,
            seed=seed,
            warn_independent_sampling=False,
        )


def pruner() -> optuna.pruners.BasePruner:
    """Stop a trial that is worse than the best by more than a standard error, folds so far.

    It would hardly be within the one that `retrue.search.choice` asks for, and what it frees pays
    for other trials: most cost one fold. Optuna's median pruner compares means of different folds,
    which differ more by season than by recipe.
    """
    import optuna
    from optuna.trial import TrialState

    class PairedPruner(optuna.pruners.BasePruner):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if not complete:
                return False
            best = best_of(complete, is_maximised=study.direction.name == "MAXIMIZE")
            ours, theirs = (
                [FoldResult.model_validate(fold) for fold in one.user_attrs["folds"]]
                for one in (trial, best)
            )
            gap = difference(ours, theirs)
            return gap.mean > PRUNE_BEYOND * gap.standard_error

    return PairedPruner()
