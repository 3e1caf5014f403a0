"""From the breach to the new model answering: the closed loop on the flights, timed.

`python -m bench.loop [--repeats N] [--json]` writes `bench/results/loop.json`. Each repeat begins
with no state: a model of January to March serves, June's flights are sent to it, a drift check
finds the breach, and the event, the retraining, the gate and the switch follow by themselves. The
clock runs from the start of the check until the new version has taken over for good.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from bench import report

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PROBLEM = "flights"
BREACH = (date(2013, 6, 1), date(2013, 7, 1))
"""The month whose retraining is promoted over the model of January to March."""
TARGET_S = 60
DEADLINE_S = 900


def main() -> None:
    """Measure, write the result file, print."""
    options = report.options(__doc__, repeats=3)
    console = Console(stderr=True)
    load = os.getloadavg()[0]
    laps = []
    for _ in range(options.repeats):
        with _stack(console):
            laps.append(_close_the_loop(console))
        console.log(", ".join(f"{name} {spent:.1f} s" for name, spent in laps[-1].items()))
    medians = {name: statistics.median(lap[name] for lap in laps) for name in laps[0]}
    result = report.write(
        "loop",
        {"breach_to_answer_s": medians["all"]},
        load,
        {"repeats": options.repeats, "target_s": TARGET_S, "medians_s": medians, "laps_s": laps},
    )
    print(json.dumps(result) if options.json else f"{medians} (target: all <= {TARGET_S})")


@contextmanager
def _stack(console: Console) -> Iterator[None]:
    """The servers in a state folder that is gone afterwards, also when a run fails."""
    from retrue import service, stack

    with tempfile.TemporaryDirectory(prefix="retrue-bench-") as folder:
        os.chdir(ROOT)
        # Told to end, it still stops the servers; by default the signal would leave them running.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
        os.environ["RETRUE_HOME"] = folder
        try:
            at = stack.up(console.log)
            stack.wait_for_deployments(at, stack.FLOWS_PER_PROBLEM)
            yield
        finally:
            service.stop_all(ROOT, console.log)
            stack.down(console.log)


def _close_the_loop(console: Console) -> dict[str, float]:
    """Seconds of each part, and of all of it."""
    from flows.deployment import deploy
    from flows.drift_check import drift_check
    from flows.training import train
    from retrue import ledger, preparation, replay, service
    from retrue.api_keys import own_headers
    from retrue.days import midnight
    from retrue.problems import load_problem

    config = load_problem(PROBLEM)
    first = train(PROBLEM)
    deploy(PROBLEM, first.model.version, "bench.loop")
    world = preparation.world(config, BREACH[1], ROOT)
    times = world[config.data.time]
    rows = world[(times >= midnight(BREACH[0])) & (times < midnight(BREACH[1]))]
    url = service.address(PROBLEM) or ""
    headers = own_headers(PROBLEM)
    replay.replay(rows, url, time_column=str(config.data.time), headers=headers)
    console.log(f"{len(rows):,} rows of June were served by version {first.model.version}")

    began = time.time()
    checked = drift_check(PROBLEM, *BREACH)
    done = _answer(checked.decision)
    if done.status != "promoted":
        raise SystemExit(f"expected a promotion, found {done.status}: {done.details_json}")
    new = json.loads(done.details_json)["model_version"]
    # Switched before the ledger's last word; the request is the proof of it.
    served = next(
        one
        for one in reversed(ledger.history(ledger.connect(), PROBLEM))
        if one.model_version == new and one.status == "serving"
    )
    with replay.Traffic(rows.head(50), url, headers=headers) as traffic:
        time.sleep(0.5)
    if set(traffic.report().by_model_version) != {new}:
        raise SystemExit(f"expected answers of version {new}: {traffic.report()}")
    moments = {
        "check": _at(_decided_at(checked.decision)),
        "event": _at(done.claimed_at),
        "retraining": _at(served.started_at),
        "rollout": _at(served.finished_at),
    }
    laps, before = {}, began
    for name, moment in moments.items():
        laps[name], before = moment - before, moment
    return {**laps, "all": before - began}


def _answer(decision: str) -> Any:
    """The retraining of a decision once it has ended."""
    from retrue import ledger

    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        for one in ledger.retrainings(ledger.connect(), PROBLEM):
            if one.trigger_key == decision and one.status != "running":
                return one
        time.sleep(0.1)
    raise SystemExit(f"no retraining within {DEADLINE_S} s")


def _decided_at(decision: str) -> str:
    from retrue import ledger

    found = ledger.find_decision(ledger.connect(), PROBLEM, decision)
    if found is None:
        raise SystemExit(f"expected drift in June, found no decision {decision}")
    return found.decided_at


def _at(moment: str | None) -> float:
    return datetime.fromisoformat(str(moment)).timestamp()


if __name__ == "__main__":
    main()
