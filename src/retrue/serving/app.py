"""The HTTP side: what is posted goes to its answer, all else is told about the model."""

from collections.abc import Mapping
from functools import cache
from typing import cast

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrue.serving.metrics import CONTENT_TYPE
from retrue.serving.open_inference import metadata, model_paths
from retrue.serving.openapi import describe
from retrue.serving.posts import post_paths
from retrue.serving.service import Service
from retrue.serving.try_page import SECURITY_POLICY, try_page

_ENCODER = msgspec.json.Encoder()


def create_app(service: Service) -> ASGIApp:
    """Make the application of all paths below; every answer but pages and metrics is JSON."""
    posts = post_paths(service)
    metrics = service.metrics
    signature, version_text = service.bundle.signature, str(service.model_version)
    models = model_paths(signature.problem, service.model_version)
    identity = {
        "problem": signature.problem,
        "model_version": service.model_version,
        "bundle_sha256": service.bundle.sha256,
        "boot_nonce": service.boot_nonce,
    }

    def reply(
        status: int,
        content: object,
        headers: Mapping[str, str] | None = None,
        media_type: str = "application/json",
    ) -> Response:
        closing = {"connection": "close"} if service.draining.is_set() else {}
        body = content if isinstance(content, bytes) else _ENCODER.encode(content)
        return Response(body, status, {**(headers or {}), **closing}, media_type)

    async def health(_: Request) -> Response:
        is_draining = service.draining.is_set()
        status = {"status": "draining" if is_draining else "ok"}
        unlogged = {"unlogged_rows": service.log.unlogged_rows}
        return reply(503 if is_draining else 200, status | identity | unlogged)

    async def version(_: Request) -> Response:
        return reply(200, identity)

    async def ping(_: Request) -> Response:
        return reply(200, {})

    async def live(_: Request) -> Response:
        return reply(200, {"live": True})

    async def ready(_: Request) -> Response:
        is_ready = not service.draining.is_set()
        return reply(200 if is_ready else 503, {"name": signature.problem, "ready": is_ready})

    async def server_metadata(_: Request) -> Response:
        extensions = ["binary_tensor_data"]
        return reply(200, {"name": "retrue", "version": version_text, "extensions": extensions})

    async def model_metadata(_: Request) -> Response:
        return reply(200, metadata(signature, service.model_version))

    async def unknown_model(_: Request) -> Response:
        served = f"{signature.problem}, version {version_text}"
        return reply(404, {"error": f"no such model: this server serves {served}"})

    async def measures(_: Request) -> Response:
        text = metrics.render(identity, service.log.pending_rows)
        return reply(200, text, media_type=CONTENT_TYPE)

    @cache
    def described() -> bytes:
        return _ENCODER.encode(describe(service.bundle, service.model_version))

    async def openapi(_: Request) -> Response:
        return reply(200, described())

    @cache
    def drawn() -> bytes:
        return try_page(service.bundle, service.model_version)

    async def page(_: Request) -> Response:
        return reply(200, drawn(), {"content-security-policy": SECURITY_POLICY}, "text/html")

    async def refused(_: Request, error: Exception) -> Response:
        fault = cast("HTTPException", error)
        return reply(fault.status_code, {"error": fault.detail.lower()}, fault.headers)

    async def failed(_: Request, __: Exception) -> Response:
        return reply(500, {"error": "internal error"})

    gets = {
        "/": page,
        "/health": health,
        "/version": version,
        "/ping": ping,
        "/metrics": measures,
        "/openapi.json": openapi,
        "/v2": server_metadata,
        "/v2/health/live": live,
        "/v2/health/ready": ready,
        **dict.fromkeys(models, model_metadata),
        **{f"{path}/ready": ready for path in models},
    }
    others = Starlette(
        routes=[
            *(Route(path, post, methods=["POST"]) for path, post in posts.items()),
            *(Route(path, get) for path, get in gets.items()),
            Route("/v2/models/{_:path}", unknown_model, methods=["GET", "POST"]),
        ],
        exception_handlers={HTTPException: refused, Exception: failed},
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        # Starlette's layers take longer than scoring a row, so what scores goes around them.
        if scope["method"] == "POST" and (post := posts.get(path)) is not None:
            await post(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Names of a client's own would make series without end.
                metrics.path(path if path in gets else "other").count(message["status"])
            await send(message)

        await others(scope, receive, counted)

    return app
