"""CPU time, wall time and memory of a process and of what it starts, from the kernel's counters."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PSS_EVERY_S = 0.01
"""Beside some 10 ms that the kernel takes to add up a process of 500 MB."""


@dataclass(frozen=True)
class Lap:
    """Counters of a process at one moment, and what it has to tell then."""

    cpu_s: float
    """User and system time since the process began, with that of its children, ended or running."""
    at_s: float
    """Monotonic clock, the same in every process of a machine."""
    peak_rss_mb: float
    """Peaks of this process and of its running children, added up."""
    figures: dict[str, float]

    @classmethod
    def now(cls, figures: dict[str, float]) -> Lap:
        """Counters of this process."""
        children = [child.pid for child in psutil.Process().children(recursive=True)]
        peaks = [peak_rss_mb(pid) for pid in ("self", *children)]
        return cls(sum(os.times()[:4]) + cpu_s_of(children), time.monotonic(), sum(peaks), figures)


@dataclass(frozen=True)
class Sample:
    """One measured run."""

    cpu_s: float
    wall_s: float
    peak_rss_mb: float
    figures: dict[str, float]


def peak_rss_mb(pid: int | str = "self") -> float:
    """Peak resident memory of one process alone.

    `getrusage` would not do: after a fork its maximum starts at the parent's.
    """
    return _status_mb(pid, "VmHWM")


def rss_mb(pid: int | str = "self") -> float:
    """Resident memory of one process now."""
    return _status_mb(pid, "VmRSS")


def tree_pss_mb(pid: int) -> float:
    """Memory of a process and of all it started, now; pages that several map are shared out (PSS).

    Code that a forked child or another program maps as well counts once, not once each; so does
    what one process of the tree hands another by shared memory. A process that has just ended or
    is not ours counts nothing.
    """
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(OSError):
                total += _kb_mb(Path(f"/proc/{process.pid}/smaps_rollup").read_text(), "Pss")
    return total


def peak_pss_mb(argv: Sequence[str], env: Mapping[str, str], log: Path) -> float:
    """Highest `tree_pss_mb` of a program while it runs, asked each `PSS_EVERY_S`.

    Raises
    ------
    RuntimeError
        It failed; the end of its log is in the message.
    """
    peak = 0.0
    with log.open("wb") as out:
        child = subprocess.Popen(
            list(argv), env=dict(env), stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            while child.poll() is None:
                peak = max(peak, tree_pss_mb(child.pid))
                time.sleep(PSS_EVERY_S)
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        raise _failed(argv, log)
    return peak


def _status_mb(pid: int | str, name: str) -> float:
    return _kb_mb(Path(f"/proc/{pid}/status").read_text(), name)


def _kb_mb(text: str, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else float("nan")


@contextmanager
def laps_to(path: Path, laps: list[Lap]) -> Iterator[None]:
    """Leave the laps for the parent to read."""
    yield
    path.write_text(json.dumps([asdict(lap) for lap in laps]))


def cold_and_warm(
    argv: Sequence[str], env: Mapping[str, str], laps: Path, log: Path
) -> tuple[Sample, Sample]:
    """Run a program that does its work twice; the first time as seen from outside, and the second.

    All that is not the second time belongs to the first: start of the interpreter, imports, and the
    end of the process. A program that does it once has nothing warm.

    Raises
    ------
    RuntimeError
        It failed; the end of its log is in the message.
    """
    start = time.monotonic()
    with log.open("wb") as out:
        child = subprocess.Popen(
            list(argv), env=dict(env), stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            raise
    wall_s = time.monotonic() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise _failed(argv, log)
    first, *rest = (Lap(**lap) for lap in json.loads(laps.read_bytes()))
    second = rest[0] if rest else first
    warm = Sample(
        second.cpu_s - first.cpu_s, second.at_s - first.at_s, second.peak_rss_mb, second.figures
    )
    cold = Sample(
        usage.ru_utime + usage.ru_stime - warm.cpu_s,
        wall_s - warm.wall_s,
        first.peak_rss_mb,
        first.figures,
    )
    return cold, warm


def cpu_s_of(pids: Sequence[int]) -> float:
    """CPU time so far of running processes, their children (running or ended) included."""
    total = 0.0
    for pid in pids:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _failed(argv: Sequence[str], log: Path) -> RuntimeError:
    return RuntimeError(f"{' '.join(argv[:3])} failed\n{log.read_text()[-3000:]}")
