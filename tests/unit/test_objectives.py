"""What a regression is fitted to: by configuration, by search, and what labels refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue import lake, splits
from retrue.errors import TrainingError
from retrue.interpretation.explained_model import ExplainedModel
from retrue.objectives import OBJECTIVES, allowed
from retrue.problem_checks import cross_checks
from retrue.search import run
from retrue.search.recipe import recipe_of
from tests.unit.explained import UNTIL, define, opened, rows
from tests.unit.search_problem import searched, with_search

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from retrue.config import Problem


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path))


def amounts() -> pd.DataFrame:
    """Rows whose label is never negative, and spreads as wide as it is large."""
    frame = rows()
    return frame.assign(y=np.exp(frame["y"]))


def regression(objective: str | None = None, **params: Any) -> Problem:
    told = params | ({} if objective is None else {"objective": objective})
    return define("regression", training__params={"num_leaves": 15, **told})


@pytest.mark.parametrize("boosting", ["gbdt", "rf"])
@pytest.mark.parametrize("objective", OBJECTIVES[1:])
def test_a_logarithmic_link_is_explained_in_logarithms(objective: str, boosting: str) -> None:
    more = {"boosting": boosting, "bagging_freq": 1, "bagging_fraction": 0.7}
    model: ExplainedModel = opened(regression(objective, **more), amounts())
    matrix = model.encode(amounts().head(100))
    values, base = model.contributions(matrix)
    margins = model.margins(matrix)
    np.testing.assert_allclose(values.sum(axis=2) + base, margins, rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.exp(margins), model.scores(matrix), rtol=1e-9)
    assert model.unit == "the logarithm of the label's unit"


@pytest.mark.parametrize(
    ("task", "unit"), [("binary", "log odds"), ("regression", "the label's unit")]
)
def test_other_models_are_explained_in_their_own_units(task: str, unit: str) -> None:
    assert opened(define(task)).unit == unit


def test_labels_an_objective_cannot_be_fitted_to_are_refused_with_the_remedy() -> None:
    frame, problem = rows(), regression("tweedie")
    with pytest.raises(
        TrainingError, match=r"labels of 0 or more for tweedie.*found -\d.*objective"
    ):
        splits.split(frame, problem, problem.training.until)
    assert len(splits.split(amounts(), problem, problem.training.until).train)


def test_a_wrong_objective_is_refused_where_it_is_written() -> None:
    def faults(problem: Problem) -> list[tuple[object, ...]]:
        return [fault for fault in cross_checks(problem) if fault[0][:2] == ("training", "params")]

    assert faults(regression("gamma")) == []
    assert faults(define("binary", training__params={"objective": "binary"})) == []
    ((where, expected, found, _),) = faults(regression("quantile"))
    assert where == ("training", "params", "objective")
    assert (expected, found) == (
        "regression or poisson or tweedie or gamma for a regression",
        "quantile",
    )
    ((_, expected, found, _),) = faults(define("binary", training__params={"objective": "poisson"}))
    assert (expected, found) == ("binary for a binary", "poisson")
    ((_, expected, found, _),) = faults(regression(application="poisson"))
    assert (expected, found) == ("objective", "application")


@given(st.lists(st.lists(st.floats(-1, 9), min_size=1), min_size=1))
def test_what_one_group_of_labels_refuses_is_refused_for_all(groups: list[list[float]]) -> None:
    labels = [np.array(group) for group in groups]
    found = allowed(labels)
    assert found[0] == "regression"
    assert set(found) == set.intersection(*(set(allowed([y])) for y in labels))
    if len(found) > 1:
        assert min(y.min() for y in labels) >= 0 < min(y.max() for y in labels)


def test_a_search_finds_the_objective_that_amounts_want() -> None:
    problem = with_search(regression(), max_trials=7)
    data = lake.write_version(problem.name, amounts(), ["id"], UNTIL)
    found = searched(problem, data)
    assert found.recipe.objective in OBJECTIVES[1:]
    tried = {one.origin: one.recipe.objective for one in found.trials[:4]}
    assert tried == {"configured": "regression", "guess": "tweedie"}


def test_a_search_asks_no_objective_that_labels_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = with_search(regression(), max_trials=7)
    data = lake.write_version(problem.name, rows(), ["id"], UNTIL)
    # A champion of days without negative labels.
    champion = recipe_of(regression("tweedie", learning_rate=0.2))
    monkeypatch.setattr(run, "serving_recipe", lambda _: champion)
    found = searched(problem, data)
    assert {one.recipe.objective for one in found.trials} == {"regression"}
    assert not any("objective" in one.choices for one in found.trials)
