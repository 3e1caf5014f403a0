"""The problem, the model and the clients of `bench.durability`."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from retrue import experiment, lake
from retrue.config import Problem
from retrue.refs import BundleRef

NAME = "durable"
_LABEL_EVERY = 20
"""Requests of each client; then it sends one late label."""
_RECONNECT_S = 0.05
_ANSWER_TIMEOUT_S = 30.0


def make_problem() -> Problem:
    """A problem whose logs are deleted as soon as they are collected and their server is gone."""
    cost = {"amount": 1, "unit": "call", "why": "none"}
    texts = ("question", "decision", "decided_by", "success", "baseline", "label", "label_known")
    canvas: dict[str, Any] = dict.fromkeys(texts, "none")
    canvas |= {"cost_false_positive": cost, "cost_false_negative": cost, "data_sources": ["none"]}
    definition = {
        "name": NAME,
        "canvas": canvas,
        "data": {
            "sources": {"rows": {"path": "none.csv"}},
            "main": "rows",
            "key": ["id"],
            "time": "at",
        },
        "label": {"expression": "y > 0"},
        "features": {"numeric": ["x", "z"], "categorical": ["kind"], "dates": ["since"]},
        "training": {"start": "2024-01-01", "until": "2024-03-01", "holdout_days": 14}
        | {"num_boost_round": 20, "seed": 7, "num_threads": 1, "params": {"num_leaves": 7}},
        "serving": {"target": "process"},
        "retention": {"log_days": 0},
    }
    return Problem.model_validate(definition)


def make_bundle() -> BundleRef:
    """Fit a small model on made-up rows."""
    problem, random_ = make_problem(), np.random.default_rng(7)
    n = 2_000
    x, z = random_.normal(size=(2, n))
    frame = pd.DataFrame(
        {
            "id": np.arange(n),
            "at": pd.date_range("2024-01-01", "2024-02-28", periods=n, tz="UTC"),
            "x": x,
            "z": z,
            "kind": random_.choice(["a", "b", "c"], n),
            "since": pd.date_range("2020-01-01", "2023-12-31", periods=n, tz="UTC"),
            "y": x + random_.normal(size=n),
        }
    )
    data = lake.write_version(NAME, frame, ["id"], "2024-03-01")
    return experiment.fit_bundle(problem, data, {"code_commit": "none", "lock_sha256": "0" * 64})


def _body(chance: random.Random, n_rows: int) -> bytes:
    rows = [
        {
            "id": chance.getrandbits(60),
            "at": f"2024-03-{chance.randrange(1, 31):02d}T12:00:00Z",
            "x": chance.choice([None, chance.gauss(0, 1), chance.randrange(10**18)]),
            "z": chance.gauss(0, 1),
            "kind": chance.choice(["a", "b", "ünseen", 5, None]),
            "since": chance.choice([None, "2021-07-01", "2022-02-03T04:05:06+01:00"]),
        }
        for _ in range(n_rows)
    ]
    return json.dumps({"dataframe_records": rows}).encode()


@dataclass
class Load:
    """Clients with kept connections that ask without pause and note what is acknowledged."""

    ports: dict[str, int]
    n_connections: int
    max_rows: int
    seed: int
    answered: set[str] = field(default_factory=set)
    labelled: set[str] = field(default_factory=set)
    n_requests: int = 0
    n_cut_off: int = 0

    async def run(self) -> None:
        """Ask until cancelled."""
        slots = sorted(self.ports)
        async with asyncio.TaskGroup() as clients:
            for number in range(self.n_connections):
                clients.create_task(self._client(number, slots[number % len(slots)]))

    async def _client(self, number: int, slot: str) -> None:
        chance = random.Random(f"{self.seed}-{number}")
        # Few bodies, often sent: making them costs the clients more than scoring the server.
        bodies = [_body(chance, chance.randint(1, self.max_rows)) for _ in range(20)]
        n_labels = 0
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[slot])
            except OSError:
                await asyncio.sleep(_RECONNECT_S)
                continue
            try:
                while True:
                    for _ in range(_LABEL_EVERY):
                        self.n_requests += 1
                        answer = await _post(reader, writer, "/invocations", chance.choice(bodies))
                        self.answered.update(answer["prediction_ids"])
                    key, n_labels = {"id": f"{number}-{n_labels}"}, n_labels + 1
                    body = json.dumps({"key": key, "label": 1}).encode()
                    await _post(reader, writer, "/feedback", body)
                    self.labelled.add(json.dumps(key, separators=(",", ":")))
            except (OSError, asyncio.IncompleteReadError):
                self.n_cut_off += 1
            finally:
                writer.close()


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: bytes
) -> dict[str, Any]:
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    async with asyncio.timeout(_ANSWER_TIMEOUT_S):
        lines = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(lines.split(b"content-length:")[1].split(b"\r\n")[0])
        content = await reader.readexactly(length)
    # Anything else than 200 is a fault of the bench: nothing here fills a disk.
    assert lines.startswith(b"http/1.1 200"), (lines, content)
    answer: dict[str, Any] = json.loads(content)
    return answer
