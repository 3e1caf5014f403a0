"""Freed memory goes back to the system; asked of new processes, as their allocators are."""

import ctypes
import subprocess
import sys

import pytest

_BLOCKS = """
import ctypes
import flows  # noqa: F401

class Found(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks".split()]
    _rest = [(name, ctypes.c_size_t) for name in "hblkhd us fs uord ford keep".split()]
    _fields_ += _rest

c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
c.free.argtypes, c.mallinfo2.restype = [ctypes.c_void_p], Found
c.free(c.malloc(24 << 20))  # by itself glibc would keep all blocks up to this size from now on
before = c.mallinfo2().hblkhd
block = c.malloc(2 << 20)
print(c.mallinfo2().hblkhd - before >= 2 << 20)
"""


def said(program: str) -> str:
    return subprocess.check_output([sys.executable, "-c", program], text=True).strip()


def test_arrow_asks_the_c_library_in_a_process_that_runs_flows() -> None:
    program = "import flows, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    assert said(program) == "system"


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="not a glibc that tells")
def test_a_large_block_is_of_its_own_after_a_larger_one_was_freed() -> None:
    assert said(_BLOCKS) == "True"
