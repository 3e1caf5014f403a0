"""A shorter way for the commonest request: one small scoring request, whole, on an idle connection.

A task, an ASGI scope and uvicorn's cycle cost a third of such a request. All that is not exactly
of this form goes the usual way as it came, so that nothing rests on the reading done here.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from time import perf_counter
from typing import Any, NamedTuple, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from retrue.serving.access import may_predict
from retrue.serving.connections import SMALL_BYTES, GuardedProtocol
from retrue.serving.keys import Keyring
from retrue.serving.log_file import LogError
from retrue.serving.posts import log_refusal
from retrue.serving.scoring import Answer, Scorer
from retrue.serving.service import Service

_BEGINNING = b"POST /invocations"
_TARGETS = {
    b"POST /invocations HTTP/1.1": True,
    b"POST /invocations?log=true HTTP/1.1": True,
    b"POST /invocations?log=false HTTP/1.1": False,
}
"""Request lines, and whether their rows are logged."""
_HEADER = re.compile(rb"([A-Za-z-]+): ([!-~](?:[ -~]*[!-~])?)")
# What clients and HAProxy send that changes nothing, or (the last four) what is looked at.
_NAMES = frozenset(
    b"host user-agent accept accept-encoding content-type"
    b" connection content-length authorization x-api-key".split()
)
_HEAD_LIMIT_BYTES = 2**10
_ENCODER = msgspec.json.Encoder()


class Head(NamedTuple):
    """What a head asks for."""

    is_logged: bool
    size_bytes: int
    headers: Mapping[bytes, bytes]


def read_head(head: bytes) -> Head | None:
    """Read a head without its empty line; None for one that is not of the simplest form."""
    target, *lines = head.split(b"\r\n")
    is_logged = _TARGETS.get(target)
    if is_logged is None:
        return None
    headers: dict[bytes, bytes] = {}
    for line in lines:
        found = _HEADER.fullmatch(line)
        name = found[1].lower() if found else b""
        if found is None or name not in _NAMES or name in headers:
            return None
        headers[name] = found[2]
    length = headers.get(b"content-length", b"")
    if not (length.isdigit() and len(length) <= 5):
        return None
    if headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    return Head(is_logged, int(length), headers)


_read_again = lru_cache(512)(read_head)
"""Clients repeat their heads."""


class _Exchange:
    """What uvicorn and the limits ask of a request under way."""

    __slots__ = ("disconnected", "keep_alive", "on_response", "response_complete", "scope")
    message_event = asyncio.Event()  # nobody waits for it
    more_body = response_started = False

    def __init__(self, scope: Any, on_response: Callable[[], None]) -> None:
        self.scope = scope
        self.on_response = on_response
        self.keep_alive = True
        self.disconnected = self.response_complete = False


def fast_protocol(service: Service, keyring: Keyring) -> type[GuardedProtocol]:
    """Make the protocol of a service's connections."""
    scorer = Scorer(service.bundle, service.booster, service.model_version)
    measured = service.metrics.path("/invocations")

    class FastProtocol(GuardedProtocol):
        """The guarded connection with a shorter way."""

        def data_received(self, data: bytes) -> None:
            """Answer at once what is of the simplest form; hand on all else."""
            if not (data.startswith(_BEGINNING) and self.is_idle() and self._take(data)):
                super().data_received(data)

        def _take(self, data: bytes) -> bool:
            end = data.find(b"\r\n\r\n", 0, _HEAD_LIMIT_BYTES)
            if end < 0 or len(data) > SMALL_BYTES:
                return False
            # A head with a key is kept nowhere.
            head = (read_head if keyring.are_wanted else _read_again)(data[:end])
            if head is None or len(data) != end + 4 + head.size_bytes:
                return False
            if keyring.are_wanted and not may_predict(keyring, head.headers):
                return False
            began_s = perf_counter()
            try:
                answer, records = scorer.score(data[end + 4 :], head.is_logged)
                written = service.log.submit(records) if records else None
            except Exception:  # the usual way meets it again, and tells it
                return False
            self._unset_keepalive_if_required()
            exchange: Any = _Exchange(self.scope, self.on_response_complete)
            self.cycle = exchange
            if written is None:
                self._answer(exchange, answer, began_s)
            else:
                # As the tasks of other requests: the server does not end before it is done.
                self.tasks.add(written)  # type: ignore[arg-type]
                written.add_done_callback(partial(self._kept, exchange, answer, began_s))
            return True

        def _kept(
            self,
            exchange: _Exchange,
            answer: Answer,
            began_s: float,
            written: "asyncio.Future[None]",
        ) -> None:
            self.tasks.discard(written)
            if not written.cancelled():
                self._answer(exchange, answer, began_s, written.exception())

        def _answer(
            self,
            exchange: _Exchange,
            answer: Answer,
            began_s: float,
            fault: Any = None,
        ) -> None:
            status, content = 200, cast("Any", answer)
            try:
                if fault is not None:
                    service.excuse(answer, fault)
                measured.observe(len(answer.decisions), perf_counter() - began_s)
            except LogError:
                status, content = log_refusal(service)
            measured.count(status)
            if exchange.disconnected:
                return
            body = _ENCODER.encode(content)
            head = [STATUS_LINE[status]]
            for header in self.server_state.default_headers:
                head += (header[0], b": ", header[1], b"\r\n")
            head.append(b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body))
            if service.draining.is_set():
                exchange.keep_alive = False
            head.append(b"\r\n" if exchange.keep_alive else b"connection: close\r\n\r\n")
            self._joined.write(b"".join((*head, body)))
            exchange.response_complete = True
            if not exchange.keep_alive:
                self.transport.close()
            exchange.on_response()

    return FastProtocol
