"""What the tests see of a running stack: flows, servers and ledger, from outside."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import pandas as pd
import pytest

from retrue import lake, ledger, preparation, service
from retrue.config import Problem
from retrue.events import DRIFT_DETECTED, resource_id
from retrue.ledger import Deployment, Retraining
from retrue.problems import load_problem
from retrue.replay import Traffic
from retrue.stack import Urls
from tests.flows.project import ALL
from tests.flows.warm import Order

DEADLINE_S = 270
"""A flow takes seconds on an idle machine; on one that builds and tests all else, a minute."""

STACK = [pytest.mark.stack, pytest.mark.timeout(600)]
"""Marks of every test that needs the stack; a worker starts it once, and runs whole files."""

_numbers = count(1)
Found = TypeVar("Found")


@dataclass(frozen=True)
class Outcome:
    """How a flow ended."""

    exit_code: int | None
    """Of a process that ended without an answer: of a kill."""
    state: str | None
    result: dict[str, Any]
    error: str | None
    message: str
    log: str


@dataclass(frozen=True)
class Run:
    """A flow that runs in a process of its own."""

    answer: Path

    def wait(self) -> Outcome:
        """Wait until the flow has ended, or its process without an answer."""
        end = Path(f"{self.answer}.exit")
        wait_for(lambda: self.answer.exists() or end.exists(), f"the end of {self.answer}")
        found = json.loads(_read(self.answer) or "{}")
        return Outcome(
            # What an interpreter does after its flow need not be waited for.
            exit_code=None if found else int(end.read_text()),
            state=found.get("state"),
            result=found.get("result") or {},
            error=found.get("error"),
            message=found.get("message") or "",
            log=_read(Path(f"{self.answer}.log")) or "",
        )


@dataclass(frozen=True)
class Counts:
    """How much there is of each thing that must not be there twice."""

    data_versions: int
    bundles: int
    finished_runs: int
    model_versions: int


@dataclass(frozen=True)
class Stack:
    """A running stack and its project folder."""

    root: Path
    home: Path
    at: Urls
    warm: "subprocess.Popen[str]"

    def start(
        self,
        flow: str,
        *,
        fault: str | None = None,
        at: str = "",
        root: Path | None = None,
        **arguments: Any,
    ) -> Run:
        """Start a flow and do not wait for it."""
        answer = self.home / "answers" / f"{next(_numbers)}-{flow}"
        answer.parent.mkdir(exist_ok=True)
        order: Order = {
            "answer": str(answer),
            "cwd": str(root or self.root),
            "flow": flow,
            "arguments": arguments,
            "fault": fault,
            "at": at,
        }
        assert self.warm.stdin is not None
        print(json.dumps(order, default=str), file=self.warm.stdin, flush=True)
        return Run(answer)

    def run(self, flow: str, **arguments: Any) -> dict[str, Any]:
        """Run a flow that must succeed; its result."""
        done = self.start(flow, **arguments).wait()
        assert done.state == "Completed", done.log
        return done.result

    def kill(self, flow: str, at: str, **arguments: Any) -> None:
        """Run a flow that dies of SIGKILL right after a function."""
        done = self.start(flow, fault="kill", at=at, **arguments).wait()
        assert done.exit_code == -9, f"{at} was never reached:\n{done.log}"

    def problem(self, name: str) -> Problem:
        """Definition of a problem."""
        return load_problem(name, self.root)

    def serve(self, name: str) -> None:
        """Have version 1 of a problem in service, a model of the old world."""
        if not self.versions(name):
            self.run("train", problem=name)
        if self.should_serve(name) != 1:
            self.run("deploy", problem=name, version=1)

    # The world and the service

    def rows(self, since: str = "2013-01-31", until: str = "2013-02-01") -> pd.DataFrame:
        """Flights as clients would ask about them."""
        world = _world(self.root)
        times = world["time_hour"]
        chosen = (times >= pd.Timestamp(since, tz="UTC")) & (times < pd.Timestamp(until, tz="UTC"))
        return world[chosen].reset_index(drop=True)

    def url(self, name: str) -> str:
        """Where clients send their requests."""
        found = service.address(name)
        assert found is not None
        return found

    def traffic(self, name: str) -> Traffic:
        """Steady real requests, without a prediction log."""
        rows = self.rows().head(50)
        return Traffic(rows, self.url(name), interval_s=0.05, path="/invocations?log=false")

    def answering(self, name: str) -> int:
        """The version that answers a real request."""
        row = self.rows().head(1).drop(columns=["time_hour"]).to_json(orient="records")
        body = {"dataframe_records": json.loads(row)}
        answer = _client.post(f"{self.url(name)}/invocations?log=false", json=body)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["model_version"])

    # The ledger and the lake

    def retrainings(self, name: str) -> list[Retraining]:
        """All rows."""
        return ledger.retrainings(ledger.connect(), name)

    def deployments(self, name: str) -> list[Deployment]:
        """All rows."""
        return ledger.history(ledger.connect(), name)

    def should_serve(self, name: str) -> int | None:
        """The version that the ledger says should serve."""
        found = ledger.should_serve(ledger.connect(), name)
        return None if found is None else found.model_version

    def counts(self, name: str) -> Counts:
        """Count what must not be there twice."""
        return Counts(
            len(lake.list_versions(name)),
            len(list((self.home / "bundles" / name).glob("[0-9a-f]*"))),
            sum(run["info"]["status"] == "FINISHED" for run in self.mlflow_runs(name)),
            len(self.versions(name)),
        )

    # MLflow

    def mlflow_runs(self, name: str) -> list[dict[str, Any]]:
        """All runs of a problem, newest first."""
        found = self._mlflow("experiments/get-by-name", {"experiment_name": name})
        if "experiment" not in found:
            return []
        where = {"experiment_ids": [found["experiment"]["experiment_id"]], "max_results": 1000}
        runs: list[dict[str, Any]] = self._mlflow("runs/search", json=where).get("runs", [])
        return runs

    def versions(self, name: str) -> list[dict[str, Any]]:
        """Registered versions, oldest first."""
        found = self._mlflow("model-versions/search", {"filter": f"name='{name}'"})
        return sorted(found.get("model_versions", []), key=lambda one: int(one["version"]))

    def alias(self, name: str, alias: str) -> int | None:
        """The version an alias points to."""
        found = self._mlflow("registered-models/get", {"name": name})
        aliases = found.get("registered_model", {}).get("aliases", [])
        return next((int(a["version"]) for a in aliases if a["alias"] == alias), None)

    def artifacts(self, run_id: str, folder: str = "") -> list[str]:
        """Paths of the files and folders in a run's folder."""
        found = self._mlflow("artifacts/list", {"run_id": run_id, "path": folder})
        return [one["path"] for one in found.get("files", [])]

    def _mlflow(
        self, path: str, query: Mapping[str, str] | None = None, json: Any = None
    ) -> dict[str, Any]:
        method = "GET" if json is None else "POST"
        url = f"{self.at.mlflow}/api/2.0/mlflow/{path}"
        answer = _client.request(method, url, params=query, json=json)
        assert answer.status_code in (200, 404), answer.text
        found: dict[str, Any] = answer.json()
        return found

    # Prefect

    def ask(self, path: str, body: Any = None) -> Any:
        """Ask the Prefect server as another system would."""
        method = "GET" if body is None else "POST"
        answer = _client.request(method, f"{self.at.prefect}/api/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def deployment(self, flow: str, name: str) -> dict[str, Any]:
        """A deployment by the names of its flow and its problem."""
        found: dict[str, Any] = self.ask(f"deployments/name/{flow}/{name}")
        return found

    def flow_runs(self, flow: str, name: str) -> list[dict[str, Any]]:
        """Flow runs of a deployment, oldest first."""
        wanted = {"deployments": {"id": {"any_": [self.deployment(flow, name)["id"]]}}}
        found: list[dict[str, Any]] = self.ask("flow_runs/filter", wanted)
        return sorted(found, key=lambda one: str(one["created"]))

    def send_event(
        self, name: str, payload: Mapping[str, str], event: str = DRIFT_DETECTED
    ) -> None:
        """Send an event as another system would."""
        sent = {
            "id": str(uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": event,
            "resource": {"prefect.resource.id": resource_id(name)},
            "payload": dict(payload),
        }
        self.ask("events", [sent])


@cache
def _world(root: Path) -> pd.DataFrame:
    return preparation.world(load_problem("flights", root), ALL, root)


# Proxy variables are for the outside. No kept connections: a proxy that stops waits for them.
_client = httpx.Client(
    trust_env=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0)
)


def wait_for(look: Callable[[], Found | None], what: str) -> Found:
    """Look again and again until there is something, or fail."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {DEADLINE_S} s")


def start_warm(root: Path, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start the process that runs flows."""
    log = (root / "warm.log").open("w")
    with log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.flows.warm"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
            cwd=Path(__file__).parents[2],
            env=dict(environment),
            start_new_session=True,
        )


def _read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


def ended(stack: Stack, flow: str, name: str, at_least: int) -> list[dict[str, Any]] | None:
    """Flow runs of a deployment once so many of them have ended."""
    runs = stack.flow_runs(flow, name)
    done = [run for run in runs if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED")]
    return done if len(done) >= at_least else None
