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

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    Process = subprocess.Popen[bytes]

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


def _running() -> Process:
    if not _children or _children[0].poll() is not None:
        _children[:] = [
            subprocess.Popen(
                [sys.executable, "-m", "retrue.expectations"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # It must not phone home, whatever the user's setting.
                env={**os.environ, "GX_ANALYTICS_ENABLED": "false"},
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
