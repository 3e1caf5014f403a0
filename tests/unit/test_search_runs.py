"""A search in MLflow, on a real SQLite store: a run, and a child for each trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mlflow.exceptions import MlflowException

from retrue import tracking
from retrue.search import run, runs
from retrue.search.study import StudyRef
from tests.unit.search_problem import searched, stored, with_search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow.entities import Run

    from retrue.search.trials import TrialRecord
    from tests.unit.conftest import Small

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(autouse=True)
def own_store(small: Small, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracking.client.cache_clear()
    yield
    tracking.client.cache_clear()


def test_each_trial_is_a_child_run_once_however_often_it_is_logged(small: Small) -> None:
    found = searched(with_search(small.problem, max_trials=3), stored())
    parent = runs.log(found)
    assert runs.log(found) == parent
    where = tracking.experiment("visits")
    whole = tracking.client().search_runs([where])
    children = [one for one in whole if one.data.tags.get("mlflow.parentRunId") == parent]
    assert len(whole) == 4
    assert len(children) == 3
    by_number = {int(one.data.tags[runs.TRIAL]): one for one in children}
    for trial in found.trials:
        child = by_number[trial.number].data
        assert child.params["num_boost_round"] == str(trial.recipe.num_boost_round)
        assert child.metrics["fold_0_loss"] == trial.folds[0].loss
        assert child.metrics["seconds"] == trial.seconds
        assert child.tags["retrue.trial_state"] == trial.state


def test_trials_are_logged_as_they_close(small: Small) -> None:
    problem, data = with_search(small.problem, max_trials=3), stored()
    begun = run.begin(problem, data)
    said: list[str] = []
    seen: list[int] = []
    log = runs.TrialLog(begun, data, "log_loss", said.append)

    def told(trial: TrialRecord, line: str) -> None:
        log(trial, line)
        seen.append(len(logged(f"tags.`{runs.TRIAL}` != ''")))

    run.lane(problem, data, begun, told)
    assert seen == [1, 2, 3] == [len(said) - 2, len(said) - 1, len(said)]
    parent = runs.log(run.finish(problem, data, begun))
    whole = logged("")
    assert len(whole) == 4
    assert {one.info.status for one in whole} <= {"FINISHED", "KILLED"}
    parents = {one.data.tags.get("mlflow.parentRunId") for one in whole}
    assert parents == {None, parent}


def test_what_a_kill_cut_off_is_logged_once_and_whole(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = stored()
    found = searched(with_search(small.problem, max_trials=2), data)
    ref = StudyRef(problem=found.problem, key=found.key)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs, "_batch", cut)
        runs.TrialLog(ref, data, found.metric, lambda line: None)(found.trials[0], "")
    assert [one.info.status for one in logged(f"tags.`{runs.TRIAL}` = '0'")] == ["RUNNING"]
    runs.log(found)
    (first,) = logged(f"tags.`{runs.TRIAL}` = '0'")
    assert (first.info.status, first.data.metrics["seconds"]) == (
        "FINISHED",
        found.trials[0].seconds,
    )
    assert len(logged("")) == 3


def test_a_server_that_is_away_is_asked_once_and_told_of(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = stored()
    found = searched(with_search(small.problem, max_trials=2), data)
    asked: list[str] = []

    def away(problem: str) -> str:
        asked.append(problem)
        raise MlflowException("nobody answers")

    monkeypatch.setattr(runs, "experiment", away)
    said: list[str] = []
    ref = StudyRef(problem=found.problem, key=found.key)
    log = runs.TrialLog(ref, data, found.metric, said.append)
    for trial in found.trials:
        log(trial, f"trial {trial.number}")
    assert asked == ["visits"]
    assert said == [
        "trial 0",
        "trials are logged at the end of the search: nobody answers",
        "trial 1",
    ]


def cut(*_: object) -> None:
    raise KeyboardInterrupt


def logged(condition: str) -> list[Run]:
    return list(tracking.client().search_runs([tracking.experiment("visits")], condition))
