"""A few thousand seeded hostile requests to one real server; bench.fuzz sends 200,000."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.hostile import CANARY, Request, Requests
from bench.hostile_client import Client, Findings
from retrue.serving.log_reading import read_after
from tests.serving.tiny_model import Made, Server, Start, json_rows


def insist(server: Server, findings: Findings) -> None:
    """No 5xx, no echo, no missing answer; what was answered is in the log; it lives and is mute."""
    assert findings.faults == []
    assert findings.ids <= {row[1] for row in read_after(server.log, 0)}
    assert server.get("/health")["status"] == "ok"
    assert server.stop() == 0
    assert (server.log.parent / "stderr-n0").read_text() == ""


@pytest.mark.parametrize("seed", [1, 2])
def test_hostile_bytes_never_get_a_5xx_an_echo_or_no_answer(
    start: Start, made: Made, seed: int
) -> None:
    server, findings = start(), Findings()
    client = Client(server.port, findings)
    requests = Requests(Random(seed), json_rows(made.frame.head(50)))
    for _ in range(1500):
        client.send(requests.next())
    client.close()
    assert {"200", "400", "403", "404", "405", "431"} <= set(findings.statuses)
    insist(server, findings)


NAMES = st.sampled_from(["time", "flight", "temp", "wind", "hour", "carrier", "origin", CANARY])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
ROWS = st.lists(st.dictionaries(NAMES, VALUES, max_size=9), max_size=3)
LABELS = st.fixed_dictionaries({"label": VALUES, "key": st.dictionaries(NAMES, VALUES)})
BODIES = (
    st.dictionaries(st.sampled_from(["instances", "dataframe_records"]), ROWS, max_size=2)
    | LABELS
    | st.lists(LABELS, max_size=3)
    | st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner))
)


def test_bodies_near_the_signature_never_get_a_5xx_an_echo_or_no_answer(
    start: Start, made: Made
) -> None:
    server, findings = start(), Findings()
    client = Client(server.port, findings)

    @settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
    @given(body=BODIES, path=st.sampled_from(["/invocations", "/feedback"]))
    def send(body: Any, path: str) -> None:
        text = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n"
        client.send(Request("body", head.encode() + text))
        assert findings.faults == []

    send()
    client.close()
    insist(server, findings)


def test_the_same_seed_makes_the_same_requests(made: Made) -> None:
    rows = json_rows(made.frame.head(5))
    first, second = (Requests(Random(3), rows) for _ in range(2))
    assert [first.next() for _ in range(300)] == [second.next() for _ in range(300)]


def test_a_server_that_errs_is_found_out(tmp_path: Path) -> None:
    """The judge itself: a status of 500, an echo, an error too long, and none at all."""
    findings = Findings()
    findings.take("a", 500, b'{"error": "x"}', 0.1, b"sent")
    findings.take("b", 400, b'{"error": "%s"}' % CANARY.encode(), 0.1, b"sent")
    findings.take("c", 400, b'{"error": "%s"}' % (b"x" * 3000), 0.1, b"sent")
    findings.take("d", 404, b"Not Found", 0.1, b"sent")
    assert [fault.partition(" for ")[0] for fault in findings.faults] == [
        "a: status 500",
        "b: an echo",
        "c: 3013 bytes of an error",
        "d: another form b'Not Found'",
    ]
