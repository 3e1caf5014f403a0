"""Folds on a real Dask cluster: a scheduler and two worker processes on this machine."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

from retrue.dask_cluster import connect
from retrue.search import run
from tests.unit.search_problem import searched, stored, with_search

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.unit.conftest import Small


def test_a_cluster_finds_what_one_process_finds(
    small: Small, scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = with_search(small.problem, max_trials=4)
    here = searched(problem, stored())
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "another"))
    there = searched(with_search(problem, max_trials=4, cluster=scheduler), stored())
    assert [one.value for one in there.trials] == [one.value for one in here.trials]
    assert there.recipe == here.recipe


def test_trials_are_spread_over_the_workers(small: Small, scheduler: str) -> None:
    problem = with_search(small.problem, max_trials=8, n_workers=2, cluster=scheduler)
    data = stored()
    begun = run.begin(problem, data)
    told: list[str] = []
    lanes = [
        Thread(target=run.lane, args=(problem, data, begun, lambda trial, line: told.append(line)))
        for _ in range(2)
    ]
    for one in lanes:
        one.start()
    for one in lanes:
        one.join()
    found = run.finish(problem, data, begun)
    assert len([one for one in found.trials if one.state != "failed"]) == 8 == len(told)
    spans = [(one.started_s, one.started_s + one.seconds) for one in found.trials]
    assert any(a[0] < b[0] < a[1] for a in spans for b in spans)
    with connect(scheduler, "search.cluster") as client:
        used = client.run(lambda key: key in run._kept, begun.key)
    assert list(used.values()) == [True, True]
