"""Folds on a real Dask cluster: a scheduler and two worker processes on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from retrue.errors import StackError
from retrue.processes import free_port
from retrue.search import cluster, run
from tests.unit.search_problem import searched, stored, with_search

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.conftest import Small

HERE = os.getcwd()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a scheduler with two workers, each a process of its own."""
    port, folder = free_port(), tmp_path_factory.mktemp("dask")
    address = f"tcp://127.0.0.1:{port}"
    at = ["--host", "127.0.0.1", "--no-dashboard"]
    dask = [sys.executable, "-m", "dask"]
    commands = [
        [*dask, "scheduler", *at, "--port", str(port)],
        *([*dask, "worker", address, *at, "--nthreads", "1", "--no-nanny"] for _ in range(2)),
    ]
    env = {**os.environ, "PYTHONPATH": HERE}
    env.pop("RETRUE_HOME", None)
    with (folder / "log").open("wb") as log:
        started = [
            subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
            for command in commands
        ]
        try:
            with cluster.connect(address) as client:
                client.wait_for_workers(2, timeout=120)
            yield address
        finally:
            for one in reversed(started):
                one.kill()  # a polite end of a worker waits for half a minute
                one.wait()


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
    lanes = [Thread(target=run.lane, args=(problem, data, begun, told.append)) for _ in range(2)]
    for one in lanes:
        one.start()
    for one in lanes:
        one.join()
    found = run.finish(problem, data, begun)
    assert len([one for one in found.trials if one.state != "failed"]) == 8 == len(told)
    spans = [(one.started_s, one.started_s + one.seconds) for one in found.trials]
    assert any(a[0] < b[0] < a[1] for a in spans for b in spans)
    with cluster.connect(scheduler) as client:
        used = client.run(lambda key: key in run._kept, begun.key)
    assert list(used.values()) == [True, True]


def test_no_scheduler_is_told_in_a_line_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_TIMEOUT_S", 1)
    address = f"tcp://127.0.0.1:{free_port()}"
    began = time.perf_counter()
    with pytest.raises(StackError, match=r"expected a Dask scheduler, found .*; start one"):
        cluster.connect(address)
    assert time.perf_counter() - began < 20


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(StackError, match=r"expected the extra `dask`, .*uv sync --extra dask"):
        cluster.connect("tcp://127.0.0.1:1")
