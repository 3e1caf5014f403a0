"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Let the allocators part with what was freed.

    They keep it for the next allocation, which after a stage of another kind never comes: of a
    table's peak two thirds stayed resident. Where the C library is not glibc its part is left out.
    """
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
