"""The whole loop on real servers: train, serve, drift, event, retrain, redeploy, roll back."""

import json
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from retrue import bundles, event_key, ledger
from retrue.events import RETRAIN_REQUESTED
from retrue.refs import BundleRef
from retrue.replay import replay
from retrue.retraining_events import signature
from retrue.written_pages import newest
from tests.flows.harness import STACK, Stack, ended, wait_for

pytestmark = STACK


def test_training_the_same_again_adds_nothing_and_a_run_knows_where_it_comes_from(
    loop: Stack,
) -> None:
    first = loop.run("train", problem="flights", until=date(2013, 1, 24))
    before = loop.counts("flights")
    again = loop.run("train", problem="flights", until=date(2013, 1, 24))

    assert again["data"] == first["data"]
    assert again["model"] == first["model"]
    assert loop.counts("flights") == before

    run = next(
        one
        for one in loop.mlflow_runs("flights")
        if one["info"]["run_id"] == first["model"]["run_id"]
    )
    parameters = {one["key"]: one["value"] for one in run["data"]["params"]}
    metrics = {one["key"]: one["value"] for one in run["data"]["metrics"]}
    tags = {one["key"]: one["value"] for one in run["data"]["tags"]}
    assert parameters["num_boost_round"] == "10"
    assert parameters["until"] == "2013-01-24"
    assert 0 < metrics["holdout_log_loss"] < metrics["no_skill_log_loss"]
    assert tags["retrue.data_version"] == str(first["data"]["version"])
    assert tags["retrue.data_sha256"] == first["data"]["sha256"]
    assert len(tags["retrue.code_commit"].partition("-dirty")[0]) == 40
    assert tags["retrue.lock_sha256"] == sha256(Path("uv.lock").read_bytes()).hexdigest()
    dataset, *sources = run["inputs"]["dataset_inputs"]
    assert {one["dataset"]["name"] for one in sources} == {
        f"flights/{name} v0" for name in ("flights", "weather", "planes", "airports", "airlines")
    }
    assert dataset["dataset"]["digest"] == first["data"]["sha256"][:36]
    assert json.loads(dataset["dataset"]["source"])["version"] == first["data"]["version"]
    manifest = bundles.read_manifest(BundleRef(**first["model"]["bundle"]))
    assert manifest["code_commit"] == tags["retrue.code_commit"]


def test_drift_in_what_was_served_brings_a_better_model_into_service_and_back(loop: Stack) -> None:
    old = loop.run("train", problem="relapse")["model"]["version"]
    loop.run("deploy", problem="relapse", version=old)
    assert loop.answering("relapse") == loop.alias("relapse", "champion") == old

    sent = replay(loop.rows("2013-01-25"), loop.url("relapse"), time_column="time_hour")
    assert (sent.failed, sent.rows) == (0, len(loop.rows("2013-01-25")))
    with loop.traffic("relapse") as traffic:
        checked = loop.run(
            "drift_check", problem="relapse", since=date(2013, 1, 25), until=date(2013, 2, 1)
        )
        assert checked["verdict"] == "drift", checked["report"]
        assert checked["report"]["n_current"] == sent.rows
        retrained = wait_for(lambda: _finished(loop, checked["decision"]), "the retraining")
    assert (retrained.status, retrained.attempts) == ("promoted", 1)
    assert traffic.report().failed == 0
    _is_shown(loop, checked["report"]["top_feature"])

    details = json.loads(retrained.details_json)
    new = details["model_version"]
    assert details["lower"] > 0
    assert new != old
    assert set(traffic.report().by_model_version) <= {old, new}
    assert loop.answering("relapse") == loop.alias("relapse", "champion") == new
    assert loop.should_serve("relapse") == new
    assert ledger.open_decisions(ledger.connect(), "relapse") == []

    with loop.traffic("relapse") as traffic:
        loop.run("rollback", problem="relapse", reason="a test")
    assert traffic.report().failed == 0
    assert loop.answering("relapse") == loop.alias("relapse", "champion") == old
    assert [one.status for one in loop.deployments("relapse")] == ["retired", "retired", "serving"]
    assert json.loads(loop.deployments("relapse")[-1].details_json)["reason"] == "rollback: a test"


def test_a_signed_event_delivered_twice_retrains_once_and_forged_ones_never(loop: Stack) -> None:
    plain = {
        "decision": "theirs-1",
        "until": "2013-02-01",
        "reason": "their monitor says so",
        "sent_at": datetime.now(UTC).isoformat(),
    }
    signed = plain | {"signature": signature(event_key.read(), "events", plain)}
    loop.send_event("events", plain, RETRAIN_REQUESTED)
    loop.send_event("events", {"decision": "drift:v1:forged", "until": "2013-02-01"})
    loop.send_event("events", signed, RETRAIN_REQUESTED)
    loop.send_event("events", signed, RETRAIN_REQUESTED)

    runs = wait_for(lambda: ended(loop, "retrain", "events", 4), "four flow runs")

    states = sorted(run["state_name"] for run in runs)
    assert states == ["Completed", "Refused", "Refused", "Skipped"]
    told = sorted(run["state"]["message"] for run in runs if run["state_name"] == "Refused")
    assert "expected a drift decision of ours, found decision 'drift:v1:forged'" in told[0]
    assert "expected a signature, found none" in told[1]
    (row,) = loop.retrainings("events")
    assert (row.trigger_key, row.status, row.attempts) == ("request:theirs-1", "promoted", 1)
    assert json.loads(row.details_json)["asked"] == "their monitor says so"
    assert [one["version"] for one in loop.versions("events")] == ["1"]
    assert loop.answering("events") == 1


def test_a_rollback_without_anything_before_is_refused_in_words(loop: Stack) -> None:
    done = loop.start("rollback", problem="bare").wait()
    assert done.error == "DeployError"
    assert "bare: expected a version that served before, found none" in done.message
    assert loop.deployments("bare") == []


@pytest.mark.parametrize("flow", ["deploy", "drift_check"])
def test_a_way_in_without_a_model_says_what_to_do_first(loop: Stack, flow: str) -> None:
    done = loop.start(flow, problem="bare").wait()
    assert done.error in ("TrainingError", "DeployError")
    assert "run `retrue train bare`" in done.message
    assert loop.deployments("bare") == []


def _finished(loop: Stack, decision: str) -> ledger.Retraining | None:
    rows = [row for row in loop.retrainings("relapse") if row.trigger_key == decision]
    return next((row for row in rows if row.status != "running"), None)


def _is_shown(loop: Stack, top_feature: str) -> None:
    """The check has a page, a table, a link and its progress in the UI, and metrics."""
    path = newest("relapse", "drift").path
    assert f"<h3>{top_feature}</h3>" in path.read_text()
    keys = [f"drift-{kind}-relapse" for kind in ("features", "page", "progress")]
    found = loop.ask("artifacts/filter", {"artifacts": {"key": {"any_": keys}}})
    data = {one["key"]: one["data"] for one in found}
    assert json.loads(data["drift-features-relapse"])[0]["feature"] == top_feature
    assert path.as_uri() in data["drift-page-relapse"]
    assert data["drift-progress-relapse"] == 100
    metrics = loop.home / "metrics" / "relapse.prom"
    assert 'retrue_drift_verdict{problem="relapse",verdict="drift"} 1.0' in metrics.read_text()
    # They are written after the ledger, which the test waited for.
    promoted = 'retrue_retraining_outcome{problem="relapse",outcome="promoted"} 1.0'
    wait_for(lambda: promoted in metrics.read_text(), "the metrics of the retraining")
