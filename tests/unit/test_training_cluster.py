"""One model fitted on a real Dask cluster: a scheduler and two worker processes of this machine."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from retrue import bundles, splits, training, training_cluster
from retrue import dask_cluster as way
from retrue.dask_cluster import connect
from retrue.errors import ConfigError, StackError, TrainingError
from retrue.processes import free_port
from retrue.refs import DataRef
from retrue.serving.booster import self_check
from retrue.serving.bundle import read_bundle
from tests.unit.conftest import dask_cluster
from tests.unit.synthetic import learnable

if TYPE_CHECKING:
    from retrue.config import Problem
    from tests.unit.conftest import Small

UNTIL = date(2024, 1, 20)


def changed(problem: Problem, label: dict[str, Any] | None = None, **training: Any) -> Problem:
    update = {
        "label": problem.label.model_copy(update=label or {}),
        "training": problem.training.model_copy(update=training),
    }
    return problem.model_copy(update=update)


def parts_of(problem: Problem) -> splits.Split:
    return splits.split(learnable(), problem, UNTIL)


def said(model_text: str) -> list[str]:
    """Parameters of a model, without those of where it was fitted and by how many."""
    places = (
        r"\[(machines|local_listen_port|num_machines|tree_learner|num_threads|time_out|pre_part)"
    )
    return [
        line
        for line in re.findall(r"^\[\w+: .*\]$", model_text, re.MULTILINE)
        if not re.match(places, line)
    ]


def test_two_workers_fit_one_model_near_the_local_one_and_the_server_takes_it(
    small: Small, scheduler: str
) -> None:
    there = changed(small.problem, cluster=scheduler, class_weights="balanced")
    here = changed(there, cluster="")
    parts = parts_of(there)
    fitted, local = training.fit(parts, there), training.fit(parts, here)
    assert "[num_machines: 2]" in fitted.model_text
    assert "127.0.0.1" not in fitted.model_text
    assert fitted.metrics["holdout_auc"] == pytest.approx(local.metrics["holdout_auc"], abs=0.02)
    assert fitted.metrics["holdout_auc"] > 0.7
    assert fitted.curve == {"holdout_log_loss_by_round": []}
    assert fitted.features == local.features

    data = DataRef(
        problem="visits", path=Path("lake"), version=3, sha256="2" * 64, n_rows=2_000,
        until=UNTIL.isoformat(),
    )  # fmt: skip
    made_by = {"code_commit": "c0ffee", "lock_sha256": "1" * 64, "trained_before": "2024-01-15"}
    ref = bundles.write_bundle(there, data, fitted, learnable(), made_by)
    self_check(read_bundle(ref.path, ref.sha256))


def test_the_same_rows_on_two_workers_give_the_same_text_again(
    small: Small, scheduler: str
) -> None:
    problem = changed(small.problem, cluster=scheduler)
    parts = parts_of(problem)
    # Without an order of the workers each fit draws one of two: five alike would be 1 in 16.
    assert len({training.fit(parts, problem).model_text for _ in range(5)}) == 1


def test_a_worker_that_dies_meanwhile_ends_the_fit_with_an_error(
    small: Small, tmp_path: Path
) -> None:
    with dask_cluster(tmp_path, n_workers=2) as address, connect(address, "here") as client:
        problem = changed(small.problem, cluster=address)
        parts = parts_of(problem)
        workers = client.run(os.getpid)
        training.fit(parts, problem)  # all have imported what they need
        with ThreadPoolExecutor() as pool:
            fit = pool.submit(training.fit, parts, changed(problem, num_boost_round=100_000))
            began = time.monotonic()
            while not all(
                any("_train_part" in str(key) for key in keys)
                for keys in client.processing().values()
            ):
                assert time.monotonic() - began < 60 and not fit.done()
                time.sleep(0.1)
            time.sleep(1)  # into its rounds
            os.kill(max(workers.values()), signal.SIGKILL)
            with pytest.raises(TrainingError, match="found (1 of 2 workers lost|Socket )"):
                fit.result(timeout=60)


def test_a_parameter_by_its_alias_means_there_what_it_means_here(
    small: Small, scheduler: str
) -> None:
    params = {"sub_feature": 0.8, "eta": 0.07, "lambda": 3.0, "min_data": 33, "num_leaf": 7}
    there = changed(small.problem, cluster=scheduler, params=params)
    parts = parts_of(there)
    local = training.fit(parts, changed(there, cluster=""))
    assert said(training.fit(parts, there).model_text) == said(local.model_text)


def test_a_regression_is_fitted_on_a_cluster(small: Small, scheduler: str) -> None:
    label = {"task": "regression", "expression": "delay"}
    there = changed(small.problem, label, cluster=scheduler)
    parts = parts_of(there)
    fitted, local = training.fit(parts, there), training.fit(parts, changed(there, cluster=""))
    assert fitted.metrics["holdout_rmse"] == pytest.approx(local.metrics["holdout_rmse"], rel=0.03)


def test_a_class_that_one_worker_has_never_seen_is_still_a_class(
    small: Small, scheduler: str
) -> None:
    there = changed(small.problem, {"task": "multiclass", "expression": "kind"}, cluster=scheduler)
    frame = learnable()
    kinds = np.where(frame["amount"] > 0, "up", "down").astype(object)
    kinds[:40:2] = "rare"  # rows are dealt in turn: all of these go to the first worker
    frame["kind"] = kinds
    parts = splits.split(frame, there, UNTIL)
    fitted, local = training.fit(parts, there), training.fit(parts, changed(there, cluster=""))
    assert fitted.classes == ("down", "rare", "up")
    assert fitted.metrics["holdout_log_loss"] == pytest.approx(
        local.metrics["holdout_log_loss"], abs=0.05
    )


def test_models_of_other_seeds_are_fitted_where_the_model_was(
    small: Small,
    scheduler: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    problem = changed(small.problem, cluster=scheduler)
    parts = parts_of(problem)
    texts: list[str] = []
    fit = training_cluster.fit_text

    def noted(*told: Any) -> str:
        texts.append(fit(*told))
        return texts[-1]

    monkeypatch.setattr(training_cluster, "fit_text", noted)
    scores = training.twin_scores(parts.train, parts.holdout, problem, parts.classes)
    assert scores.shape == (len(parts.holdout),)
    assert "[num_machines: 2]" in texts[0]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "param",
    ["linear_tree: true", "monotone_constraints_method: advanced", "tree_learner: serial"],
)
def test_what_a_cluster_cannot_fit_as_one_model_is_refused(small: Small, param: str) -> None:
    line = f"  cluster: tcp://127.0.0.1:1\n  params: {{{param}}}\n  seed: 7"
    small.replace("configs/visits.yaml", "  seed: 7", line)
    with pytest.raises(ConfigError, match=r"training\.cluster"):
        _ = small.problem


def test_no_scheduler_is_told_in_a_line_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way, "CONNECT_TIMEOUT_S", 1)
    address = f"tcp://127.0.0.1:{free_port()}"
    began = time.perf_counter()
    with pytest.raises(StackError, match=r"expected a Dask scheduler, found .*; start one"):
        connect(address, "training.cluster")
    assert time.perf_counter() - began < 20


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(StackError, match=r"expected the extra `dask`, .*uv sync --extra dask"):
        connect("tcp://127.0.0.1:1", "training.cluster")


def test_a_scheduler_without_workers_is_told(small: Small, tmp_path: Path) -> None:
    with dask_cluster(tmp_path, n_workers=0) as address:
        problem = changed(small.problem, cluster=address)
        told = r"training.cluster tcp.*: expected a Dask worker, found a scheduler without any; "
        with pytest.raises(StackError, match=told):
            training.fit(parts_of(problem), problem)
