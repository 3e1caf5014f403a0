"""JSON over bare ASGI: a body in, an answer out, and limits that hold while it streams."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.types import Receive, Send

from retrue.errors import DataError

BODY_LIMIT_BYTES = 8 * 2**20
_ERROR_CHARS = 400  # of up to four bytes: below 2 KB with all around it
# How much of a refused body is still read, and how long: a client that is cut off while it sends
# never sees the answer.
_DISCARD_LIMIT_BYTES = 64 * 2**20
_DISCARD_TIMEOUT_S = 5.0
_ENCODER = msgspec.json.Encoder()


class DisconnectedError(Exception):
    """The client has gone; there is nobody to answer."""


class TooLargeError(DataError):
    """More rows or longer texts than one request may bring: 413."""


async def read_body(
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
            raise DisconnectedError
        chunk = message.get("body", b"")
        size_bytes += len(chunk)
        if size_bytes > limit_bytes:
            return None
        if is_kept:
            chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def send_json(
    send: Send,
    status: int,
    content: object,
    is_closing: bool,
    is_last: bool = True,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Answer; `is_closing` tells the client that the connection ends here."""
    if status >= 400 and isinstance(content, dict) and "error" in content:
        content = {"error": content["error"][:_ERROR_CHARS]}
    body = _ENCODER.encode(content)
    sent = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    if is_closing:
        sent.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body, "more_body": not is_last})


async def refuse_large(receive: Receive, send: Send) -> None:
    """Answer 413 at once, then read on for a while, so that the client sees it."""
    error = {"error": f"a body of at most {BODY_LIMIT_BYTES} bytes is taken"}
    await send_json(send, 413, error, is_closing=True, is_last=False)
    try:
        async with asyncio.timeout(_DISCARD_TIMEOUT_S):
            await read_body({}, receive, _DISCARD_LIMIT_BYTES, is_kept=False)
    except (TimeoutError, DisconnectedError):
        pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
