"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
import os
import sys

_M_MMAP_THRESHOLD = -3
"""Number of the setting in glibc's malloc.h."""
_LARGE_BYTES = 3 << 19
"""A column of 200,000 numbers. From 128 KiB on, where glibc begins, the page faults of a training
cost 2 CPU-seconds of 15 on the flights: of 300,000 rows LightGBM takes 1.2 MB anew for a tree."""
ARROW_POOL = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Environment in which Arrow asks the C library; it is read when pyarrow is imported."""


def part_with_large() -> None:
    """Have large blocks go back to the system the moment they are freed; before any is made.

    The C library comes to keep blocks of up to 32 MB, and Arrow's own allocator what its threads
    freed: a fifth of what a training had in memory at its peak was free. Where the C library is not
    glibc its part is left out.
    """
    for name, value in ARROW_POOL.items():
        os.environ.setdefault(name, value)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


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
