"""What the Prefect UI offers: a deployment for each way in, forms, and a schedule that runs."""

import json
from datetime import datetime
from typing import Any

import psutil
import pytest

from retrue import processes
from tests.flows.command_line import retrue
from tests.flows.harness import STACK, Stack, wait_for
from tests.flows.project import DAILY

pytestmark = STACK

FORMS = {
    "train": {"problem": "string", "until": "date", "search": "boolean"},
    "deploy": {"problem": "string", "version": "integer", "reason": "string"},
    "retrain": {
        "problem": "string",
        "until": "date",
        "trigger_key": "string",
        "reason": "string",
        "search": "boolean",
        "event": "string",
    },
    "drift-check": {"problem": "string", "since": "date", "until": "date"},
    "rollback": {"problem": "string", "version": "integer", "reason": "string"},
    "explain": {
        "problem": "string",
        "version": "integer",
        "prediction_id": "string",
        "row": "string",
    },
}


def kind(schema: dict[str, Any]) -> str:
    """Type of a form's field, `null` aside; a free-form object has no other name than object."""
    kinds = {str(one.get("format", one["type"])) for one in schema.get("anyOf", [schema])} - {
        "null"
    }
    return kinds.pop() if len(kinds) == 1 else f"several: {kinds}"


@pytest.mark.parametrize("flow", FORMS)
def test_every_way_in_is_a_deployment_with_a_form(loop: Stack, flow: str) -> None:
    found = loop.deployment(flow, "flights")
    fields = found["parameter_openapi_schema"]["properties"]

    assert {name: kind(field) for name, field in fields.items()} == FORMS[flow]
    assert all(field["title"] and len(field["description"]) > 10 for field in fields.values())
    assert found["parameters"] == {"problem": "flights"}
    assert found["description"]
    assert {"retrue", "flights"} <= set(found["tags"])


def test_a_wrong_value_is_refused_before_anything_runs(loop: Stack) -> None:
    deployment = loop.deployment("deploy", "flights")["id"]
    with pytest.raises(AssertionError, match="version"):
        loop.ask(f"deployments/{deployment}/create_flow_run", {"parameters": {"version": "two"}})
    assert loop.flow_runs("deploy", "flights") == []


def test_only_the_drift_check_has_a_schedule_and_it_makes_flow_runs(loop: Stack) -> None:
    schedules = {
        flow: [one["schedule"]["cron"] for one in loop.deployment(flow, "flights")["schedules"]]
        for flow in FORMS
    }
    assert schedules == {flow: [DAILY] * (flow == "drift-check") for flow in FORMS}

    runs = wait_for(lambda: loop.flow_runs("drift-check", "flights"), "scheduled runs")
    assert {run["state_type"] for run in runs} == {"SCHEDULED"}
    assert all(run["auto_scheduled"] for run in runs)
    assert runs[0]["expected_start_time"][14:16] == DAILY.split()[0]
    status = retrue("status", "--json", folder=loop.root)
    assert status.returncode == 0, status.stderr
    told = json.loads(status.stdout)["problems"]["flights"]["next_check"]
    assert (told["schedule"], told["note"]) == (DAILY, None)
    first = min(datetime.fromisoformat(run["expected_start_time"]) for run in runs)
    assert datetime.fromisoformat(told["at"]) == first


def test_the_tracking_server_starts_no_processes_for_jobs_that_nobody_sends(loop: Stack) -> None:
    record = processes.running("mlflow")
    assert record is not None
    commands = [child.cmdline() for child in psutil.Process(record.pid).children(recursive=True)]
    assert len(commands) == 1, commands
