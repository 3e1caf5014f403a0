"""Runs flows in processes of their own, forked from one that has paid for the imports.

Each line of stdin is an `Order` as JSON. A flow ends as it would on the command line, and may be
told to die, to wait for another, or to lose the Docker engine at a named function.
"""

import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypedDict, cast

from retrue import expectations_process

DEADLINE_S = 60


class Order(TypedDict):
    """One flow run to do; `fault` names what happens, `at` the function (`module:name`)."""

    answer: str
    cwd: str
    flow: str
    arguments: dict[str, Any]
    fault: str | None
    at: str


FLOWS = {
    "train": "flows.training",
    "deploy": "flows.deployment",
    "retrain": "flows.retraining",
    "drift_check": "flows.drift_check",
    "rollback": "flows.rollback",
    "explain": "flows.explanation",
}
HEAVY = ("lightgbm", "mlflow", "retrue.delta", "retrue.expectations", "sklearn.metrics")


class Validator:
    """The process that evaluates expectations, forked: one that is started imports for seconds.

    It has what `retrue.expectations_process` uses of a `subprocess.Popen`.
    """

    def __init__(self) -> None:
        """Fork it; of a process that has no other threads yet."""
        orders, answers = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(orders[0], 0)
            os.dup2(answers[1], 1)
            for end in (*orders, *answers):
                os.close(end)
            # The buffer of the inherited one holds orders of flows.
            sys.stdin = os.fdopen(0)
            importlib.import_module("retrue.expectations").main()
            os._exit(0)
        os.close(orders[0])
        os.close(answers[1])
        self.stdin, self.stdout = os.fdopen(orders[1], "wb"), os.fdopen(answers[0], "rb")

    def poll(self) -> int | None:
        """Give the exit code; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, which follows that of its stdin."""
        del timeout
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        """Send SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)


def main() -> None:
    """Serve orders until stdin ends."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    for name in (*FLOWS.values(), *HEAVY):
        importlib.import_module(name)
    answers: dict[int, str] = {}

    def reap(*_: object) -> None:
        while answers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            _write(Path(f"{answers.pop(pid)}.exit"), str(os.waitstatus_to_exitcode(status)))

    signal.signal(signal.SIGCHLD, reap)
    for line in iter(sys.stdin.readline, ""):
        order: Order = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            _carry_out(order)
            sys.exit()
        answers[pid] = order["answer"]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _carry_out(order: Order) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(f"{order['answer']}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(order["cwd"])
    expectations_process._children[:] = [cast("expectations_process.Process", Validator())]
    if order["fault"]:
        _interpose(order["at"], order["fault"])
    flow = getattr(importlib.import_module(FLOWS[order["flow"]]), order["flow"])
    answer: dict[str, Any] = {"state": None, "result": None, "error": None, "message": None}
    try:
        state = flow(**order["arguments"], return_state=True)
        answer |= {"state": state.name, "message": state.message}
        found = state.result()
        answer["result"] = found if isinstance(found, dict) else found.model_dump(mode="json")
    except Exception as error:
        traceback.print_exc()
        answer |= {"error": type(error).__name__, "message": str(error)}
    _write(Path(order["answer"]), json.dumps(answer))


def _write(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(text)
    part.rename(path)


def _interpose(at: str, fault: str) -> None:
    """Replace one function, as the modules that use it see it, by itself and the fault."""
    module_name, _, name = at.partition(":")
    module = importlib.import_module(module_name)
    real: Callable[..., Any] = getattr(module, name)
    kind, _, argument = fault.partition(" ")

    @wraps(real)
    def faulty(*args: Any, **kwargs: Any) -> Any:
        if kind == "meet":
            _meet(Path(argument))
        found = real(*args, **kwargs)
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "engine-gone":
            os.environ["DOCKER_HOST"] = f"unix://{argument}"
        return found

    setattr(module, name, faulty)


def _meet(place: Path) -> None:
    """Wait until two have come to the same folder."""
    place.mkdir(exist_ok=True)
    (place / str(os.getpid())).touch()
    deadline = time.monotonic() + DEADLINE_S
    while len(list(place.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.002)


if __name__ == "__main__":
    main()
