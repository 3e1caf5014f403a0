"""Counters of one server in Prometheus' text format; only the event loop touches them."""

import os
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# From a row that meets an idle disk (about 1 ms) to a large batch on a busy one.
_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STATM = Path("/proc/self/statm")


class PathMetrics:
    """What was asked of one path: answers by status, rows, and how long answers took."""

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.times = [0] * (len(_BOUNDS_S) + 1)
        self.total_s = 0.0
        self.n_rows = 0

    def count(self, status: int) -> None:
        """Count a request by its answer."""
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def observe(self, n_rows: int, duration_s: float) -> None:
        """Take in the rows of an answer and how long it took from the body's last byte on."""
        self.n_rows += n_rows
        self.total_s += duration_s
        self.times[bisect_left(_BOUNDS_S, duration_s)] += 1


class Metrics:
    """What was asked, how long it took, and what went wrong; `log_failures` were answered 503."""

    def __init__(self) -> None:
        self._started_s = time.time()
        self._paths: dict[str, PathMetrics] = {}
        self.log_failures = 0

    def path(self, path: str) -> PathMetrics:
        """The measures of one path, to be kept by who serves it."""
        return self._paths.setdefault(path, PathMetrics())

    def render(self, identity: Mapping[str, object], pending_rows: int) -> bytes:
        """Text of all of them; `identity` becomes the labels of `retrue_model_info`."""
        timed = {path: one for path, one in self._paths.items() if any(one.times)}
        series = (
            ("retrue_model_info", "gauge", [_line("", identity, 1)]),
            (
                "retrue_requests_total",
                "counter",
                [
                    _line("", {"path": path, "status": status}, n)
                    for path, measured in self._paths.items()
                    for status, n in measured.statuses.items()
                ],
            ),
            (
                "retrue_rows_total",
                "counter",
                [_line("", {"path": path}, one.n_rows) for path, one in timed.items()],
            ),
            (
                "retrue_request_duration_seconds",
                "histogram",
                [line for path, one in timed.items() for line in _histogram(path, one)],
            ),
            ("retrue_log_pending_rows", "gauge", [_line("", {}, pending_rows)]),
            ("retrue_log_failures_total", "counter", [_line("", {}, self.log_failures)]),
            ("process_start_time_seconds", "gauge", [_line("", {}, self._started_s)]),
            ("process_cpu_seconds_total", "counter", [_line("", {}, time.process_time())]),
            ("process_resident_memory_bytes", "gauge", _resident_memory()),
        )
        lines = [
            line
            for name, kind, samples in series
            for line in (f"# TYPE {name} {kind}", *(name + sample for sample in samples))
        ]
        return "\n".join([*lines, ""]).encode()


def _histogram(path: str, measured: PathMetrics) -> Iterable[str]:
    bounds = (*map(str, _BOUNDS_S), "+Inf")
    counts = list(accumulate(measured.times))
    for bound, n in zip(bounds, counts, strict=True):
        yield _line("_bucket", {"path": path, "le": bound}, n)
    yield _line("_sum", {"path": path}, measured.total_s)
    yield _line("_count", {"path": path}, counts[-1])


def sample(name: str, labels: Mapping[str, object], value: float) -> str:
    """One line of the text format, whatever the values of its labels hold."""
    return name + _line("", labels, value)


def _line(suffix: str, labels: Mapping[str, object], value: float) -> str:
    named = ",".join(f'{name}="{_escaped(str(value))}"' for name, value in labels.items())
    return f"{suffix}{{{named}}} {value!r}" if named else f"{suffix} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _resident_memory() -> list[str]:
    if not _STATM.exists():  # not Linux
        return []
    pages = int(_STATM.read_text().split()[1])
    return [_line("", {}, pages * os.sysconf("SC_PAGESIZE"))]
