"""The champion's recipe first; a search only where it may make a promotion of a refusal."""

from pathlib import Path
from typing import Any

import pytest

from retrue import gate, retraining
from retrue.config import Problem
from retrue.config_retraining import Retraining
from retrue.problems import load_problem
from retrue.search import run
from retrue.search.recipe import recipe_of
from retrue.verdicts import Verdict

ROOT = Path(__file__).parents[2]


@pytest.fixture
def problem() -> Problem:
    return load_problem("flights", ROOT)


def refusal(problem: Problem, **figures: Any) -> Verdict:
    return gate.refused(problem.gate, 1000, 28, "refused").model_copy(update=figures)


@pytest.mark.parametrize(
    ("gain", "worth"),
    [
        (0.0151, True),  # better, but not beyond doubt
        (-0.0021, False),  # newer rows made it no better
        (0.0, False),
        (None, False),  # the gate had no figures
    ],
)
def test_a_search_follows_a_refusal_that_was_nearly_a_promotion(
    problem: Problem, gain: float | None, worth: bool
) -> None:
    assert retraining.is_worth_a_search(problem, refusal(problem, gain=gain)) is worth


def test_no_search_follows_a_promotion_or_where_it_is_switched_off(problem: Problem) -> None:
    promoted = refusal(problem, gain=0.02, promoted=True)
    assert not retraining.is_worth_a_search(problem, promoted)
    for mode in ("never", "always"):
        given = Retraining(search=mode)
        other = problem.model_copy(update={"retraining": given})
        assert not retraining.is_worth_a_search(other, refusal(problem, gain=0.02))


def test_the_gates_second_look_has_half_the_error(problem: Problem) -> None:
    confidence = retraining.second_confidence(problem)
    assert confidence == pytest.approx(0.975)
    judged_by = retraining.with_confidence(problem, confidence)
    assert judged_by.gate.confidence == confidence
    assert judged_by.model_copy(update={"gate": problem.gate}) == problem


def test_the_search_of_a_retraining_is_never_longer_than_that_of_a_training(
    problem: Problem,
) -> None:
    given = Retraining(search_s=10_000)
    long = problem.model_copy(update={"retraining": given})
    assert retraining.with_a_short_search(long).search.budget_s == problem.search.budget_s
    short = problem.model_copy(update={"retraining": Retraining(search_s=5)})
    assert retraining.with_a_short_search(short).search.budget_s == 5


def test_the_champions_recipe_goes_before_the_configured_one(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = recipe_of(problem).model_copy(update={"num_boost_round": 77})
    monkeypatch.setattr(run, "serving_recipe", lambda given: found)
    assert retraining.with_champions_recipe(problem).training.num_boost_round == 77
    monkeypatch.setattr(run, "serving_recipe", lambda given: None)
    assert retraining.with_champions_recipe(problem) == problem


def test_a_gain_below_the_least_that_is_wanted_is_worth_no_search(problem: Problem) -> None:
    rules = problem.gate.model_copy(update={"min_gain": 0.01})
    asked = problem.model_copy(update={"gate": rules})
    worth = [
        retraining.is_worth_a_search(asked, refusal(problem, gain=gain))
        for gain in (0.009, 0.01, 0.011)
    ]
    assert worth == [False, False, True]
