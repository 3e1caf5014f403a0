"""A flow killed with SIGKILL at any stage: run again, it goes on, and nothing is there twice."""

from collections.abc import Iterator
from datetime import date
from functools import cache

import pytest

from retrue.ledger import connect, history
from retrue.replay import Traffic
from tests.flows.harness import STACK, Counts, Stack

pytestmark = STACK

IN_TRAINING = {
    "after ingest": "retrue.preparation:ingest",
    "after the data version": "retrue.lake:write_parts",
    "after the bundle, in the task": "retrue.bundles:write_bundle",
    "after the fit's task": "retrue.experiment:judge",
    "in the midst of logging": "retrue.tracking:_log_datasets",
    "after the run is logged": "retrue.tracking:log_run",
    "after registration": "retrue.tracking:register",
}
DAYS = {at: date(2013, 1, 20 + i) for i, at in enumerate(IN_TRAINING)}
"""Each training has data of its own, so that it has all to do."""

IN_DEPLOYMENT = {
    "after the golden requests": "retrue.rollout.course:check_golden",
    "in the shadow": "retrue.rollout.course:shadow",
    "in the canary": "retrue.rollout.course:share",
    "after the switch": "retrue.rollout.course:switch",
    "at the end of the canary": "retrue.rollout.course:observe",
    "after the ledger row": "retrue.ledger:finish_deployment",
    "after the old server": "retrue.rollout.course:stop_slot",
}
SWITCHED = ("after the switch", "after the ledger row", "after the old server")
SETTLED = ("after the ledger row", "after the old server")


@pytest.fixture
def cut(loop: Stack) -> Iterator[Traffic]:
    """Problem `cut` with a champion in service and requests all the while; none may fail."""
    if loop.should_serve("cut") is None:
        loop.serve("cut")
    with loop.traffic("cut") as traffic:
        yield traffic
    report = traffic.report()
    assert report.answered > 0
    assert report.failed == 0


@cache
def candidate(loop: Stack) -> int:
    """Another version of `cut`, to be deployed."""
    version: int = loop.run("train", problem="cut", until=date(2013, 1, 19))["model"]["version"]
    return version


@pytest.mark.parametrize("stage", IN_TRAINING)
def test_a_training_killed_anywhere_goes_on_and_adds_one_of_each(
    loop: Stack, cut: Traffic, stage: str
) -> None:
    until, before, champion = DAYS[stage], loop.counts("cut"), loop.should_serve("cut")
    deployments = loop.deployments("cut")

    loop.kill("train", IN_TRAINING[stage], problem="cut", until=until)
    assert loop.answering("cut") == champion
    done = loop.run("train", problem="cut", until=until)

    assert loop.counts("cut") == Counts(
        before.data_versions + 1,
        before.bundles + 1,
        before.finished_runs + 1,
        before.model_versions + 1,
    )
    (version,) = (v for v in loop.versions("cut") if int(v["version"]) == done["model"]["version"])
    assert version["run_id"] == done["model"]["run_id"]
    assert {run["info"]["status"] for run in loop.mlflow_runs("cut")} <= {"FINISHED", "KILLED"}
    assert loop.answering("cut") == loop.should_serve("cut") == champion
    assert loop.deployments("cut") == deployments


@pytest.mark.parametrize("stage", IN_DEPLOYMENT)
def test_a_deployment_killed_anywhere_is_done_again_and_no_request_is_lost(
    loop: Stack, cut: Traffic, stage: str
) -> None:
    old = loop.should_serve("cut")
    new = candidate(loop) if old == 1 else 1

    loop.kill("deploy", IN_DEPLOYMENT[stage], problem="cut", version=new)
    assert loop.should_serve("cut") == (new if stage in SETTLED else old)
    assert loop.alias("cut", "champion") == old
    if "canary" not in stage:
        assert loop.answering("cut") == (new if stage in SWITCHED else old)

    loop.run("deploy", problem="cut", version=new)
    assert loop.answering("cut") == loop.should_serve("cut") == loop.alias("cut", "champion") == new
    killed, last = history(connect(), "cut")[-2:]
    assert killed.status == ("retired" if stage in SETTLED else "failed")
    assert (last.status, last.model_version) == ("serving", new)
    statuses = [one.status for one in loop.deployments("cut")]
    assert (statuses.count("serving"), statuses.count("deploying")) == (1, 0)


@pytest.mark.parametrize(
    ("problem", "at"),
    [
        ("claimed", "retrue.ledger:claim_retraining"),
        ("deployed", "retrue.tracking:mark_champion"),
    ],
)
def test_a_retraining_killed_with_its_claim_is_finished_by_the_next_of_its_key(
    loop: Stack, problem: str, at: str
) -> None:
    loop.serve(problem)
    until = date(2013, 2, 1)
    with loop.traffic(problem) as traffic:
        loop.kill("retrain", at, problem=problem, until=until, trigger_key="k")
        (row,) = loop.retrainings(problem)
        assert (row.status, row.attempts) == ("running", 1)
        loop.run("retrain", problem=problem, until=until, trigger_key="k")
    assert traffic.report().failed == 0

    (row,) = loop.retrainings(problem)
    assert (row.status, row.attempts) == ("promoted", 2)
    assert loop.counts(problem) == Counts(2, 2, 2, 2)
    assert loop.answering(problem) == loop.should_serve(problem) == 2
    assert loop.alias(problem, "champion") == 2

    third = loop.start("retrain", problem=problem, until=until, trigger_key="k").wait()
    assert third.state == "Skipped"
    assert "answered this trigger before: promoted" in third.message
