"""The luck of the seed: found where there is any, and never a reason to promote."""

from typing import Any

import lightgbm
import numpy as np
import pytest

from retrue import gate
from retrue.config import Gate
from retrue.evidence.seeds import is_stochastic, with_luck
from retrue.metrics import Array

N_DAYS, ROWS_A_DAY = 60, 60
RECIPE = {"bagging_fraction": 0.5, "bagging_freq": 1, "feature_fraction": 0.5}


def table(seed: int, n_days: int) -> tuple[Array, Array, Array]:
    """Features, labels and days; days differ from one another."""
    rng = np.random.default_rng(seed)
    days = np.repeat(np.arange(n_days), ROWS_A_DAY).astype(float)
    X = rng.normal(size=(len(days), 6))  # noqa: N806 - the field's name for the features
    logit = X[:, 0] + 0.5 * X[:, 1] * X[:, 2] + rng.normal(0, 0.5, n_days)[days.astype(int)] - 1
    return X, (rng.random(len(days)) < 1 / (1 + np.exp(-logit))).astype(float), days


def fitted(X: Array, y: Array, seed: int, params: dict[str, Any]) -> lightgbm.Booster:  # noqa: N803
    fixed = {"objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True}
    data = lightgbm.Dataset(X, y, free_raw_data=True)
    return lightgbm.train({**fixed, "force_row_wise": True, **params, "seed": seed}, data, 30)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"num_leaves": 7, "lambda_l2": 1.0},
        {"bagging_fraction": 0.5},  # without a frequency nothing is drawn
        {"bagging_freq": 1},
        {"bagging_fraction": 0.5, "bagging_freq": 1},
        {"subsample": 0.5, "subsample_freq": 2},
        {"pos_bagging_fraction": 0.5, "bagging_freq": 1},
        {"feature_fraction": 0.5},
        {"colsample_bynode": 0.5},
        {"extra_trees": True},
        {"boosting": "dart"},
        {"boosting_type": "rf", "bagging_fraction": 0.5, "bagging_freq": 1},
        {"data_sample_strategy": "goss"},
        {"use_quantized_grad": True},
        {"bin_construct_sample_cnt": 500},  # of 1,800 rows
        {"subsample_for_bin": 1_800},
    ],
)
def test_a_recipe_is_stochastic_when_lightgbm_gives_another_model_for_another_seed(
    params: dict[str, Any],
) -> None:
    X, y, _ = table(1, 30)  # noqa: N806
    trees = [
        fitted(X, y, seed, params).model_to_string().partition("parameters:")[0] for seed in (1, 2)
    ]
    assert (trees[0] != trees[1]) is is_stochastic(params, len(X))


def test_without_twins_the_gain_is_the_plain_difference() -> None:
    ours, theirs = np.array([0.4, 0.5]), np.array([0.5, 0.5])
    assert with_luck([ours], theirs, -1, 7).tolist() == pytest.approx([0.1, 0.0])


def test_twins_that_differ_widen_the_interval_and_leave_the_gain() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal(0, 0.001, 501)
    ours = [0.40 + draws, 0.42 + draws, 0.38 + draws, 0.41 + draws]
    theirs = 0.45 + draws
    alone, counted = with_luck(ours[:1], theirs, -1, 7), with_luck(ours, theirs, -1, 7)
    assert counted[0] == pytest.approx(alone[0]) == pytest.approx(0.05)
    assert np.quantile(alone, 0.025) > 0.04
    assert np.quantile(counted, 0.025) < 0, "four seeds as far apart could have made such a gain"


def promoted(recipe: dict[str, Any], *, is_counted: bool) -> list[bool]:
    """Whether a model is promoted over its own twin, on 200 resampled hold-outs."""
    X, y, _ = table(2, 40)  # noqa: N806
    models = [fitted(X, y, seed, recipe) for seed in range(40)]
    X, y, days = table(3, N_DAYS)  # noqa: N806
    scores = [np.asarray(model.predict(X), dtype=np.float64) for model in models]
    rules = Gate(resamples=200)
    rng = np.random.default_rng(4)
    found = []
    for _ in range(200):
        drawn = rng.integers(0, N_DAYS, 28)
        rows = np.concatenate([np.flatnonzero(days == day) for day in drawn])
        champion, challenger, *twins = (
            scores[at][rows] for at in rng.permutation(len(scores))[: 2 + rules.seeds]
        )
        block = np.repeat(np.arange(28), ROWS_A_DAY)
        others = twins if is_counted else ()
        verdict = gate.compare(y[rows], champion, challenger, block, rules, 7, others)
        found.append(verdict.promoted)
    return found


def test_a_model_is_promoted_over_its_own_twin_at_most_one_time_in_twenty() -> None:
    assert sum(promoted(RECIPE, is_counted=True)) <= 10
    by_luck = sum(promoted(RECIPE, is_counted=False))
    assert by_luck > 10, "without the seeds' luck it would often be"


def test_a_twin_of_a_recipe_without_luck_is_the_same_model_and_never_promoted() -> None:
    assert sum(promoted({}, is_counted=False)) == 0
