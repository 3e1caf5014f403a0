"""Swaps under load: requests lost, and seconds until a rollback is served.

`python -m bench.swap [--swaps N] [--requests N] [--target process|container] [--json]` writes
`bench/results/swap.json`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from retrue import containers, engine, images, processes, proxy, slots
from retrue.config_serving import Rollout
from retrue.errors import RetrueError
from retrue.rollout.course import Turn, roll_out
from tests.integration.tiny_service import NAME, Load, ask, make_bundle, make_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.synchronize import Event

    from retrue.config import Problem
    from retrue.refs import BundleRef

RESULT = Path(__file__).resolve().parent / "results" / "swap.json"
N_SWAPS, N_REQUESTS = 20, 100_000
N_PROCESSES, CLIENTS_EACH = 2, 8


@dataclass
class Clients:
    """Processes that ask without pause; what they got is known at their end."""

    n_answered: int = 0
    lost: list[str] = field(default_factory=list)
    versions: set[int] = field(default_factory=set)


def main() -> None:
    """Measure, write the result file, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=N_SWAPS)
    parser.add_argument("--requests", type=int, default=N_REQUESTS)
    parser.add_argument("--target", choices=("process", "container"), default="process")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    load = os.getloadavg()
    with _state():
        found = _measure(options.swaps, options.requests, options.target, Console(stderr=True))
    result = {
        "bench": "swap",
        "ratios": {},
        "figures": found,
        "conditions": {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "target": options.target,
            "cores": os.cpu_count(),
            "clients": N_PROCESSES * CLIENTS_EACH,
            "rollout": Rollout().model_dump(),
            "load_average_before": load,
            "load_average_after": os.getloadavg(),
        },
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result if options.json else found, indent=1))


def _measure(n_swaps: int, n_requests: int, target: str, console: Console) -> dict[str, Any]:
    bundles = [make_bundle(Path(os.environ["RETRUE_HOME"]) / f"bundle-{i}", i) for i in (1, 2)]
    problem = make_problem(processes.free_port())
    # The stages as they are by default.
    serving = problem.serving.model_copy(update={"rollout": Rollout()})
    problem = problem.model_copy(update={"serving": serving})
    ready = [_image(problem, bundle, target) for bundle in bundles]
    roll_out(problem, bundles[0], 1, target, image=ready[0])
    swap_s = []
    with _asking(problem) as clients:
        began = time.monotonic()
        version = 1
        while version <= n_swaps or _n_logged() < n_requests:
            started = time.monotonic()
            bundle, image = bundles[version % 2], ready[version % 2]
            roll_out(problem, bundle, version + 1, target, image=image)
            swap_s.append(time.monotonic() - started)
            console.print(f"swap {version}: {swap_s[-1]:.1f} s, {_n_logged():,} requests")
            version += 1
        seconds = time.monotonic() - began
        settled = [
            _rollback(problem, bundles, ready, target, n) for n in range(version, version + 3)
        ]
        watched = [_rollback_of_watched(problem, bundles, ready, target) for _ in range(3)]
    return {
        "swaps": len(swap_s),
        "requests": clients.n_answered,
        "failed": len(clients.lost),
        "failures": clients.lost[:5],
        "versions_seen": len(clients.versions),
        "requests_per_s": round(clients.n_answered / seconds),
        "swap_s": {
            "median": round(sorted(swap_s)[len(swap_s) // 2], 2),
            "max": round(max(swap_s), 2),
        },
        "rollback_s": {"settled": settled, "watched": watched},
    }


def _rollback(
    problem: Problem, bundles: list[BundleRef], ready: list[str | None], target: str, n: int
) -> float:
    """Seconds until the version before is served again, started anew after a settled deployment."""
    at = (n + 1) % 2

    def go_back() -> None:
        roll_out(problem, bundles[at], n + 1, target, image=ready[at], is_trusted=True)

    return _seconds_until(problem, go_back, lambda now: now["model_version"] == n + 1)


def _rollback_of_watched(
    problem: Problem, bundles: list[BundleRef], ready: list[str | None], target: str
) -> float:
    """Seconds until the champion is served again while its successor is watched."""
    now = proxy.serving_now(NAME)
    assert now is not None
    at = 0 if now.bundle_sha256 == bundles[0].sha256 else 1
    rollout = Rollout(shadow_s=0, canary_s=0, watch_s=60)
    serving = problem.serving.model_copy(update={"rollout": rollout})
    patient = problem.model_copy(update={"serving": serving})
    token = time.monotonic_ns()

    def deploy() -> None:
        with suppress(RetrueError):  # it is overtaken, which is what is measured
            roll_out(patient, bundles[1 - at], 0, target, image=ready[1 - at], turn=Turn(token))

    def go_back() -> None:
        turn = Turn(token + 1, settled=now.model_version)
        roll_out(problem, bundles[at], now.model_version, target, is_trusted=True, turn=turn)

    deploying = threading.Thread(target=deploy)
    deploying.start()
    while ask(problem.serving.port)[1]["model_version"] != 0:
        time.sleep(0.05)
    took_s = _seconds_until(problem, go_back, lambda found: found["boot_nonce"] == now.boot_nonce)
    deploying.join()
    return took_s


def _seconds_until(
    problem: Problem, act: Callable[[], None], is_done: Callable[[dict[str, Any]], bool]
) -> float:
    """Seconds from the begin of an act until clients see its effect; it is waited for."""
    started = time.monotonic()
    acting = threading.Thread(target=act)
    acting.start()
    while not is_done(ask(problem.serving.port)[1]):
        time.sleep(0.005)
    took_s = round(time.monotonic() - started, 3)
    acting.join()
    return took_s


def _n_logged() -> int:
    from retrue.serving.log_reading import last_seq

    return sum(map(last_seq, slots.predictions_dir(NAME).glob("*.sqlite")))


@contextmanager
def _asking(problem: Problem) -> Iterator[Clients]:
    """Clients in processes of their own, so that they do not wait for what they measure."""
    context = multiprocessing.get_context("spawn")
    end, answers = context.Event(), context.SimpleQueue()
    started = [
        context.Process(target=_ask, args=(problem.serving.port, end, answers), daemon=True)
        for _ in range(N_PROCESSES)
    ]
    for one in started:
        one.start()
    clients = Clients()
    try:
        yield clients
    finally:
        end.set()
        for _ in started:
            n_answered, lost, versions = answers.get()
            clients.n_answered += n_answered
            clients.lost += lost
            clients.versions |= versions
        for one in started:
            one.join()


def _ask(port: int, end: Event, answers: Any) -> None:
    with Load(port, CLIENTS_EACH) as load:
        end.wait()
    answers.put((load.n_answered, load.lost, load.versions))


def _image(problem: Problem, bundle: BundleRef, target: str) -> str | None:
    if target != slots.CONTAINER:
        return None
    client = engine.engine_or_reason()
    if isinstance(client, str):
        raise SystemExit(client)
    base = images.ensure_base_image(client, problem.serving.base_image)
    return images.build_image(client, bundle, 1, base)


@contextmanager
def _state() -> Iterator[None]:
    folder = Path(tempfile.mkdtemp(prefix="swap-"))
    os.environ["RETRUE_HOME"] = str(folder)
    try:
        yield
    finally:
        proxy.stop_proxy(NAME)
        for slot in ("a", "b"):
            processes.stop(slots.process_name(NAME, slot))
        client = engine.engine_or_reason()
        if not isinstance(client, str):
            containers.remove_containers(client)
            for image in client.images.list(filters={"label": f"retrue.problem={NAME}"}):
                client.images.remove(str(image.id), force=True)
            client.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
