"""The HTTP side: score, make the records durable, answer."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import Any, cast

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from retrue.errors import DataError
from retrue.serving.booster import Booster
from retrue.serving.bundle import Bundle
from retrue.serving.predictions import LogError, PredictionLog
from retrue.serving.scoring import Scorer

BODY_LIMIT_BYTES = 8 * 2**20
# Bodies above this are scored in a thread, so that small requests are answered meanwhile.
_LARGE_BODY_BYTES = 64 * 2**10
# How much of a refused body is still read, and how long: a client that is cut off while it sends
# never sees the answer.
_DISCARD_LIMIT_BYTES = 64 * 2**20
_DISCARD_TIMEOUT_S = 5.0
_LOGGER = logging.getLogger("retrue.serving")
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True)
class Service:
    """One loaded model version with its log; `draining` is set when the server is to stop."""

    bundle: Bundle
    booster: Booster
    log: PredictionLog
    model_version: int
    boot_nonce: str
    draining: Event = field(default_factory=Event)


class Invocations:
    """POST /invocations as a bare ASGI application: the hot path makes no request objects."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._scorer = Scorer(service.bundle, service.booster, service.model_version)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; 200 means that its records are durable."""
        try:
            is_logged = _is_logged(scope["query_string"])
            content = await _read_body(scope, receive)
            if content is None:
                await self._refuse_large(receive, send)
                return
            if len(content) > _LARGE_BODY_BYTES:
                score = asyncio.to_thread(self._scorer.score, content, is_logged)
                answer, records = await score
            else:
                answer, records = self._scorer.score(content, is_logged)
            if records:
                await self._service.log.append(records)
        except DataError as error:
            await self._send(send, 400, {"error": str(error)})
        except LogError:
            await self._send(send, 503, {"error": "the prediction log takes no records"})
        except _DisconnectedError:
            return
        except Exception:
            _LOGGER.exception("a request failed")
            await self._send(send, 500, {"error": "internal error"})
        else:
            await self._send(send, 200, answer)

    async def _refuse_large(self, receive: Receive, send: Send) -> None:
        error = {"error": f"a body of at most {BODY_LIMIT_BYTES} bytes is taken"}
        await self._send(send, 413, error, is_last=False)
        try:
            async with asyncio.timeout(_DISCARD_TIMEOUT_S):
                await _read_body({}, receive, _DISCARD_LIMIT_BYTES, is_kept=False)
        except (TimeoutError, _DisconnectedError):
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, status: int, content: object, is_last: bool = True) -> None:
        body = _ENCODER.encode(content)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        if self._service.draining.is_set() or not is_last:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": not is_last})


class _DisconnectedError(Exception):
    """The client has gone; there is nobody to answer."""


def _is_logged(query: bytes) -> bool:
    if query in (b"", b"log=true"):
        return True
    if query == b"log=false":
        return False
    raise DataError("no query, log=true or log=false", "another one", "query", "leave it out")


async def _read_body(
    scope: Mapping[str, Any],
    receive: Receive,
    limit_bytes: int = BODY_LIMIT_BYTES,
    is_kept: bool = True,
) -> bytes | None:
    """Body of a request, or None as soon as it is known to be above `limit_bytes`."""
    for name, value in scope.get("headers", ()):
        if name == b"content-length" and int(value) > limit_bytes:
            return None
    chunks: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        chunk = message.get("body", b"")
        size_bytes += len(chunk)
        if size_bytes > limit_bytes:
            return None
        if is_kept:
            chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def create_app(service: Service) -> ASGIApp:
    """Make the application: /invocations, /ping, /health, /version; every answer is JSON."""
    invocations = Invocations(service)
    identity = {
        "problem": service.bundle.signature.problem,
        "model_version": service.model_version,
        "bundle_sha256": service.bundle.sha256,
        "boot_nonce": service.boot_nonce,
    }

    def reply(status: int, content: object, headers: Mapping[str, str] | None = None) -> Response:
        closing = {"connection": "close"} if service.draining.is_set() else {}
        body = _ENCODER.encode(content)
        return Response(body, status, {**(headers or {}), **closing}, "application/json")

    async def health(_: Request) -> Response:
        is_draining = service.draining.is_set()
        status = {"status": "draining" if is_draining else "ok"}
        return reply(503 if is_draining else 200, status | identity)

    async def version(_: Request) -> Response:
        return reply(200, identity)

    async def ping(_: Request) -> Response:
        return reply(200, {})

    async def refused(_: Request, error: Exception) -> Response:
        fault = cast("HTTPException", error)
        return reply(fault.status_code, {"error": fault.detail.lower()}, fault.headers)

    async def failed(_: Request, __: Exception) -> Response:
        return reply(500, {"error": "internal error"})

    others = Starlette(
        routes=[
            Route("/invocations", invocations, methods=["POST"]),
            Route("/health", health),
            Route("/version", version),
            Route("/ping", ping),
        ],
        exception_handlers={HTTPException: refused, Exception: failed},
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # Starlette's layers take longer than scoring a row, so the hot path goes around them.
        if scope.get("path") == "/invocations" and scope.get("method") == "POST":
            await invocations(scope, receive, send)
        else:
            await others(scope, receive, send)

    return app
