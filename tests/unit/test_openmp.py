"""libgomp for machines that lack it."""

import ctypes
from pathlib import Path
from typing import Any

import pytest

from retrue import openmp


def test_nothing_is_needed_where_the_machine_has_libgomp(tmp_path: Path) -> None:
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        pytest.skip("this machine has no libgomp")
    assert openmp.ensure_openmp(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_bare_machine_gets_the_wheels_copy_under_the_name_that_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = ctypes.CDLL

    def without_system_libgomp(name: str, *rest: Any) -> ctypes.CDLL:
        if name == "libgomp.so.1":
            raise OSError("cannot open shared object file")
        return load(name, *rest)

    monkeypatch.setattr(ctypes, "CDLL", without_system_libgomp)
    for _ in range(2):  # a second start finds the link there
        folder = openmp.ensure_openmp(tmp_path)
    assert folder is not None
    library = load(str(Path(folder) / "libgomp.so.1"))
    assert library.omp_get_max_threads() >= 1
