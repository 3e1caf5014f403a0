"""The HTTP side: score, make the records durable, answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import cast

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from retrue.errors import DataError
from retrue.serving.bodies import DisconnectedError, read_body, refuse_large, send_json
from retrue.serving.booster import Booster
from retrue.serving.bundle import Bundle
from retrue.serving.feedback import read_feedback
from retrue.serving.predictions import LogError, PredictionLog
from retrue.serving.scoring import Answer, Scorer

# Bodies above this are scored in a thread, so that small requests are answered meanwhile.
_LARGE_BODY_BYTES = 64 * 2**10
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


class JsonPost:
    """A POST path as a bare ASGI application: the hot path makes no request objects.

    `answer` gets the query and the body; it may raise what says whose fault it is.
    """

    def __init__(
        self, service: Service, answer: Callable[[bytes, bytes], Awaitable[object]]
    ) -> None:
        self._service = service
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; 200 means that its records are durable."""
        status, content = 200, None
        try:
            body = await read_body(scope, receive)
            if body is None:
                await refuse_large(receive, send)
                return
            content = await self._answer(scope["query_string"], body)
        except DataError as error:
            status, content = 400, {"error": str(error)}
        except LogError:
            status, content = 503, {"error": "the prediction log takes no records"}
        except DisconnectedError:
            return
        except Exception:
            _LOGGER.exception("a request failed")
            status, content = 500, {"error": "internal error"}
        await send_json(send, status, content, self._service.draining.is_set())


def _invocations(service: Service) -> JsonPost:
    scorer = Scorer(service.bundle, service.booster, service.model_version)

    async def answer(query: bytes, body: bytes) -> Answer:
        is_logged = _is_logged(query)
        if len(body) > _LARGE_BODY_BYTES:
            scored, records = await asyncio.to_thread(scorer.score, body, is_logged)
        else:
            scored, records = scorer.score(body, is_logged)
        if records:
            await service.log.append(records)
        return scored

    return JsonPost(service, answer)


def _feedback(service: Service) -> JsonPost:
    signature = service.bundle.signature

    async def answer(_: bytes, body: bytes) -> dict[str, int]:
        if len(body) > _LARGE_BODY_BYTES:
            records = await asyncio.to_thread(read_feedback, body, signature)
        else:
            records = read_feedback(body, signature)
        await service.log.append(records)
        return {"accepted": len(records)}

    return JsonPost(service, answer)


def _is_logged(query: bytes) -> bool:
    if query in (b"", b"log=true"):
        return True
    if query == b"log=false":
        return False
    raise DataError("no query, log=true or log=false", "another one", "query", "leave it out")


def create_app(service: Service) -> ASGIApp:
    """Make the application of all paths below; every answer is JSON."""
    invocations = _invocations(service)
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
            Route("/feedback", _feedback(service), methods=["POST"]),
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
