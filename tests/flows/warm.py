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
from typing import Any, TypedDict

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
HEAVY = ("great_expectations", "lightgbm", "mlflow", "sklearn.metrics", "retrue.delta")


def main() -> None:
    """Serve orders until stdin ends."""
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
