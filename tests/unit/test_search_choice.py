"""Which trial is taken: luck on the folds is no reason to take a larger model."""

from __future__ import annotations

import numpy as np

from retrue.config import Processing
from retrue.search.choice import choose
from retrue.search.evaluate import FoldScore
from retrue.search.recipe import Recipe
from retrue.search.trials import FoldResult, State, TrialRecord, difference, fold_results


def _trial(
    number: int, leaves: int, block_losses: list[list[float]], state: State = "complete"
) -> TrialRecord:
    folds = tuple(
        FoldResult(
            loss=float(np.mean(losses)),
            auc=None,
            best_round=10,
            block_losses=tuple(losses),
            block_rows=(10,) * len(losses),
            block_names=tuple(range(100 * k, 100 * k + len(losses))),
            seconds=1.0,
        )
        for k, losses in enumerate(block_losses)
    )
    value = float(np.mean([fold.loss for fold in folds]))
    return TrialRecord(
        number=number,
        state=state,
        origin="sampled",
        recipe=Recipe(
            params={"num_leaves": leaves}, num_boost_round=10, processing=Processing()
        ),
        choices={},
        value=value if state == "complete" else None,
        folds=folds,
        started_s=0.0,
        seconds=1.0,
    )  # fmt: skip


def test_a_lead_within_its_noise_goes_to_the_simpler_one() -> None:
    simple = _trial(0, 7, [[0.50, 0.52, 0.48, 0.50], [0.50, 0.47, 0.53, 0.50]])
    lucky = _trial(1, 63, [[0.52, 0.49, 0.51, 0.46], [0.47, 0.51, 0.49, 0.52]])
    chosen = choose([simple, lucky], "log_loss")
    assert chosen is not None
    assert (chosen.number, chosen.best, chosen.n_alike) == (0, 1, 2)
    assert "the simplest (70 leaves) of 2 trials" in chosen.reason


def test_where_nothing_drifts_the_best_is_taken_however_large() -> None:
    simple = _trial(0, 7, [[0.50, 0.52, 0.48, 0.50], [0.50, 0.47, 0.53, 0.50]])
    lucky = _trial(1, 63, [[0.52, 0.49, 0.51, 0.46], [0.47, 0.51, 0.49, 0.52]])
    chosen = choose([simple, lucky], "log_loss", is_drifting=False)
    assert chosen is not None
    assert (chosen.number, chosen.n_alike) == (1, 2)


def test_a_lead_on_every_day_is_taken_even_by_the_larger_one() -> None:
    simple = _trial(0, 7, [[0.50, 0.62, 0.38, 0.50], [0.51, 0.47, 0.63, 0.50]])
    better = _trial(1, 63, [[0.48, 0.60, 0.36, 0.48], [0.49, 0.45, 0.61, 0.48]])
    chosen = choose([simple, better], "log_loss")
    assert chosen is not None and chosen.number == 1


def test_a_lead_in_one_season_alone_is_not_beyond_the_noise_of_folds() -> None:
    simple = _trial(0, 7, [[0.5] * 30, [0.5] * 30, [0.5] * 30])
    seasonal = _trial(1, 63, [[0.40] * 30, [0.52] * 30, [0.52] * 30])
    chosen = choose([simple, seasonal], "log_loss")
    assert chosen is not None
    assert (chosen.best, chosen.number) == (1, 0)


def test_of_auc_the_highest_is_the_best() -> None:
    high = _trial(0, 63, [[0.3] * 4]).model_copy(update={"value": 0.8})
    low = _trial(1, 7, [[0.5] * 4]).model_copy(update={"value": 0.7})
    chosen = choose([low, high], "auc")
    assert chosen is not None
    assert (chosen.best, chosen.number, chosen.n_alike) == (0, 0, 1)


def test_a_pruned_trial_is_never_taken() -> None:
    pruned = _trial(0, 2, [[0.1, 0.1]], "pruned")
    assert choose([pruned], "log_loss") is None
    complete = _trial(1, 7, [[0.5, 0.6], [0.5, 0.6]])
    chosen = choose([pruned, complete], "log_loss")
    assert chosen is not None and chosen.number == 1


def test_days_that_are_hard_for_both_are_no_noise_of_their_difference() -> None:
    ours = _trial(0, 7, [[0.2, 0.9, 0.4]]).folds
    theirs = _trial(1, 7, [[0.1, 0.8, 0.3]]).folds
    gap = difference(ours, theirs)
    assert np.isclose(gap.mean, 0.1) and np.isclose(gap.standard_error, 0.0)


def test_a_day_that_two_folds_score_is_one_observation() -> None:
    ours = _trial(0, 7, [[0.2, 0.9, 0.4, 0.6]]).folds
    theirs = _trial(1, 7, [[0.3, 0.7, 0.5, 0.5]]).folds
    once = difference(ours, theirs)
    twice = difference(ours * 2, theirs * 2)
    assert np.isclose(once.standard_error, twice.standard_error)


def _score(losses: list[float], share: float, rounds: list[int] | None = None) -> FoldScore:
    curve = np.array(losses, np.float64)
    return FoldScore(
        rounds=np.array(rounds or range(1, len(losses) + 1)),
        curve=curve,
        block_sums=curve[:, None] * 10,
        block_rows=np.array([10.0]),
        block_names=np.array([0]),
        auc=None,
        seconds=1.0,
        share=share,
    )


def test_a_fold_of_half_the_rows_is_scored_after_half_the_rounds() -> None:
    half = _score([0.4, 0.2, 0.3, 0.5], 0.5)
    whole = _score([0.9, 0.7, 0.5, 0.3, 0.4, 0.6, 0.7, 0.8], 1.0)
    n_rounds, folds = fold_results([half, whole])
    assert n_rounds == 4
    assert [fold.loss for fold in folds] == [0.2, 0.3]
    assert [fold.block_losses for fold in folds] == [(0.2,), (0.3,)]


def test_between_two_looks_a_loss_lies_on_their_line() -> None:
    seldom = _score([0.9, 0.5, 0.3, 0.5], 0.5, rounds=[1, 4, 8, 12])
    often = _score([0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.1], 1.0)
    n_rounds, folds = fold_results([seldom, often])
    assert n_rounds == 7  # of the fold of half the rows, after 3.5
    after = 0.9 + (0.5 - 0.9) * (3.5 - 1) / (4 - 1)
    assert np.allclose([fold.loss for fold in folds], [after, 0.1])
    assert np.allclose([fold.block_losses for fold in folds], [[after], [0.1]])
    assert [fold.best_round for fold in folds] == [8, 7]


def test_before_the_first_look_and_after_the_last_theirs_are_taken() -> None:
    early = _score([0.2, 0.4], 0.25, rounds=[1, 4])
    _, folds = fold_results([early])
    assert (folds[0].loss, folds[0].block_losses) == (0.2, (0.2,))
    late = _score([0.4, 0.2], 1.0, rounds=[1, 4])
    n_rounds, folds = fold_results([late])
    assert (n_rounds, folds[0].loss, folds[0].block_losses) == (4, 0.2, (0.2,))
