"""`python -m bench.fuzz`: 200,000 hostile requests to a real server with its log on.

Three sources: raw sockets (seeded mutations of requests, heads and framing), Hypothesis (bodies
from the signature) and schemathesis (bodies, queries and headers from /openapi.json).
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok

from bench.hostile import CANARY, Request, Requests
from bench.hostile_client import HANG_S, Client, Findings
from retrue.serving.log_reading import read_after
from tests.serving.tiny_model import json_rows, make_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

# Schemathesis makes some 50 requests a second, raw sockets thousands.
_HYPOTHESIS_SHARE, _SCHEMATHESIS_SHARE = 0.1, 0.02
_CLIENTS, _TRIES = 8, 3
_OWN_SCHEMA: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "tiny", "version": "1"},
    "paths": {
        f"/{path}": {
            "post": {
                "parameters": [
                    {"name": "log", "in": "query", "schema": {"type": "boolean"}},
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": schema}},
                },
                "responses": {"200": {"description": "taken"}},
            }
        }
        for path, schema in {
            "invocations": {
                "type": "object",
                "properties": {
                    form: {"type": "array", "items": {"type": "object"}}
                    for form in ("dataframe_records", "instances")
                },
            },
            "feedback": {
                "type": "object",
                "required": ["label"],
                "properties": {"label": {"type": "number"}, "key": {"type": "object"}},
            },
        }.items()
    },
}


class Stalls:
    """How long this machine keeps a thread that only sleeps from running: noise, not the server."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.is_set():
            before = time.perf_counter()
            time.sleep(0.001)
            self.worst_s = max(self.worst_s, time.perf_counter() - before - 0.001)


def main() -> int:
    """Run, write bench/results/fuzz.json; exit 1 when something may not be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), options.requests, options.seed)
    results = Path(__file__).parent / "results" / "fuzz.json"
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    return int(any(found["ratios"].values()) or bool(found["faults"]))


def run(folder: Path, n_requests: int, seed: int) -> dict[str, Any]:
    """Send them all, and tell what came of it."""
    made = make_bundle(folder / "bundle")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "retrue.serving", "--bundle", str(made.path), "--sha256"]
    command += [made.sha256, "--log-dir", str(folder), "--port", str(port), "--boot-nonce", "fuzz"]
    with (folder / "stderr").open("wb") as stderr:
        server = subprocess.Popen(command, stderr=stderr)
    try:
        _wait_ready(port)
        n_open = _n_open(server.pid)
        rows = json_rows(made.frame.head(50))
        findings, stalls = Findings(), Stalls()
        client = Client(port, findings)
        began = time.perf_counter()
        n_hypothesis = int(n_requests * _HYPOTHESIS_SHARE)
        n_schemathesis = int(n_requests * _SCHEMATHESIS_SHARE)
        n_hangs = _send_schemathesis(port, findings, n_schemathesis, seed)
        slow = _send_hypothesis(client, n_hypothesis, seed, rows[0])
        n_left = n_requests - findings.sent.total()
        slow += _send_raw(port, findings, n_left, seed, rows)
        took_s = time.perf_counter() - began
        n_hangs += sum(_is_always_slow(partial(client.send, request)) for request in slow)
        stalls.stop()
        client.close()
        time.sleep(3)  # what was refused is closed by now
        left = _n_open(server.pid) - n_open
        cpu_s = sum(_cpu_s(server.pid))
        server.terminate()
        exit_code = server.wait(30)
    finally:
        server.kill()
        server.wait()
    said = (folder / "stderr").read_text()
    lost = len(findings.ids - _logged(folder / "0-fuzz.sqlite"))
    answered = [one for times in findings.seconds.values() for one in times]
    return {
        "bench": "fuzz",
        "ratios": {
            "five_hundreds": sum(n for at, n in findings.statuses.items() if at[0] == "5"),
            "hangs_over_250_ms": n_hangs,
            "faults": len(findings.faults),
            "answered_but_not_logged": lost,
            "connections_left": max(0, left),
        },
        "conditions": {
            "requests": findings.sent.total(),
            "sent": dict(findings.sent),
            "statuses": dict(findings.statuses),
            "seconds": round(took_s, 1),
            "server_cpu_us_per_request": round(1e6 * cpu_s / findings.sent.total(), 1),
            "over_250_ms_at_first": sum(one > HANG_S for one in answered),
            "machine_stall_ms_max": round(1e3 * stalls.worst_s, 1),
            "predictions_logged": len(findings.ids),
            "exit_code": exit_code,
            "server_said": said[-500:],
            "latency_ms": {
                kind: _latency_ms(times) for kind, times in sorted(findings.seconds.items())
            },
            "seed": seed,
            "cores": os.cpu_count(),
        },
        "faults": findings.faults[:20],
    }


def _send_raw(
    port: int, findings: Findings, n_requests: int, seed: int, rows: list[dict[str, Any]]
) -> list[Request]:
    """Send from several clients at once, since each waits for the disk; those that took long."""

    def send(number: int) -> tuple[Findings, list[Request]]:
        own, slow = Findings(), []
        requests, client = Requests(Random(f"{seed}-{number}"), rows), Client(port, own)
        for _ in range(number, n_requests, _CLIENTS):
            request = requests.next()
            if client.send(request) > HANG_S:
                slow.append(request)
        client.close()
        return own, slow

    with ThreadPoolExecutor(_CLIENTS) as pool:
        all_slow = []
        for own, slow in pool.map(send, range(_CLIENTS)):
            findings.add(own)
            all_slow += slow
    return all_slow


def _send_schemathesis(port: int, findings: Findings, n_requests: int, seed: int) -> int:
    """Send what fits the schema and what does not; how many of them always take long."""
    n_hangs = 0
    schema = schemathesis.openapi.from_dict(_schema(port))
    found = schema.get_all_operations()
    operations = [one.ok() for one in found if isinstance(one, Ok)]
    modes = list(schemathesis.GenerationMode)
    for operation in operations:
        for mode in modes:

            @seeded(seed)
            @_quiet(n_requests // (len(operations) * len(modes)))
            @given(case=operation.as_strategy(mode))
            def send(case: Any) -> None:
                nonlocal n_hangs

                def ask() -> float:
                    findings.sent["schemathesis"] += 1
                    answer = case.call(base_url=f"http://127.0.0.1:{port}", timeout=10)
                    took = float(answer.elapsed)
                    sent = str(answer.request.body).encode()
                    findings.take("schemathesis", answer.status_code, answer.content, took, sent)
                    return took

                n_hangs += ask() > HANG_S and _is_always_slow(ask)

            # An operation that takes nothing cannot be asked wrongly.
            with suppress(Unsatisfiable):
                send()
    return n_hangs


def _send_hypothesis(
    client: Client, n_requests: int, seed: int, row: dict[str, Any]
) -> list[Request]:
    """Send bodies near the signature and far from it; those that took long."""
    slow: list[Request] = []
    names = st.sampled_from([*row, CANARY]) | st.text(max_size=5)
    values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    rows = st.lists(st.dictionaries(names, values, max_size=8), max_size=4)
    near = st.lists(st.fixed_dictionaries(dict.fromkeys(row, values)), min_size=1, max_size=4)
    split = st.fixed_dictionaries(
        {"columns": st.lists(names, max_size=6), "data": st.lists(st.lists(values, max_size=6))}
    )
    anything = st.recursive(values, lambda inner: st.lists(inner) | st.dictionaries(names, inner))
    forms = st.sampled_from(["instances", "dataframe_records", "dataframe_split"])
    bodies = st.dictionaries(forms, rows | near | split, max_size=2) | anything

    @seeded(seed)
    @_quiet(n_requests)
    @given(body=bodies, is_ascii=st.booleans(), is_feedback=st.booleans())
    def send(body: Any, is_ascii: bool, is_feedback: bool) -> None:
        text = json.dumps(body, ensure_ascii=is_ascii).encode(errors="surrogatepass")
        path = "/feedback" if is_feedback else "/invocations"
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n"
        request = Request("hypothesis", head.encode() + text)
        if client.send(request) > HANG_S:
            slow.append(request)

    send()
    return slow


def _quiet(n_examples: int) -> settings:
    return settings(
        max_examples=max(1, n_examples),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def _schema(port: int) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5) as answer:
            served: dict[str, Any] = json.load(answer)
            return served
    except urllib.error.HTTPError as error:
        error.close()
        return _OWN_SCHEMA


def _is_always_slow(ask: Callable[[], float]) -> bool:
    """Whether the server itself is slow: noise of the machine does not come every time."""
    return min(ask() for _ in range(_TRIES)) > HANG_S


def _latency_ms(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    picked = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    found = {name: ordered[int(len(ordered) * share)] for name, share in picked.items()}
    return {name: round(1e3 * at, 2) for name, at in {**found, "max": ordered[-1]}.items()}


def _logged(path: Path) -> set[str]:
    return {str(row[1]) for row in read_after(path, 0)}


def _wait_ready(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _n_open(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _cpu_s(pid: int) -> tuple[float, float]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    tick = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / tick, int(fields[12]) / tick


if __name__ == "__main__":
    sys.exit(main())
