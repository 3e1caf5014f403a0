"""What one connection may cost: sizes, times and numbers, whatever the client does."""

import json
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from retrue.serving.writes import JoinedWrites

# nginx and HAProxy take 8 to 32 KiB.
HEAD_LIMIT_BYTES = 16 * 2**10
_LARGE_HEAD = (431, f"a head of at most {HEAD_LIMIT_BYTES} bytes is taken")
# As many as the proxy in front lets in.
CONNECTION_LIMIT = 2000
# Bodies in memory at once. Two are parsed at a time, to some ten times their size; the rest waits
# as bytes, and a container has 512 MiB by default.
_HELD_LIMIT_BYTES = 64 * 2**20
# Below this a body that came in one piece is not counted: it is gone before the next is read.
SMALL_BYTES = 16 * 2**10
_BODY_HEADERS = (b"content-length", b"transfer-encoding")

Doing = Literal["refused", "head", "body", "answer", "unread"]
TIMES_S: dict[Doing, float] = {
    "head": 10,  # a request line and headers, from the first byte, or from the connection on
    "body": 30,  # 8 MiB at 2.2 Mbit/s
    "answer": 60,  # above the slowest body that all limits let through
    "unread": 30,  # an answer that the client does not fetch
    "refused": 2,  # a client that still sends would else not see why
}


class Wait(NamedTuple):
    """What a connection is at; equal as long as it is at the same thing."""

    doing: Doing
    request: object


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's connection with limits; the hot path pays two calls and two comparisons."""

    _head_bytes = 0
    _chunk_bytes = 0
    _fault = (400, "malformed HTTP")
    _is_refused = False
    _earlier: Sequence[RequestResponseCycle] = ()
    """Unanswered requests before the newest; uvicorn forgets them, and lets them write into a
    closed connection."""
    _held_bytes = 0
    _all_held_bytes = 0
    """Of the class: over all connections of the process."""

    def connection_made(self, transport: Any) -> None:
        """Take a connection, or refuse it when there are too many."""
        super().connection_made(transport)
        self._joined: Any = JoinedWrites(transport)
        if len(self.connections) > CONNECTION_LIMIT:
            self.refuse(503, "too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back what an unanswered body held, and let all work on it end."""
        self._release()
        self._abandon()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse a piece, and weigh it."""
        if self._is_refused:
            return
        self._chunk_bytes = size_bytes = len(data)
        super().data_received(data)
        cycle = self.cycle
        if cycle is None or cycle.scope is not self.scope:  # in the next head
            self._head_bytes += size_bytes
            if self._head_bytes > HEAD_LIMIT_BYTES:
                self.refuse(*_LARGE_HEAD)
        elif cycle.more_body or size_bytes > SMALL_BYTES:
            self._hold(size_bytes)

    def on_headers_complete(self) -> None:
        """Start the request unless its head is too large."""
        if self._head_bytes + self._chunk_bytes > HEAD_LIMIT_BYTES:
            size_bytes = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if size_bytes > HEAD_LIMIT_BYTES:
                self._fault = _LARGE_HEAD
                raise ValueError  # ends the parsing, then send_400_response
        self._head_bytes = 0
        earlier = self.cycle
        super().on_headers_complete()
        if self.cycle is not earlier:
            self.cycle.transport = self._joined
        if self.pipeline:
            self._earlier = [*(one for one in self._earlier if not one.response_complete), earlier]

    def _unsupported_upgrade_warning(self) -> None:
        # What follows is no HTTP for the parser: the body is gone, other requests never answered.
        self.cycle.keep_alive = False
        if any(name in _BODY_HEADERS for name, _ in self.headers):
            self.refuse(400, "a body with an upgrade of the protocol is not taken")

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refused, in our form."""
        self.refuse(*self._fault)

    def refuse(self, status: int, error: str) -> None:
        """Answer and take nothing any more; what still comes is thrown away for a while."""
        if self._is_refused:
            return
        self._is_refused = True
        self._release()
        self._unset_keepalive_if_required()
        if self._abandon():
            self.transport.abort()  # in the middle of an answer
            return
        body = json.dumps({"error": error}).encode()
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head % len(body) + body)
        self.transport.write_eof()
        self.flow.resume_reading()  # to see when the client closes

    def shutdown(self) -> None:
        """Finish what is under way; a refused connection has nothing to finish."""
        if self._is_refused:
            self.transport.abort()
        else:
            super().shutdown()

    def is_idle(self) -> bool:
        """Whether all that came is answered, and nothing of a next request came."""
        cycle = self.cycle
        return not (
            self._is_refused
            or self._head_bytes
            or self.flow.write_paused
            or self.transport.is_closing()
            or (cycle is not None and (cycle.more_body or not cycle.response_complete))
        )

    def wait(self) -> Wait | None:
        """Tell what the connection is at; None when it is idle between two requests."""
        cycle = self.cycle
        if self._is_refused:
            return Wait("refused", None)
        if self.transport.get_write_buffer_size():
            return Wait("unread", cycle)
        if self.timeout_keep_alive_task is not None:
            return None
        if cycle is None or cycle.response_complete:
            return Wait("head", cycle)
        return Wait("body" if cycle.more_body else "answer", cycle)

    def cut(self, doing: Doing) -> None:
        """End a connection that was at one thing for too long."""
        limit = f"within {TIMES_S[doing]:g} s"
        if doing == "body" or (doing == "head" and not self._is_skipping_body()):
            self.refuse(408, f"the {doing} of a request is wanted {limit}")
        elif doing == "answer":
            self.refuse(503, f"no answer {limit}")
        else:
            self.transport.abort()

    def _abandon(self) -> bool:
        """Tell whoever works on requests that nobody listens; whether an answer had begun."""
        has_begun = False
        for cycle in (*self._earlier, self.cycle):
            if cycle is not None and not cycle.response_complete:
                has_begun = has_begun or cycle.response_started
                cycle.disconnected = True
                cycle.message_event.set()
        return has_begun

    def _is_skipping_body(self) -> bool:
        return self.cycle is not None and self.cycle.scope is self.scope

    def _hold(self, size_bytes: int) -> None:
        cycle = self.cycle
        if cycle.response_complete:
            return
        if not self._held_bytes:
            cycle.on_response = partial(self._answered, cycle.on_response)
        self._held_bytes += size_bytes
        GuardedProtocol._all_held_bytes += size_bytes
        if GuardedProtocol._all_held_bytes > _HELD_LIMIT_BYTES:
            self.refuse(503, "too many large bodies at once")

    def _answered(self, on_response: Any) -> None:
        self._release()
        on_response()

    def _release(self) -> None:
        GuardedProtocol._all_held_bytes -= self._held_bytes
        self._held_bytes = 0


class Watch:
    """Ends connections that take too long; it looks at them, so that requests set no timers."""

    def __init__(self) -> None:
        self._since: dict[GuardedProtocol, tuple[Wait, float]] = {}

    def look(self, connections: Iterable[Any], now: float) -> None:
        """Cut what has been at the same thing for too long; `now` in monotonic seconds."""
        since: dict[GuardedProtocol, tuple[Wait, float]] = {}
        for connection in tuple(connections):
            wait = connection.wait()
            if wait is None:
                continue
            known = self._since.get(connection)
            begun = known[1] if known is not None and known[0] == wait else now
            if now - begun > TIMES_S[wait.doing]:
                connection.cut(wait.doing)
            since[connection] = (wait, begun)
        self._since = since
