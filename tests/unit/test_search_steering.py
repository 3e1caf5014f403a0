"""What stops a trial: being behind the best by more than the noise of their difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import optuna
import pytest

from retrue.search.steering import best_of, pruner
from retrue.search.trials import FoldResult

if TYPE_CHECKING:
    from collections.abc import Sequence

BEST = [[0.50, 0.70, 0.40, 0.60], [0.55, 0.65, 0.45, 0.60]]


def study_with(
    direction: Literal["minimize", "maximize"], *complete: tuple[float, list[list[float]]]
) -> optuna.Study:
    """A study whose closed trials have these values and losses of blocks."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=direction, pruner=pruner())
    for value, losses in complete:
        trial = study.ask()
        trial.set_user_attr("folds", folds(losses))
        study.tell(trial, value)
    return study


def folds(losses: Sequence[Sequence[float]]) -> list[dict[str, object]]:
    """Folds of ten rows a block."""
    return [
        FoldResult(
            loss=sum(one) / len(one),
            auc=None,
            best_round=1,
            block_losses=tuple(one),
            block_rows=(10,) * len(one),
            block_names=tuple(range(100 * k, 100 * k + len(one))),
            seconds=1.0,
        ).model_dump(mode="json")
        for k, one in enumerate(losses)
    ]


def is_stopped(study: optuna.Study, losses: list[list[float]]) -> bool:
    trial = study.ask()
    trial.set_user_attr("folds", folds(losses))
    trial.report(0.0, len(losses) - 1)
    return trial.should_prune()


def test_what_is_worse_on_every_day_of_its_first_fold_is_stopped() -> None:
    worse = [[one + 0.1 for one in BEST[0]]]
    assert is_stopped(study_with("minimize", (0.55, BEST)), worse)


def test_what_is_better_is_not_stopped() -> None:
    better = [[one - 0.1 for one in BEST[0]]]
    assert not is_stopped(study_with("minimize", (0.55, BEST)), better)


def test_what_is_worse_within_the_noise_is_not_stopped() -> None:
    noisy = [[0.40, 0.85, 0.30, 0.70]]  # worse by 0.0125 on the mean, its standard error is 0.06
    assert not is_stopped(study_with("minimize", (0.55, BEST)), noisy)


def test_nothing_is_stopped_before_a_trial_is_complete() -> None:
    assert not is_stopped(study_with("minimize"), [[9.0] * 4])


@pytest.mark.parametrize(("direction", "is_expected"), [("maximize", True), ("minimize", False)])
def test_the_best_is_the_one_with_the_metrics_best_value(
    direction: Literal["minimize", "maximize"], is_expected: bool
) -> None:
    poor = [[one + 0.3 for one in fold] for fold in BEST]
    between = [[one + 0.15 for one in BEST[0]]]
    study = study_with(direction, (0.9, BEST), (0.1, poor))
    assert is_stopped(study, between) is is_expected
    best = best_of(study.get_trials()[:2], is_maximised=direction == "maximize")
    assert best.number == (0 if is_expected else 1)
