"""Is every answer in the table, once? Real servers and a real collector, killed at random moments.

`python -m bench.durability [--rows 1000000] [--kills 20]` writes `bench/results/durability.json`.
Clients note the ids they were given, until they have enough; two servers and the collector are
killed (SIGKILL) meanwhile, and started again. In the end each noted id has to stand in the Delta
table exactly once, each late label as well, and each row must give its score again, bit for bit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.durability_load import NAME, Load, make_bundle, make_problem
from retrue import delta, ledger, monitoring, prediction_logs, rescoring, retention, slots
from retrue.home import lake_dir
from retrue.labelling.labels import LABELS
from retrue.prediction_table import PREDICTIONS

if TYPE_CHECKING:
    from retrue.refs import BundleRef

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "bench" / "results" / "durability.json"
SLOTS = ("a", "b")
_RESCORED_ROWS = 1_000
_POLL_S = 0.02
# A collection of what came since the last one takes a few tenths of a second.
_COLLECTOR_S = 3.0


def main() -> None:
    """Run, write the result file, print; the exit code is 1 if anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--max-rows-a-request", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--collect", action="store_true", help="be the collector")
    options = parser.parse_args()
    if options.collect:
        collect_until_killed()
        return
    with tempfile.TemporaryDirectory(prefix="durability-") as folder:
        os.environ["RETRUE_HOME"] = folder
        result = run(
            options.rows,
            options.kills,
            options.seed,
            options.connections,
            options.max_rows_a_request,
        )
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    sys.exit(any(result["ratios"].values()))


def run(n_rows: int, n_kills: int, seed: int, n_connections: int, max_rows: int) -> dict[str, Any]:
    """Serve until enough is acknowledged and killed, then count; the state folder must be empty."""
    bundle = make_bundle()
    cast = Cast(bundle, random.Random(seed))
    load = Load(cast.ports, n_connections, max_rows, seed)
    began = time.monotonic()
    try:
        for slot in SLOTS:
            cast.start_server(slot)
        asyncio.run(_serve(cast, load, n_rows, n_kills))
        wall_s = time.monotonic() - began
    finally:
        cast.end()
    # Once more by hand: what the killed servers left.
    monitoring.collect(NAME)
    time.sleep(retention.STARTING_S + 1)
    retention.retain(make_problem(), ledger.connect(), datetime.now(UTC))
    counts = count(load, bundle)
    counted = ("lost", "doubled", "labels_lost", "labels_doubled", "other_scores", "logs_left")
    return {
        "bench": "durability",
        "ratios": {name: counts.pop(name) for name in counted},
        "conditions": {
            "acknowledged_rows": len(load.answered),
            "acknowledged_labels": len(load.labelled),
            "requests": load.n_requests,
            "requests_cut_off": load.n_cut_off,
            "server_kills": cast.n_server_kills,
            "collector_kills": cast.n_collector_kills,
            **counts,
            "wall_s": round(wall_s, 1),
            "rows_per_s": round(len(load.answered) / wall_s),
            "connections": n_connections,
            "rows_a_request": f"1 to {max_rows}",
            "seed": seed,
            "cpus": len(os.sched_getaffinity(0)),
            "platform": platform.platform(),
        },
    }


def count(load: Load, bundle: BundleRef) -> dict[str, int]:
    """Hold the table against what the clients noted."""
    path = lake_dir(NAME)
    table = delta.read_rows(path / "predictions", PREDICTIONS)
    ids = Counter(table["prediction_id"].to_pylist())
    keys = Counter(delta.read_rows(path / "labels", LABELS, columns=["key"])["key"].to_pylist())
    differing = 0
    for start in range(0, table.num_rows, _RESCORED_ROWS):
        part = table.slice(start, _RESCORED_ROWS)
        again = rescoring.by_bundle(bundle, part["row"].to_pylist())
        logged = zip(part["score"].to_pylist(), part["decision"].to_pylist(), strict=True)
        differing += sum(a != b for a, b in zip(again, logged, strict=True))
    return {
        "lost": sum(one not in ids for one in load.answered),
        "doubled": ids.total() - len(ids),
        "labels_lost": sum(one not in keys for one in load.labelled),
        "labels_doubled": keys.total() - len(keys),
        "other_scores": differing,
        "rows_in_table": table.num_rows,
        "unacknowledged_rows": len(ids.keys() - load.answered),
        "logs_written": len(set(table["log"].to_pylist())),
        "logs_left": len(prediction_logs.files(NAME)),
        "table_files": len(list((path / "predictions").glob("*.parquet"))),
    }


@dataclass
class Cast:
    """The processes that are killed and started again."""

    bundle: BundleRef
    chance: random.Random
    ports: dict[str, int] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    collector: subprocess.Popen[bytes] | None = None
    n_server_kills: int = 0
    n_collector_kills: int = 0

    def start_server(self, slot: str) -> None:
        """Start a server, as a deployment does."""
        ref = slots.start_slot(make_problem(), slot, self.bundle, 1, slots.PROCESS)
        self.ports[slot], self.pids[slot] = ref.port, int(ref.handle)

    def kill_server(self, slot: str) -> None:
        """SIGKILL, in the midst of its work."""
        os.kill(self.pids.pop(slot), signal.SIGKILL)
        self.n_server_kills += 1

    def next_collector(self) -> None:
        """Kill the collector (SIGKILL), wherever it is, and start another one."""
        if self.collector is None:
            command = [sys.executable, "-m", "bench.durability", "--collect"]
            pipe = subprocess.PIPE
            self.collector = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe)
        assert self.collector.stdin is not None
        assert self.collector.stdout is not None
        self.collector.stdin.write(b"\n")
        self.collector.stdin.flush()
        # One that ended by itself failed: the count at the end would hide it.
        assert self.collector.stdout.readline() == b"next\n", "the collector failed"

    def end(self) -> None:
        """Kill all that runs."""
        for slot in list(self.pids):
            self.kill_server(slot)
        if self.collector is not None:
            self.collector.communicate()


async def _serve(cast: Cast, load: Load, n_rows: int, n_kills: int) -> None:
    others = [asyncio.create_task(work) for work in (load.run(), _kill_collectors(cast))]
    for _ in range(n_kills):
        await _until(load, len(load.answered) + cast.chance.uniform(0, n_rows / n_kills), others)
        slot = cast.chance.choice(SLOTS)
        cast.kill_server(slot)
        await asyncio.to_thread(cast.start_server, slot)
    while cast.n_collector_kills < n_kills or len(load.answered) < n_rows:
        await _until(load, len(load.answered) + 1, others)
    for work in others:
        work.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _until(load: Load, n_rows: float, others: list[asyncio.Task[None]]) -> None:
    while len(load.answered) < n_rows:
        for work in others:
            if work.done():
                work.result()
        await asyncio.sleep(_POLL_S)


async def _kill_collectors(cast: Cast) -> None:
    await asyncio.to_thread(cast.next_collector)
    while True:
        await asyncio.sleep(cast.chance.uniform(0, _COLLECTOR_S))
        await asyncio.to_thread(cast.next_collector)
        cast.n_collector_kills += 1


def collect_until_killed() -> None:
    """Collect and delete in a child; each line of stdin kills it and starts another one.

    They are forked, as imports take longer than a collection.
    """
    problem, child = make_problem(), 0
    for _ in sys.stdin:
        if child and not _was_killed(child):
            return
        child = os.fork()
        if child == 0:
            book = ledger.connect()
            while True:
                monitoring.collect(NAME)
                retention.retain(problem, book, datetime.now(UTC))
        print("next", flush=True)
    _was_killed(child)


def _was_killed(child: int) -> bool:
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


if __name__ == "__main__":
    main()
