"""The process that evaluates expectations, as its parent sees it.

Importing Great Expectations takes 3 to 4 seconds of one core; in a process of its own they pass
while the parent reads its sources. Its module variables and warnings stay in there as well.
"""

from __future__ import annotations

import atexit
import os
import pickle
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from retrue.errors import DataError
from retrue.handover import handed_over
from retrue.memory import ARROW_POOL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    Process = subprocess.Popen[bytes]

_PART_BYTES = 1 << 23
"""Of the columns that are handed over at a time: all of a small table, a few of a large one.

Great Expectations takes copies of all that it is given, also for a rule about one column.
"""
_LOCK = threading.Lock()
_STOP_TIMEOUT_S = 5
_children: list[Process] = []


def start() -> None:
    """Start the process, unless it runs; it is ready seconds later, and ends with this one."""
    with _LOCK:
        _running()


def evaluate(
    expectations: list[dict[str, Any]],
    frame: pd.DataFrame,
    parameters: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Evaluate expectations against a frame.

    Parameters
    ----------
    expectations : list of dict
        In Great Expectations' own JSON, each with its `severity`.
    frame : DataFrame
        With the row labels that failures are to name.
    parameters : mapping of str to float
        Values for `{"$PARAMETER": "..."}` bounds.

    Returns
    -------
    list of dict
        One an expectation, in their order: `success`, and what failed in `result`; or, where it
        could not be evaluated, `error`. Rows are listed whole for severity warning only.

    Raises
    ------
    DataError
        The suite as a whole cannot be evaluated, or the process died on the way.
    """
    results: dict[int, dict[str, Any]] = {}
    for positions, columns in _parts(expectations, frame):
        answer = _answer([expectations[at] for at in positions], columns, parameters)
        results.update(zip(positions, answer, strict=True))
    return [results[at] for at in range(len(expectations))]


def _answer(
    expectations: list[dict[str, Any]], frame: pd.DataFrame, parameters: Mapping[str, float]
) -> list[dict[str, Any]]:
    with _LOCK:
        child = _running()
        try:
            assert child.stdin is not None and child.stdout is not None
            with handed_over(child.stdin, (expectations, frame, dict(parameters))):
                answer = pickle.load(child.stdout)  # noqa: S301 - a pipe to our own process
        except (OSError, EOFError) as error:
            child.kill()
            raise DataError(
                "a process that validates",
                f"its end (exit code {child.wait()})",
                "Great Expectations",
                "look for a lack of memory, then run it again",
            ) from error
    if isinstance(answer, str):
        raise DataError("expectations that can be evaluated", answer, "suite", "correct it")
    return list(answer)


def _parts(
    expectations: list[dict[str, Any]], frame: pd.DataFrame
) -> Iterator[tuple[list[int], pd.DataFrame]]:
    """Yield positions of expectations, and a frame of the columns that they ask about."""
    import pandas as pd  # not at the top: the process is started before all else

    size = frame.memory_usage(index=False).to_dict()
    if sum(size.values()) <= _PART_BYTES:
        yield list(range(len(expectations))), frame
        return
    alike: dict[tuple[str, ...], list[int]] = {}
    for at, expectation in enumerate(expectations):
        alike.setdefault(_columns(expectation, frame), []).append(at)
    if about_shape := alike.pop((), []):
        yield about_shape, pd.DataFrame(False, frame.index, frame.columns)
    positions: list[int] = []
    held: dict[str, pd.Series] = {}
    for names, more in alike.items():
        there = [name for name in names if name in size]
        if positions and sum(size[name] for name in {*held, *there}) > _PART_BYTES:
            yield positions, pd.DataFrame(held, frame.index, copy=False)
            positions, held = [], {}
        held.update({name: frame[name] for name in there})
        positions += more
    if positions:
        yield positions, pd.DataFrame(held, frame.index, copy=False)


def _columns(expectation: Mapping[str, Any], frame: pd.DataFrame) -> tuple[str, ...]:
    """Columns whose values an expectation asks about; none where it is the table's shape."""
    given, every = expectation["kwargs"], tuple(frame.columns)
    if "row_condition" in given:
        return every
    if expectation["type"].startswith("expect_table_"):
        return ()
    named = [given[name] for name in ("column", "column_A", "column_B") if name in given]
    return (*named, *given.get("column_list", ())) or every


def _running() -> Process:
    if not _children or _children[0].poll() is not None:
        _children[:] = [
            subprocess.Popen(
                [sys.executable, "-m", "retrue.expectations"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # It must not phone home, whatever the user's setting.
                env={**ARROW_POOL, **os.environ, "GX_ANALYTICS_ENABLED": "false"},
            )
        ]
    return _children[0]


@atexit.register
def _stop() -> None:
    for child in _children:
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        try:
            child.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
