"""Fitting: what is reported of a model is what the stored model scores."""

from datetime import date
from typing import TYPE_CHECKING

import lightgbm as lgb
import numpy as np
import pytest

from retrue import splits, training
from retrue.config import Problem
from retrue.metrics import auc, log_loss
from tests.unit.synthetic import learnable

if TYPE_CHECKING:
    from tests.unit.conftest import Small

UNTIL = date(2024, 1, 20)


@pytest.fixture
def problem(small: "Small") -> Problem:
    return small.problem


@pytest.fixture
def parts(problem: Problem) -> splits.Split:
    return splits.split(learnable(), problem, UNTIL)


def test_the_reported_metrics_are_those_of_the_stored_model(
    parts: splits.Split, problem: Problem
) -> None:
    fitted = training.fit(parts, problem)
    score = training.score(fitted.model_text, fitted.features, parts.holdout)
    y = splits.target(parts.holdout, problem)
    assert fitted.metrics["holdout_log_loss"] == pytest.approx(log_loss(y, score), abs=1e-12)
    assert fitted.metrics["holdout_auc"] == pytest.approx(auc(y, score), abs=1e-12)


def test_the_curve_has_one_log_loss_a_round_and_ends_at_the_models(
    parts: splits.Split, problem: Problem
) -> None:
    fitted = training.fit(parts, problem)
    curve = fitted.curve["holdout_log_loss_by_round"]
    assert len(curve) == problem.training.num_boost_round
    assert curve[-1] == pytest.approx(fitted.metrics["holdout_log_loss"], abs=1e-12)
    assert curve[-1] < curve[0]


def test_the_same_seed_gives_the_same_model_to_the_byte(
    parts: splits.Split, problem: Problem
) -> None:
    assert training.fit(parts, problem).model_text == training.fit(parts, problem).model_text


@pytest.mark.parametrize(("params", "is_same"), [({}, True), ({"subsample_for_bin": 1_000}, False)])
def test_bins_are_made_from_all_rows_unless_the_config_says_of_how_many(
    problem: Problem, params: dict[str, int], is_same: bool
) -> None:
    x = np.random.default_rng(0).normal(size=(250_000, 1))  # LightGBM itself would draw 200,000

    def tree(seed: int) -> str:
        section = problem.training.model_copy(update={"seed": seed, "params": params})
        told = training.parameters(problem.model_copy(update={"training": section}), 0)
        rows = lgb.Dataset(x, (x[:, 0] > 0.123).astype(float))
        text: str = lgb.train(told, rows, 1).model_to_string()
        return text.partition("parameters:")[0]

    assert (tree(1) == tree(2)) is is_same
