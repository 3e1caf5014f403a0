"""Head and body of an answer in one call to the kernel, and in one packet."""

import asyncio
from typing import Any


class JoinedWrites:
    """A transport that keeps a head until its body follows, at the latest until the loop's turn.

    uvicorn writes them one after the other, and uvloop (0.22 and later) at once: two calls to the
    kernel for each answer, each of which wakes the client.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head = b""

    def write(self, data: bytes) -> None:
        """Write, or keep what looks like a head; another one is only written a little later."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._head = data
            # An answer to HEAD has no body, and a streamed one may take its time.
            asyncio.get_running_loop().call_soon(self._flush)
            return
        self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return bool(self._transport.is_closing())

    def close(self) -> None:
        """Write what is kept, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            if not self._transport.is_closing():
                self._transport.write(head)
