"""The local stack: Prefect server, MLflow server and the runner of the deployments, on loopback."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.request import ProxyHandler, Request, build_opener

from retrue import event_key, processes
from retrue.errors import StackError
from retrue.home import home, run_dir

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"
START_TIMEOUT_S = 180
"""A first start migrates Prefect's database: 13 s on an idle machine, 42 s on a loaded one."""

PREFERRED_PORTS = {"prefect": 4200, "mlflow": 5000}
SERVERS = ("prefect", "mlflow")
RUNNER = "runner"
FLOWS_PER_PROBLEM = 6
"""train, deploy, retrain, drift-check, rollback, explain."""


@dataclass(frozen=True)
class Urls:
    """Where the stack's pages are."""

    prefect: str
    mlflow: str


def urls() -> Urls:
    """Addresses of the stack of this RETRUE_HOME.

    Raises
    ------
    StackError
        It is not running.
    """
    ports = {}
    for name in SERVERS:
        record = processes.running(name)
        if record is None or record.port is None:
            raise StackError(
                "a running stack", f"no {name} server", str(run_dir()), "run `retrue up`"
            )
        ports[name] = record.port
    return Urls(*(f"http://{HOST}:{ports[name]}" for name in SERVERS))


def run_page(flow_run_id: str | None) -> str | None:
    """Address of a flow run in the Prefect UI; None without a run or a running stack."""
    record = processes.running("prefect")
    if flow_run_id is None or record is None or record.port is None:
        return None
    return f"http://{HOST}:{record.port}/runs/flow-run/{flow_run_id}"


def environment(at: Urls) -> dict[str, str]:
    """Environment of every process that talks to the stack: no telemetry, all state at home."""
    return {
        "RETRUE_HOME": str(home()),
        "PREFECT_HOME": str(home() / "prefect"),
        "PREFECT_API_URL": f"{at.prefect}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_CLI_PROMPT": "false",
        "DO_NOT_TRACK": "1",
        "MLFLOW_TRACKING_URI": at.mlflow,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Else its server starts eight more processes for judging texts: 25 CPU-seconds of imports.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "GX_ANALYTICS_ENABLED": "false",
        "MPLCONFIGDIR": str(home() / "cache" / "matplotlib"),
    }


def connect() -> Urls:
    """Point this process at the running stack; call it before Prefect or MLflow are imported."""
    at = urls()
    os.environ.update(environment(at))
    return at


def up(tell: Callable[[str], None]) -> Urls:
    """Start what is not running yet and wait until all of it answers.

    Parameters
    ----------
    tell : callable
        Gets one line for each step, for a progress display.
    """
    event_key.ensure()
    ports = {name: _port(name) for name in SERVERS}
    at = Urls(*(f"http://{HOST}:{ports[name]}" for name in SERVERS))
    os.environ.update(environment(at))
    commands = {
        "prefect": [
            "-m",
            "prefect",
            "server",
            "start",
            "--host",
            HOST,
            "--port",
            str(ports["prefect"]),
        ],
        "mlflow": _mlflow_command(ports["mlflow"]),
    }
    for name in SERVERS:
        if not processes.alive(name):
            tell(f"starting {name} on {HOST}:{ports[name]}")
            command = [sys.executable, *commands[name]]
            processes.start_process(name, command, env=_own_tmp(), port=ports[name])
    _wait(lambda: _answers(f"{at.mlflow}/health"), "mlflow")
    tell(f"MLflow answers at {at.mlflow}")
    _wait(lambda: _answers(f"{at.prefect}/api/health"), "prefect")
    tell(f"Prefect answers at {at.prefect}")
    if not processes.alive(RUNNER):
        tell("starting the runner of the deployments")
        processes.start_process(RUNNER, [sys.executable, "-m", "flows.deployments"])
    return at


def wait_for_deployments(at: Urls, at_least: int) -> None:
    """Wait until the runner has registered its deployments."""

    def registered() -> bool:
        return int(ask(f"{at.prefect}/api/deployments/count", b"{}") or 0) >= at_least

    _wait(registered, RUNNER)


def status() -> dict[str, str | None]:
    """Address of each server, `running` for the runner; None for what does not run."""
    found: dict[str, str | None] = {}
    for name in (*SERVERS, RUNNER):
        record = processes.running(name)
        address = f"http://{HOST}:{record.port}" if record and record.port else "running"
        found[name] = address if record else None
    return found


def down(tell: Callable[[str], None]) -> None:
    """Stop the runner, then the servers; what is not running is passed over."""
    for name in (RUNNER, *reversed(SERVERS)):
        if processes.alive(name):
            graceful = processes.stop(name, timeout_s=15)
            tell(f"stopped {name}" + ("" if graceful else ", by force"))


def _own_tmp() -> dict[str, str]:
    """Let the servers leave their lock files at home, not in the machine's temporary folder."""
    folder = home() / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return {"TMPDIR": str(folder)}


def _mlflow_command(port: int) -> list[str]:
    home().mkdir(parents=True, exist_ok=True)
    return [
        *("-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{home() / 'mlflow.db'}"),
        *("--artifacts-destination", str(home() / "mlartifacts"), "--serve-artifacts"),
    ]


def _port(name: str) -> int:
    """The port a running server has, else the one asked for, else any free one."""
    record = processes.running(name)
    if record is not None and record.port is not None:
        return record.port
    wanted = int(os.environ.get(f"RETRUE_{name.upper()}_PORT", PREFERRED_PORTS[name]))
    return processes.free_port(wanted)


def _answers(url: str) -> bool:
    return ask(url) is not None


def ask(url: str, body: bytes | None = None) -> bytes | None:
    """The body of the answer, or None while there is none; proxy variables are not obeyed."""
    request = Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - our own
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=5) as answer:
            content: bytes = answer.read()
            return content
    except OSError:
        return None


def _wait(ready: Callable[[], bool], name: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if ready():
            return
        if not processes.alive(name):
            break
        time.sleep(0.2)
    log = run_dir() / f"{name}.log"
    raise StackError(
        f"{name} to answer within {START_TIMEOUT_S} s",
        "no answer" if processes.alive(name) else "it has ended",
        str(log),
        "read that log; `retrue down` then `retrue up` starts afresh",
    )
