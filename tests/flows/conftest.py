"""One real stack for all tests of flows: Prefect, MLflow, the runner, and a small project."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from retrue import processes, service, stack
from retrue.home import run_dir
from retrue.stack import Urls
from tests.flows.harness import Stack, start_warm
from tests.flows.project import make_project

PROBLEMS = (
    "keyed",
    *("asked", "bare", "claimed", "cut", "damaged", "deployed", "doubted", "engine", "events"),
    *("explained", "flights", "nudged", "races", "relapse", "sensor", "silent"),
)
"""Each for one module or test, so that none depends on what another left."""

N_FLOWS = 6


@pytest.fixture(scope="package")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start it all once; stop it all, also when a test or the start itself has failed."""
    root = tmp_path_factory.mktemp("project")
    prefect, mlflow, *ports = _free_ports(2 + len(PROBLEMS))
    at = Urls(f"http://127.0.0.1:{prefect}", f"http://127.0.0.1:{mlflow}")
    make_project(root, dict(zip(PROBLEMS, ports, strict=True)))
    with ExitStack() as undo:
        undo.callback(_stop, root, at)
        with _environment(root, at):
            warm = start_warm(root / ".retrue", os.environ)
            undo.callback(_end, warm)
            assert stack.up(print) == at
            stack.wait_for_deployments(at, len(PROBLEMS) * N_FLOWS)
        yield Stack(root, root / ".retrue", at, warm)


@pytest.fixture
def loop(running_stack: Stack) -> Iterator[Stack]:
    """The stack, with this test working in its project folder."""
    with _environment(running_stack.root, running_stack.at):
        yield running_stack


@contextmanager
def _environment(root: Path, at: Urls) -> Iterator[None]:
    """Variables and working directory of the stack; other tests of this worker have their own."""
    before, here = dict(os.environ), Path.cwd()
    os.chdir(root)
    os.environ["RETRUE_HOME"] = str(root / ".retrue")
    os.environ |= stack.environment(at)
    for name, url in (("PREFECT", at.prefect), ("MLFLOW", at.mlflow)):
        os.environ[f"RETRUE_{name}_PORT"] = url.rpartition(":")[2]
    # Of two retrainings asked for at once the second looks again after this, not after 30 s.
    os.environ["PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS"] = "1"
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)


def _stop(root: Path, at: Urls) -> None:
    with _environment(root, at), ExitStack() as undo:
        undo.callback(_stop_leftovers)
        undo.callback(stack.down, print)
        undo.callback(service.stop_all, root, print)


def _stop_leftovers() -> None:
    """Servers in slots that a killed deployment left out of service."""
    for record in run_dir().glob("*.json"):
        processes.stop(record.stem)


def _end(warm: "subprocess.Popen[str]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(warm.pid, signal.SIGKILL)  # it leads a group of its own: its flows end as well
    warm.wait()
    assert warm.stdin is not None
    warm.stdin.close()


def _free_ports(n: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
