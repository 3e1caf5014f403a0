"""The prediction logs of a problem: which there are, whose server is gone, and what they hold."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from retrue import delta, prediction_table
from retrue.errors import DataError
from retrue.home import serving_dir
from retrue.serving import log_reading
from retrue.serving.log_file import LogError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

SIDE_FILES = ("-wal", "-shm")
"""What SQLite keeps beside a file that is open, or whose server was killed."""


def folder(problem: str) -> Path:
    """Where the servers of a problem write their logs."""
    return serving_dir(problem) / "predictions"


def files(problem: str) -> list[Path]:
    """All logs that are there, of servers that run and that ended."""
    return sorted(folder(problem).glob("*.sqlite"))


def locked(problem: str) -> AbstractContextManager[None]:
    """One that collects, or deletes what was collected, at a time."""
    return delta.locked(folder(problem))


@contextmanager
def kept_closed(log: Path) -> Iterator[bool]:
    """Whether no server writes the log, or ever will while the block lasts.

    Servers hold a lock on it as long as they live, in a container as well.
    """
    with log.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def find(problem: str, prediction_id: str) -> dict[str, Any] | None:
    """A prediction wherever it is, its columns as in `PREDICTIONS`; None if it was never logged."""
    # First the logs: a row that is collected and deleted meanwhile is in the lake by then.
    for log in files(problem):
        try:
            record = log_reading.find(log, prediction_id)
        except LogError:
            if log.exists():
                raise
            continue
        if record is not None:
            found = dict(zip(log_reading.COLUMNS, record, strict=True))
            del found["seq"]
            return {**found, "log": log.name}
    return prediction_table.find_prediction(problem, prediction_id)


def unknown(prediction_id: str, where: str) -> DataError:
    """The refusal of an id that nobody gave out, or whose row is no longer kept."""
    return DataError(
        "the id of a prediction that was logged and is kept",
        f"{prediction_id[:60]!r}",
        where,
        "copy it from the answer's prediction_ids",
    )
