"""A value from one process of this machine to another: columns by shared memory, not by the pipe.

A pipe takes 64 KiB at a time: through it a table of 80 MB costs ten times what copying it costs.
"""

from __future__ import annotations

import mmap
import os
import pickle
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALIGNMENT = 64
"""Bytes; numpy's own alignment, so that what arrives is as quick to read as what left."""


@contextmanager
def handed_over(pipe: IO[bytes], value: object) -> Iterator[None]:
    """Hand a value to the reader of a pipe; it can be received until the block ends.

    Parameters
    ----------
    pipe : binary file
        To a child of this process that calls `receive`.
    value : object
        Anything that can be pickled; it is not changed, and the reader gets a copy.

    Raises
    ------
    OSError
        The reader is gone.
    """
    buffers: list[pickle.PickleBuffer] = []
    message = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    memory = os.memfd_create("retrue", os.MFD_CLOEXEC)
    try:
        spans = []
        end = 0
        for buffer in buffers:
            with buffer.raw() as content:
                start = -(-end // _ALIGNMENT) * _ALIGNMENT
                end = start + content.nbytes
                spans.append((start, end))
                _write(memory, content, start)
        pickle.dump((f"/proc/{os.getpid()}/fd/{memory}", spans, message), pipe, protocol=5)
        pipe.flush()
        yield
    finally:
        os.close(memory)


def receive(pipe: IO[bytes]) -> Any:
    """Take what another process hands over; its arrays may be written to.

    Raises
    ------
    EOFError
        The other end was closed.
    """
    path, spans, message = pickle.load(pipe)  # noqa: S301 - a pipe from our own parent
    if not spans or not spans[-1][1]:
        return pickle.loads(message, buffers=[bytearray()] * len(spans))  # noqa: S301
    with open(path, "rb") as memory:
        shared = memoryview(mmap.mmap(memory.fileno(), 0, access=mmap.ACCESS_COPY))
    return pickle.loads(message, buffers=[shared[start:end] for start, end in spans])  # noqa: S301


def _write(memory: int, content: memoryview, at: int) -> None:
    while content:  # a write may be cut short at 2 GiB
        written = os.pwrite(memory, content, at)
        content, at = content[written:], at + written
