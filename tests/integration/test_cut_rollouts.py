"""A rollout killed at any stage, or overtaken: one champion alone, and no late writer."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from retrue import processes, proxy, slots
from retrue.config import Problem
from retrue.errors import LedgerError
from retrue.probes import is_healthy
from retrue.proxy_commands import figures, reset_figures
from retrue.refs import BundleRef
from retrue.rollout import course
from retrue.rollout.course import Turn, roll_out
from retrue.rollout.underway import fenced, under_way
from tests.integration.tiny_service import NAME, ask

Bundles = tuple[BundleRef, BundleRef]
Rolling = subprocess.Popen[str]
LONG = {"shadow_s": 60, "canary_s": 60, "watch_s": 60}
STAGES = {
    "shadow": LONG,
    "canary": LONG | {"shadow_s": 0},
    "watch": LONG | {"shadow_s": 0, "canary_s": 0},
}


@pytest.fixture
def rolling(problem: Problem) -> Iterator[Callable[..., Rolling]]:
    """Start a rollout of version 2 in a process of its own, and wait until it is in a stage."""
    started: list[Rolling] = []

    def start(bundle: BundleRef, stage: str, token: int = 1) -> Rolling:
        rollout = problem.serving.rollout.model_copy(update=STAGES[stage])
        serving = problem.serving.model_copy(update={"rollout": rollout})
        longer = problem.model_copy(update={"serving": serving})
        order = {
            "problem": longer.model_dump(mode="json"),
            "bundle": bundle.model_dump(mode="json"),
            "token": token,
        }
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.rolling", json.dumps(order)],
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        assert child.stderr is not None
        while (found := under_way(NAME)) is None or found.stage != stage:
            assert child.poll() is None, child.stderr.read()
            time.sleep(0.01)
        # What comes after the note: the change of the proxy.
        with fenced(NAME, token):
            return child

    yield start
    for child in started:
        child.kill()
        child.wait()
        assert child.stderr is not None
        child.stderr.close()


def shares(problem: Problem) -> tuple[int, int]:
    """Requests at slots a and b when 20 are sent through the proxy."""
    reset_figures(NAME)
    for _ in range(20):
        assert ask(problem.serving.port)[0] == 200
    return figures(NAME, "a").n_requests, figures(NAME, "b").n_requests


@pytest.mark.parametrize("stage", STAGES)
def test_after_a_kill_at_any_stage_the_champion_alone_serves_again(
    problem: Problem, bundles: Bundles, rolling: Callable[..., Rolling], stage: str
) -> None:
    champion = roll_out(problem, bundles[0], 1, slots.PROCESS)
    child = rolling(bundles[1], stage)
    child.kill()
    child.wait()
    left = under_way(NAME)
    assert left is not None
    of_a, of_b = shares(problem)
    assert {"shadow": of_b == 0, "canary": 0 < of_b < of_a, "watch": of_a == 0}[stage]

    # What `retrue up` does.
    assert course.resume(problem, bundles[0], 1, Turn(2, settled=1)) == champion
    assert proxy.serving_now(NAME) == champion
    assert shares(problem) == (20, 0)
    assert not is_healthy(left.new)
    assert not psutil.pid_exists(int(left.new.handle))
    assert under_way(NAME) is None


def test_a_proxy_killed_in_a_canary_comes_back_with_the_champion_alone(
    problem: Problem, bundles: Bundles, rolling: Callable[..., Rolling]
) -> None:
    roll_out(problem, bundles[0], 1, slots.PROCESS)
    child = rolling(bundles[1], "canary")
    child.kill()
    os.kill(proxy.ensure_proxy(NAME, problem.serving.port), signal.SIGKILL)
    while processes.alive(proxy.process_name(NAME)):
        time.sleep(0.01)
    proxy.ensure_proxy(NAME, problem.serving.port)
    assert shares(problem) == (20, 0)


def test_who_was_overtaken_while_it_slept_changes_nothing_when_it_wakes(
    problem: Problem, bundles: Bundles, rolling: Callable[..., Rolling]
) -> None:
    roll_out(problem, bundles[0], 1, slots.PROCESS)
    late = rolling(bundles[1], "canary", token=1)
    os.kill(late.pid, signal.SIGSTOP)
    new = roll_out(problem, bundles[1], 3, slots.PROCESS, turn=Turn(2, settled=1))
    assert shares(problem)[0 if new.slot == "a" else 1] == 20

    os.kill(late.pid, signal.SIGCONT)
    late.send_signal(signal.SIGINT)  # its way out would give all requests to version 1 again
    assert late.wait(60) != 0
    assert proxy.serving_now(NAME) == new
    assert is_healthy(new)
    assert shares(problem)[0 if new.slot == "a" else 1] == 20
    with pytest.raises(LedgerError, match="fencing token 2 or a newer one, found 1"):
        roll_out(problem, bundles[1], 2, slots.PROCESS, turn=Turn(1))


def test_a_rollback_while_a_version_is_watched_is_a_change_of_weights(
    problem: Problem, bundles: Bundles, rolling: Callable[..., Rolling]
) -> None:
    champion = roll_out(problem, bundles[0], 1, slots.PROCESS)
    watching = rolling(bundles[1], "watch")
    assert ask(problem.serving.port)[1]["model_version"] == 2
    settled: list[str] = []
    turn = Turn(2, settled=1, settle=lambda: settled.append("written down"))
    assert roll_out(problem, bundles[0], 1, slots.PROCESS, is_trusted=True, turn=turn) == champion
    assert settled == ["written down"]
    assert shares(problem) == (20, 0)
    assert watching.poll() is None or watching.returncode == 0
    assert not processes.alive(slots.process_name(NAME, "b"))


def test_of_two_holders_at_the_fence_one_waits_for_the_other(problem: Problem) -> None:
    with fenced(NAME, 1):
        code = "from retrue.rollout.underway import fenced\n"
        code += f"with fenced({NAME!r}, 2): print('in', flush=True)"
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(2)
    assert child.communicate(timeout=60)[0] == "in\n"
    with pytest.raises(LedgerError), fenced(NAME, 1):
        pass
