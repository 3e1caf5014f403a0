"""A search in MLflow, on a real SQLite store: a run, and a child for each trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from retrue import tracking
from retrue.search import runs
from tests.unit.search_problem import searched, stored, with_search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.conftest import Small


@pytest.fixture(autouse=True)
def own_store(small: Small, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracking.client.cache_clear()
    yield
    tracking.client.cache_clear()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_each_trial_is_a_child_run_once_however_often_it_is_logged(small: Small) -> None:
    found = searched(with_search(small.problem, max_trials=3), stored())
    parent = runs.log(found)
    assert runs.log(found) == parent
    where = tracking.experiment("visits")
    logged = tracking.client().search_runs([where])
    children = [run for run in logged if run.data.tags.get("mlflow.parentRunId") == parent]
    assert len(logged) == 4
    assert len(children) == 3
    by_number = {int(run.data.tags[runs.TRIAL]): run for run in children}
    for trial in found.trials:
        run = by_number[trial.number]
        assert run.data.params["num_boost_round"] == str(trial.recipe.num_boost_round)
        assert run.data.metrics["fold_0_loss"] == trial.folds[0].loss
        assert run.data.metrics["seconds"] == trial.seconds
        assert run.data.tags["retrue.trial_state"] == trial.state
