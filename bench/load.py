"""HTTP load from one thread: prebuilt requests over kept connections, one in flight on each."""

from __future__ import annotations

import re
import resource
import select
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RECEIVE_BYTES = 2**18


@dataclass(frozen=True)
class Load:
    """What a server answered in a while; only answers with status 200 count."""

    n_answers: int
    wall_s: float
    p50_ms: float
    p99_ms: float
    client_cpu_s: float
    """Close to `wall_s`, the client was the bottleneck and not the server."""

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.n_answers / self.wall_s


def http_request(path: str, body: bytes, port: int) -> bytes:
    """Bytes of a POST with a JSON body."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def ask(port: int, request: bytes) -> bytes:
    """Body of one answer.

    Raises
    ------
    RuntimeError
        Its status is not 200.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        received = b""
        while (end := _end(received)) is None:
            if not (chunk := connection.recv(_RECEIVE_BYTES)):
                raise RuntimeError(f"connection closed after {received[:300]!r}")
            received += chunk
    if not received.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"no answer but {received[:600]!r}")
    return received[received.index(b"\r\n\r\n") + 4 : end]


def put_load(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Ask without pause for a while, each connection the next request in turn.

    A loop over epoll, since a framework's costs as much CPU as a fast server takes for an answer.

    Raises
    ------
    RuntimeError
        An answer's status is not 200, or a connection was closed.
    """
    poll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    begun: dict[int, int] = {}
    halves: dict[int, bytes] = {}
    taken_ns: list[int] = []
    turn, n_requests = 0, len(requests)
    cpu_before = _cpu_s()
    start_ns = time.perf_counter_ns()
    end_ns = start_ns + int(seconds * 1e9)
    try:
        for _ in range(connections):
            one = socket.create_connection(("127.0.0.1", port), timeout=60)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sockets[one.fileno()] = one
            poll.register(one.fileno(), select.EPOLLIN)
            begun[one.fileno()] = time.perf_counter_ns()
            one.sendall(requests[turn % n_requests])
            turn += 1
        now = start_ns
        while now < end_ns:
            for number, _ in poll.poll(1.0):
                one = sockets[number]
                received = one.recv(_RECEIVE_BYTES)
                if not received:
                    raise RuntimeError("the server closed a connection")
                if number in halves:
                    received = halves.pop(number) + received
                end = _end(received)
                if end is None:
                    halves[number] = received
                    continue
                if not received.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"no answer but {received[:600]!r}")
                now = time.perf_counter_ns()
                taken_ns.append(now - begun[number])
                begun[number] = now
                one.sendall(requests[turn % n_requests])
                turn += 1
            now = time.perf_counter_ns()
    finally:
        for one in sockets.values():
            one.close()
        poll.close()
    taken_ns.sort()
    if not taken_ns:
        raise RuntimeError(f"no answer within {seconds:g} s")
    return Load(
        n_answers=len(taken_ns),
        wall_s=(now - start_ns) / 1e9,
        p50_ms=taken_ns[len(taken_ns) // 2] / 1e6,
        p99_ms=taken_ns[int(len(taken_ns) * 0.99)] / 1e6,
        client_cpu_s=_cpu_s() - cpu_before,
    )


def _end(received: bytes) -> int | None:
    """Where the first answer ends; None while that, or the answer itself, is not there yet."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return None
    length = _LENGTH.search(received, 0, head + 2)
    if length is None:
        raise RuntimeError(f"an answer without length: {received[:head]!r}")
    end = head + 4 + int(length[1])
    return end if len(received) >= end else None


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
