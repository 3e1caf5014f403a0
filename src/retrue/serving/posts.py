"""What is posted: score, make the records durable, answer; every protocol by the same way."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TypeVar

import msgspec
from starlette.types import Receive, Scope, Send

from retrue.errors import DataError
from retrue.serving.bodies import (
    DisconnectedError,
    TooLargeError,
    read_body,
    refuse_large,
    send_json,
)
from retrue.serving.explanation import Explanation, explain
from retrue.serving.feedback import read_feedback
from retrue.serving.log_file import LogError
from retrue.serving.open_inference import Inference, model_paths, read_inference, respond
from retrue.serving.parsing import parse_rows
from retrue.serving.records import Entries
from retrue.serving.scoring import Answer, Scorer
from retrue.serving.service import Service

# Bodies above this are scored in a thread, so that small requests are answered meanwhile.
_LARGE_BODY_BYTES = 64 * 2**10
_LOGGER = logging.getLogger("retrue.serving")
T = TypeVar("T")
Work = Callable[[Scope, bytes], Awaitable[tuple[object, int]]]
"""Scope and body to the answer and how many rows it is about."""


class JsonPost:
    """A POST path as a bare ASGI application: the hot path makes no request objects.

    `work` may raise what says whose fault it is; `path` names it in the metrics.
    """

    def __init__(self, service: Service, path: str, work: Work) -> None:
        self._service = service
        self._measured = service.metrics.path(path)
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; 200 means that its records are durable."""
        status, content = 200, None
        try:
            body = await read_body(scope, receive)
            if body is None:
                self._measured.count(413)
                await refuse_large(receive, send)
                return
            began_s = perf_counter()
            content, n_rows = await self._work(scope, body)
            self._measured.observe(n_rows, perf_counter() - began_s)
        except DataError as error:
            status = 413 if isinstance(error, TooLargeError) else 400
            content = {"error": str(error)}
        except LogError:
            status, content = log_refusal(self._service)
        except DisconnectedError:
            return
        except Exception:
            _LOGGER.exception("a request failed")
            status, content = 500, {"error": "internal error"}
        self._measured.count(status)
        await send_json(send, status, content, self._service.draining.is_set())


def log_refusal(service: Service) -> tuple[int, dict[str, str]]:
    """Count a request whose records are not durable; its answer."""
    service.metrics.log_failures += 1
    return 503, {"error": "the prediction log takes no records"}


async def _run(work: Callable[[bytes, bool], T], body: bytes, is_logged: bool) -> T:
    if len(body) > _LARGE_BODY_BYTES:
        return await asyncio.to_thread(work, body, is_logged)
    return work(body, is_logged)


def post_paths(service: Service) -> dict[str, JsonPost]:
    """The POST paths; all that score share one scorer and the log."""
    signature = service.bundle.signature
    scorer = Scorer(service.bundle, service.booster, service.model_version)
    names = [feature["name"] for feature in signature.features]

    async def invoke(scope: Scope, body: bytes) -> tuple[object, int]:
        is_logged = _is_logged(scope["query_string"])
        # As `_run` does, without a coroutine more on the hot path.
        if len(body) > _LARGE_BODY_BYTES:
            scored, records = await asyncio.to_thread(scorer.score, body, is_logged)
        else:
            scored, records = scorer.score(body, is_logged)
        if records:
            await service.keep(scored, records)
        return scored, len(scored.decisions)

    async def infer(scope: Scope, body: bytes) -> tuple[object, int]:
        is_logged, json_bytes = _is_logged(scope["query_string"]), _json_bytes(scope, body)

        def score(content: bytes, is_logged: bool) -> tuple[Inference, Answer, Entries]:
            asked = read_inference(content, json_bytes, signature)
            return asked, *scorer.score_columns(asked.columns, is_logged)

        asked, scored, records = await _run(score, body, is_logged)
        if records:
            await service.keep(scored, records)
        return respond(scored, asked, signature, is_logged), len(scored.decisions)

    async def explain_rows(scope: Scope, body: bytes) -> tuple[object, int]:
        is_logged = _is_logged(scope["query_string"])

        def score(content: bytes) -> tuple[Explanation, Answer, Entries]:
            rows = parse_rows(content, names)
            explanation = explain(rows, signature, service.booster)
            return explanation, *scorer.score_rows(rows, is_logged)

        # One row takes as long as some hundred scores.
        explanation, scored, records = await asyncio.to_thread(score, body)
        if records:
            await service.keep(scored, records)
        answer = msgspec.structs.asdict(scored) | msgspec.structs.asdict(explanation)
        return answer, len(scored.decisions)

    async def feed_back(_: Scope, body: bytes) -> tuple[object, int]:
        records = await _run(lambda content, _: read_feedback(content, signature), body, True)
        await service.log.append(records)
        return {"accepted": len(records)}, len(records)

    invocations = JsonPost(service, "/invocations", invoke)
    inference = JsonPost(service, "/v2/infer", infer)
    return {
        "/invocations": invocations,
        # Where MLflow's client of deployments sends what is asked of an endpoint by name.
        f"/endpoints/{signature.problem}/invocations": invocations,
        **{
            f"{path}/infer": inference
            for path in model_paths(signature.problem, service.model_version)
        },
        "/explain": JsonPost(service, "/explain", explain_rows),
        "/feedback": JsonPost(service, "/feedback", feed_back),
    }


def _is_logged(query: bytes) -> bool:
    if query in (b"", b"log=true"):
        return True
    if query == b"log=false":
        return False
    raise DataError("no query, log=true or log=false", "another one", "query", "leave it out")


def _json_bytes(scope: Scope, body: bytes) -> int | None:
    """How much of a body is JSON where bytes of tensors follow."""
    for name, value in scope["headers"]:
        if name == b"inference-header-content-length":
            if value.isdigit() and len(value) <= 10 and int(value) <= len(body):
                return int(value)
            raise DataError(
                "the length of the JSON text", "another value", name.decode(), "mend it"
            )
    return None
