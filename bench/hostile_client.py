"""A client that sends hostile requests and judges how a server takes them."""

from __future__ import annotations

import json
import select
import socket
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httptools

from bench.hostile import CANARY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.hostile import Request

HANG_S = 0.25
ERROR_LIMIT_BYTES = 2048
_GIVE_UP_S = 10.0


@dataclass
class Findings:
    """What came of all requests so far."""

    sent: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: list[str] = field(default_factory=list)
    """What may not be: a 5xx, a hang, an echo, an error too long or not in our form."""
    ids: set[str] = field(default_factory=set)
    """Of the predictions that were answered."""

    def take(self, kind: str, status: int, body: bytes, seconds: float, sent: bytes) -> None:
        """Judge one answer."""
        self.statuses[str(status)] += 1
        self.seconds[kind].append(seconds)
        wrong = []
        if status >= 500:
            wrong.append(f"status {status}")
        if status >= 400 and len(body) > ERROR_LIMIT_BYTES:
            wrong.append(f"{len(body)} bytes of an error")
        if CANARY.encode() in body:
            wrong.append("an echo")
        if status >= 400 and body and not body.startswith(b'{"error":'):
            wrong.append(f"another form {body[:80]!r}")
        if status == 200 and body.startswith(b'{"predictions"'):
            self.ids.update(filter(None, json.loads(body)["prediction_ids"]))
        self.faults += [f"{kind}: {one} for {sent[:300]!r}" for one in wrong]

    def add(self, other: Findings) -> None:
        """Take another's findings in."""
        self.sent += other.sent
        self.statuses += other.statuses
        self.faults += other.faults
        self.ids |= other.ids
        for kind, times in other.seconds.items():
            self.seconds[kind] += times


class Client:
    """Sends requests, each on a connection of its own unless the last one is still good."""

    def __init__(self, port: int, findings: Findings) -> None:
        self._port = port
        self._findings = findings
        self._socket: socket.socket | None = None

    def send(self, request: Request) -> float:
        """Send one and judge what comes, an answer for each whole request in it; seconds taken."""
        found = self._findings
        wanted = _wanted(request.content)
        found.sent[request.kind] += 1
        connection = self._socket or socket.create_connection(("127.0.0.1", self._port), 5)
        self._socket = None
        started = time.perf_counter()
        is_cut = _send(connection, request.content)
        if not wanted.n_answers and wanted.is_incomplete:
            connection.close()  # it waits for the rest, rightly
            return 0.0
        answers = _Answers(wanted.methods)
        while len(answers.taken) < wanted.n_answers and not answers.is_ended:
            left = _GIVE_UP_S - (time.perf_counter() - started)
            if left <= 0 or not select.select([connection], [], [], left)[0]:
                break
            answers.feed(_receive(connection))
        seconds = time.perf_counter() - started
        for status, body in answers.taken:
            found.take(request.kind, status, body, seconds, request.content)
        # After an error the rest of a pipeline is not answered, and the connection ends.
        if not answers.is_ended and len(answers.taken) < wanted.n_answers:
            found.faults.append(f"{request.kind}: no answer for {request.content[:300]!r}")
        elif not answers.taken and not is_cut:
            found.statuses["none"] += 1
        if answers.is_ended or wanted.is_incomplete or wanted.is_wrong or is_cut:
            connection.close()
        else:
            self._socket = connection
        return seconds

    def close(self) -> None:
        """Close what is open."""
        if self._socket is not None:
            self._socket.close()


class _Wanted:
    """What a parser makes of the bytes: how many requests are whole, and whether one is wrong."""

    def __init__(self) -> None:
        self.methods: list[bytes] = []
        self.is_wrong = self.is_incomplete = False
        self._n_begun = self._n_whole = 0
        self._parser: Any = None

    def on_message_begin(self) -> None:
        self._n_begun += 1

    def on_headers_complete(self) -> None:
        self.methods.append(self._parser.get_method())

    def on_message_complete(self) -> None:
        self._n_whole += 1

    @property
    def n_answers(self) -> int:
        return self._n_whole + self.is_wrong

    def read(self, content: bytes) -> None:
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(content)
        except httptools.HttpParserUpgrade:
            pass  # whole, and the last
        except httptools.HttpParserError:
            self.is_wrong = True
        self.is_incomplete = not self.is_wrong and self._n_begun > self._n_whole


def _wanted(content: bytes) -> _Wanted:
    wanted = _Wanted()
    wanted.read(content)
    return wanted


class _Answers:
    """Answers as they come; `is_ended` when the server has closed or says that it will."""

    def __init__(self, methods: Sequence[bytes]) -> None:
        self.taken: list[tuple[int, bytes]] = []
        self.is_ended = False
        self._methods = methods
        self._left = b""

    def feed(self, data: bytes) -> None:
        self.is_ended = not data
        self._left += data
        while b"\r\n\r\n" in self._left:
            head, _, rest = self._left.partition(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            status = int(lines[0].split()[1])
            if status == 100:
                self._left = rest
                continue
            at = len(self.taken)
            has_body = at >= len(self._methods) or self._methods[at] != b"HEAD"
            headers = dict(line.split(b": ", 1) for line in lines[1:])
            size = int(headers[b"content-length"]) if has_body else 0
            if len(rest) < size:
                return
            self.taken.append((status, rest[:size]))
            self._left = rest[size:]
            self.is_ended = self.is_ended or headers.get(b"connection") == b"close"


def _send(connection: socket.socket, content: bytes) -> bool:
    """Send all; whether the server closed meanwhile."""
    try:
        connection.sendall(content)
    except OSError:
        return True
    return False


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(2**18)
    except OSError:
        return b""
