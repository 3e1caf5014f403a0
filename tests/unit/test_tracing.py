"""From a prediction to all that made it, wherever it lies, and its score again to the same bits."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli import app
from retrue import (
    bundles,
    ledger,
    monitoring,
    prediction_logs,
    probes,
    processes,
    rescoring,
    retention,
    slots,
    tracing,
    tracking,
)
from retrue.config_serving import Retention
from retrue.errors import DataError
from retrue.home import run_dir
from retrue.refs import BundleRef, ModelRef, ServingRef
from tests.unit.conftest import make_project
from tests.unit.explained import define, fitted, rows
from tests.unit.trained import COMMIT, Workshop

ODD: list[dict[str, Any]] = [
    {"rises": None, "falls": None, "noise": None, "gappy": None, "kind": None}
    | {"since": None, "note": None},
    {"rises": 12345678901234567890123, "falls": -0.0, "noise": 1e-300, "gappy": 0.1}
    | {"kind": "never seen", "since": "2021-07-01", "note": "\x00 ünicode \U0001f600"},
    {"rises": 1, "falls": 1e300, "noise": 0.30000000000000004, "gappy": None}
    | {"kind": 5, "since": "1970-01-01T00:00:00.000001+05:30", "note": ""},
]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder; what was started in it is stopped."""
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracking.client.cache_clear()
    yield tmp_path
    for record in run_dir().glob("*.json"):
        processes.stop(record.stem)
    tracking.client.cache_clear()


def ask(server: ServingRef, sent: list[dict[str, Any]]) -> list[str]:
    """Ids of the answers to rows that are logged."""
    body = json.dumps({"instances": sent}).encode()
    with probes.Connection(server) as asking:
        status, answer = asking.request("POST", "/invocations", body)
    assert status == 200, answer
    return list(answer["prediction_ids"])


def insist_on_same_bits(ids: list[str], bundle: BundleRef) -> None:
    """Trace and score each again."""
    traced = [tracing.trace(one) for one in ids]
    assert {one.bundle_sha256 for one in traced} == {bundle.sha256}
    again = rescoring.by_bundle(bundle, [one.prediction.row for one in traced])
    assert again == [(one.prediction.score, one.prediction.decision) for one in traced]
    assert len({score for score, _ in again}) > len(ids) // 4


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_each_prediction_is_traced_from_every_place_and_scores_again_to_the_same_bits(
    state: Path, task: str
) -> None:
    calibration = {} if task == "regression" else {"training__calibration": "auto"}
    problem = define(task, label__known_after_days=0, drift__window_days=1, **calibration)
    bundle = fitted(problem)
    if task == "binary":
        assert bundles.read_calibrator(bundle) is not None
    frame = rows(60, seed=9)
    sent = json.loads(
        frame.drop(columns=["y", "sort"]).to_json(orient="records", date_format="iso")
    )
    gone = slots.start_slot(problem, "a", bundle, 1, slots.PROCESS)
    ids = ask(gone, sent) + ask(gone, ODD)
    insist_on_same_bits(ids, bundle)  # from the log of a server that runs
    slots.stop_slot(gone)
    insist_on_same_bits(ids[:5], bundle)  # that is gone
    monitoring.collect(problem.name)
    kept = problem.model_copy(update={"retention": Retention(max_mb=1e-6)})
    for log in prediction_logs.files(problem.name):
        log.touch()
    late = retention.STARTING_S
    retention.STARTING_S = 0
    try:
        assert retention.retain(kept, ledger.connect(), datetime.now(UTC)).n_logs == 1
    finally:
        retention.STARTING_S = late
    assert prediction_logs.files(problem.name) == []
    insist_on_same_bits(ids, bundle)  # from the table alone
    assert tracing.trace(ids[0]).server == gone
    one = rescoring.rescored(tracing.trace(ids[-1])).rescored
    assert one is not None
    assert one.is_same
    assert one.by == "the bundle's model on this machine"


def test_the_chain_names_all_that_made_a_prediction(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Workshop(make_project(state / "project"))
    data = shop.data("2024-01-17")
    old = shop.train(data)
    new = shop.train(shop.data("2024-01-20", seed=1), champion=old)
    ids = {model.version: serve(shop, model) for model in (old, new)}
    monkeypatch.chdir(shop.small.root)
    for model in (old, new):
        shown = CliRunner().invoke(app, ["trace", ids[model.version], "--rescore", "--json"])
        assert shown.exit_code == 0, shown.output
        found = json.loads(shown.stdout)
        assert found["problem"] == "visits"
        assert found["model_version"] == model.version
        assert found["bundle_sha256"] == model.bundle.sha256
        assert found["server"]["model_version"] == model.version
        assert found["origin"]["code_commit"] == COMMIT
        assert found["origin"]["lock_sha256"] == bundles.read_manifest(model.bundle)["lock_sha256"]
        assert found["flow_run"] == "flow-run-1"
        assert found["promoted"] in {True, False}
        assert found["verdict"]
        assert found["lineage"]["run_id"] == model.run_id
        assert found["rescored"]["is_same"] is True
    first = tracing.trace(ids[old.version])
    assert (first.origin.data["version"], first.origin.data["sha256"]) == (
        data.version,
        data.sha256,
    )
    shown = CliRunner().invoke(app, ["trace", ids[old.version]])
    for named in (data.sha256, old.bundle.sha256, COMMIT, "flow-run-1", first.origin.lock_sha256):
        assert named in "".join(shown.stdout.split()).replace("│", "")


def serve(shop: Workshop, model: ModelRef) -> str:
    """The id of one answer of a version, by a server that is gone."""
    server = slots.start_slot(shop.problem, "a", model.bundle, model.version, slots.PROCESS)
    names = [feature["name"] for feature in bundles.read_signature(model.bundle)["features"]]
    (answered,) = ask(server, [dict.fromkeys(names, None)])
    slots.stop_slot(server)
    return answered


def test_a_record_that_was_changed_is_found(state: Path) -> None:
    problem = define()
    bundle = fitted(problem)
    server = slots.start_slot(problem, "a", bundle, 1, slots.PROCESS)
    (one,) = ask(server, [ODD[0]])
    found = tracing.trace(one)
    nudged = found.prediction.model_copy(update={"score": found.prediction.score + 2**-50})
    again = rescoring.rescored(found.model_copy(update={"prediction": nudged})).rescored
    assert again is not None
    assert not again.is_same


def test_an_unknown_id_is_refused(state: Path) -> None:
    prediction_logs.folder("visits").mkdir(parents=True)
    with pytest.raises(DataError, match=r"visits: expected the id of a prediction.*'abc'"):
        tracing.trace("abc")
