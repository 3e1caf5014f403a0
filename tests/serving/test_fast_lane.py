"""The shorter way of a connection answers as the usual way does, and takes only what it may."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvicorn
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from retrue.api_keys import add, keys_file, revoke
from retrue.serving.access import guard
from retrue.serving.app import create_app
from retrue.serving.booster import self_check
from retrue.serving.bundle import read_bundle
from retrue.serving.connections import GuardedProtocol
from retrue.serving.fast_lane import fast_protocol, read_head
from retrue.serving.keys import Keyring, Scope
from retrue.serving.log_file import LogFile
from retrue.serving.log_reading import read_after
from retrue.serving.predictions import PredictionLog
from retrue.serving.service import Service
from tests.serving.tiny_model import Made


class Way:
    """One service with its log, reached by connections of one protocol."""

    def __init__(self, made: Made, folder: Path, name: str, answers_unlogged: bool = False) -> None:
        bundle = read_bundle(made.path, made.sha256)
        self.log = PredictionLog(folder / f"{name}.sqlite")
        self.service = Service(bundle, self_check(bundle), self.log, 1, "n", answers_unlogged)
        self.keyring = keyring = Keyring(keys_file("tiny"))
        fast = fast_protocol(self.service, keyring)
        self.protocol = fast if name == "fast" else GuardedProtocol
        app = guard(create_app(self.service), keyring)
        self._config = uvicorn.Config(app, interface="asgi3", lifespan="off", log_config=None)
        self._config.load()
        self.n_short = 0
        """Connections whose last request went the shorter way."""

    async def send(self, chunks: Sequence[bytes], is_patient: bool) -> tuple[bytes, bool]:
        """All that comes for the chunks of one connection, and whether it is closed then.

        A patient client lets a chunk be answered before it sends the next one.
        """
        state = ServerState()
        protocol: Any = self.protocol(self._config, state, {})
        client, server = socket.socketpair()
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        n_taken, take = 0, protocol.data_received

        def counted(data: bytes) -> None:
            nonlocal n_taken
            n_taken += len(data)
            take(data)

        protocol.data_received = counted
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, server)
        n_sent = 0
        for chunk in chunks:
            with suppress(ConnectionError):
                await loop.sock_sendall(client, chunk)
            n_sent += len(chunk)
            while not (n_taken == n_sent or protocol.flow.read_paused or transport.is_closing()):
                await asyncio.sleep(0)
            await self._settle(protocol, is_patient)
        await self._settle(protocol)
        self.n_short += type(protocol.cycle).__name__ == "_Exchange"
        received, is_closed = b"", False
        try:
            while part := client.recv(65536):
                received += part
            is_closed = True
        except BlockingIOError:
            pass
        except ConnectionResetError:  # it had not read all
            is_closed = True
        transport.abort()
        client.close()
        while state.tasks or state.connections:
            await asyncio.sleep(0)
        server.close()
        return received, is_closed

    async def _settle(self, protocol: Any, is_patient: bool = True) -> None:
        """Give it some turns of the loop, of which a patient client counts only the idle ones.

        A pipelined request may wait for the log behind one whose body has not come, and an answer
        may come before its request's end.
        """
        n_turns = 0
        while n_turns < 9:
            await asyncio.sleep(0)
            is_busy = _is_under_way(protocol) or self.log.pending_rows
            n_turns = 0 if is_patient and is_busy else n_turns + 1

    def told(self) -> tuple[Any, ...]:
        """What was counted, and what was logged, but for ids and times."""
        measured = self.service.metrics.path("/invocations")
        logged = [row[4:] for row in read_after(self.log.path, 0)]
        return measured.statuses, measured.n_rows, sum(measured.times), logged


def _is_under_way(protocol: Any) -> bool:
    """Whether a request that came whole waits for its answer."""
    cycle = protocol.cycle
    is_begun = cycle is not None and not cycle.response_complete
    return is_begun and not (cycle.more_body or cycle.disconnected)


class Both(NamedTuple):
    """The two ways to one model."""

    fast: Way
    usual: Way


@pytest.fixture(params=[False, True], ids=["refuse", "answer"])
def both(
    made: Made, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Both]:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))
    ways = Both(*(Way(made, tmp_path, name, request.param) for name in ("fast", "usual")))
    yield ways
    for way in ways:
        way.log.close()


ROWS = [
    {"temp": 50.5, "wind": 3, "hour": 7, "carrier": "UA", "origin": "EWR", "flight": 1,
     "time": "2013-01-01T10:00:00Z"},
    {"temp": None, "wind": 3.5, "hour": 23, "carrier": None, "origin": "XXX"},
    {"temp": "text", "wind": 3.5, "hour": 23, "carrier": None, "origin": "XXX"},
    {"temp": 1},
]  # fmt: skip
HEADERS = (
    "Host: x", "host: 127.0.0.1:80", "User-Agent: a/1 (b; c)", "ACCEPT: */*",
    "Content-Type: application/json", "Connection: keep-alive", "Connection: Close",
    "Connection: upgrade", "Upgrade: h2c", "Transfer-Encoding: chunked", "Expect: 100-continue",
    "Origin: http://evil", "Origin: http://127.0.0.1:80", "X-API-Key: k", "X-Any:y", "Accept:  a ",
    "Content-Length: 3", "Content-Length: 007",
)  # fmt: skip
BODIES = (
    *(json.dumps({"instances": [row]}).encode() for row in ROWS),
    json.dumps({"dataframe_records": ROWS[:2] * 2}).encode(),
    b'{"instances": [{"temp": NaN}]}', b"{}", b"", b'{"instances": []}',
    b'{"instances": [' + b" " * 17_000 + json.dumps(ROWS[0]).encode() + b"]}",
)  # fmt: skip


def made_request(target: str, headers: Sequence[str], body: bytes, extra: int = 0) -> bytes:
    lines = [target, *headers, f"Content-Length: {len(body) + extra}", "", ""]
    return "\r\n".join(lines).encode() + body


TARGETS = (
    "POST /invocations HTTP/1.1", "POST /invocations?log=false HTTP/1.1",
    "POST /invocations?log=true HTTP/1.1", "POST /invocations?log=1 HTTP/1.1",
    "POST /invocations HTTP/1.0", "POST /invocationsx HTTP/1.1", "GET /ping HTTP/1.1",
)  # fmt: skip
REQUESTS = st.builds(
    made_request,
    st.sampled_from(TARGETS),
    st.lists(st.sampled_from(HEADERS[:6]), max_size=5, unique=True)
    | st.lists(st.sampled_from(HEADERS), max_size=3),
    st.sampled_from(BODIES),
    st.sampled_from([0, 0, 0, 0, 0, -1, 1]),
)


@st.composite
def sent(draw: st.DrawFn) -> list[bytes]:
    """Chunks of a connection: requests, pipelined or not, now and then damaged or cut."""
    parts = draw(st.lists(REQUESTS, min_size=1, max_size=3))
    if draw(st.booleans()):
        parts = [b"".join(parts)]
    if draw(st.integers(0, 2)) == 0:
        which = draw(st.integers(0, len(parts) - 1))
        at = draw(st.integers(0, min(len(parts[which]), 200)))
        new = draw(
            st.sampled_from([b"", b"\r", b"\n", b"\x00", b" ", b":", b"\xff", b"\r\n", b"1"])
        )
        parts[which] = parts[which][:at] + new + parts[which][at + draw(st.integers(0, 1)) :]
    cuts = draw(st.lists(st.integers(0, 400), max_size=2))
    for cut in cuts:
        parts = [part for one in parts for part in (one[:cut], one[cut:]) if part]
    return parts


def masked(received: bytes) -> bytes:
    """Without the ids, which are random."""
    return re.sub(rb'"[0-9a-f]{32}"', b'"id"', received)


def insist_same(both: Both, examples: Sequence[Sequence[bytes]], is_patient: bool = True) -> None:
    async def send() -> None:
        for chunks in examples:
            fast, usual = [await way.send(chunks, is_patient) for way in both]
            assert (masked(fast[0]), fast[1]) == (masked(usual[0]), usual[1]), chunks

    uvloop.run(send())
    assert both.fast.told() == both.usual.told()


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(chunks=sent())
def test_whatever_comes_is_answered_and_logged_as_on_the_usual_way(
    both: Both, chunks: list[bytes]
) -> None:
    insist_same(both, [chunks])


def test_a_request_cut_at_every_byte_or_among_others_is_answered_the_same(both: Both) -> None:
    whole = made_request(TARGETS[0], HEADERS[:1], BODIES[0])
    cut = [[whole, whole[:at], whole[at:], whole] for at in range(1, len(whole))]
    insist_same(both, [*cut, [whole] * 5, [whole * 5], [whole, b"\r\n" * 10_000, whole]])
    assert both.fast.n_short == len(cut) + 2
    assert both.usual.n_short == 0


@pytest.mark.parametrize("end", ["X: ", f"Content-Length: {10**4}\r\n\r\n"])
def test_a_request_within_another_is_not_answered(both: Both, end: str) -> None:
    whole = made_request(TARGETS[0], HEADERS[:1], BODIES[0])
    # What is nowhere is answered before its body came.
    for target in ("POST /nowhere HTTP/1.1", TARGETS[0]):
        outer = f"{target}\r\nHost: x\r\n{end}".encode()
        insist_same(both, [[outer, whole], [whole, outer, whole]])
    assert both.fast.n_short == 0


def test_a_record_that_cannot_be_kept_is_told_as_on_the_usual_way(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object, __: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(LogFile, "commit", fail)
    whole = made_request(TARGETS[0], HEADERS[:1], BODIES[0])
    insist_same(both, [[whole], [whole, whole]])
    fast, usual = (
        (way.service.metrics.log_failures, way.log.unlogged_rows, way.log.pending_rows)
        for way in both
    )
    assert fast == usual
    assert sum(fast) == 3
    assert both.fast.n_short == 2


def test_what_comes_while_a_record_is_written_waits_or_ends_it_as_on_the_usual_way(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = LogFile.commit

    def commit_late(file: LogFile, group: Any) -> None:
        time.sleep(0.02)
        commit(file, group)

    monkeypatch.setattr(LogFile, "commit", commit_late)
    whole = made_request(TARGETS[0], HEADERS[:1], BODIES[0])
    other = made_request(TARGETS[1], HEADERS[:1], BODIES[1])
    ping = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
    later = [[whole], [other, ping], [whole[:9], whole[9:], other], [b"\r\n" * 10_000, ping]]
    later += [[b"\x00"], [whole, b"\x00"], [b"POST /x HTTP/1.1\r\nHost"], [ping * 4, other]]
    insist_same(both, [[whole, *chunks] for chunks in later], is_patient=False)


def test_a_log_too_far_behind_is_told_as_on_the_usual_way(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrue.serving.predictions._PENDING_ROWS", 0)
    insist_same(both, [[made_request(TARGETS[0], HEADERS[:1], BODIES[0])]])


def test_a_key_opens_the_shorter_way_only_while_it_is_in_force_and_may_predict(
    both: Both,
) -> None:
    predict, feedback = (add("tiny", str(one), [one]) for one in (Scope.PREDICT, Scope.FEEDBACK))
    headers = [f"Authorization: Bearer {predict}", f"authorization: bearer {predict}"]
    headers += [f"X-API-Key: {predict}"]
    headers += [f"X-API-Key: {feedback}", f"Authorization: Basic {predict}", "Host: x"]
    headers += [f"Authorization: Bearer {predict}x", "X-API-Key: secret"]
    whole = [[made_request(TARGETS[0], [header], BODIES[0])] for header in headers]
    for way in both:
        way.keyring.look()
    insist_same(both, whole)
    assert both.fast.n_short == 3
    revoke("tiny", str(Scope.PREDICT))
    for way in both:
        way.keyring.look()
    insist_same(both, whole)
    assert both.fast.n_short == 3


def test_a_draining_server_closes_after_the_answer_of_either_way(both: Both) -> None:
    for way in both:
        way.service.draining.set()
    insist_same(both, [[made_request(target, (), BODIES[0])] for target in TARGETS])


HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 5"


@pytest.mark.parametrize("line", [*HEADERS[6:], "Content-Length: 5", "Host: y", "A", "Host: \x7f"])
def test_a_head_with_anything_else_is_left_to_the_parser(line: str) -> None:
    assert read_head(HEAD) is not None
    assert read_head(HEAD + b"\r\nAccept: */*\r\nConnection: Keep-Alive") is not None
    is_key = line.startswith("X-API-Key")
    assert (read_head(HEAD + b"\r\n" + line.encode("latin-1")) is not None) == is_key


def test_a_client_that_goes_while_its_record_is_written_leaves_a_record_and_no_noise(
    both: Both, capfd: pytest.CaptureFixture[str]
) -> None:
    async def go() -> None:
        state = ServerState()
        protocol: Any = both.fast.protocol(both.fast._config, state, {})
        client, server = socket.socketpair()
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: protocol, server)
        client.sendall(made_request(TARGETS[0], (), BODIES[0]))
        client.close()
        while protocol.cycle is None or state.tasks or state.connections:
            await asyncio.sleep(0)
        assert protocol.cycle.disconnected

    uvloop.run(go())
    assert len(read_after(both.fast.log.path, 0)) == 1
    assert capfd.readouterr().err == ""
