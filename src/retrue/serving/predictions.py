"""The prediction log, late labels with it: a record is on disk before its answer leaves."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from retrue.serving.log_file import LogError, LogFile, failed
from retrue.serving.records import Entry, count_rows

Pending = tuple[Sequence[Entry], "asyncio.Future[None]"]

# Rows that need not wait for more: a commit costs some 200 us CPU, and 10 us a row.
_ENOUGH_ROWS = 64
# One commit stays short enough to be fair to those that wait for the next.
_COMMIT_ROWS = 20_000
# Rows that may wait for the disk before new requests are refused: some 100 MB at 1 kB a row.
_PENDING_ROWS = 100_000
# Of warnings of one kind: a disk that is full fails thousands of requests a second.
_WARN_EVERY_S = 60
_LOGGER = logging.getLogger("retrue.serving")


class PredictionLog:
    """Append-only log in SQLite files, written by one thread that commits in groups.

    Parameters
    ----------
    path : Path
        File to create, or to continue; its folder must exist. See `LogFile` for its successors.

    Raises
    ------
    LogError
        The file cannot be opened for writing, or another log is open on it.
    """

    def __init__(self, path: Path) -> None:
        self.unlogged_rows = 0
        """Rows that were answered although they are not in the log."""
        self._handed_in: list[Pending] = []
        self._handed_in_rows = self._seen_rows = 0
        self._queue: SimpleQueue[list[Pending] | None] = SimpleQueue()
        self._pending_rows = 0
        self._warn_at = 0.0
        try:
            self._file = LogFile(path)
        except (OSError, sqlite3.Error) as error:
            raise failed(path, error) from error
        self._thread = threading.Thread(target=self._write_groups, name="prediction-log")
        self._thread.start()

    @property
    def path(self) -> Path:
        """The file that is written now."""
        return self._file.path

    @property
    def pending_rows(self) -> int:
        """How many rows wait for the disk."""
        return self._pending_rows

    async def append(self, records: Sequence[Entry]) -> None:
        """Return when `records`, all of one kind, are durable; all of them are in, or none.

        Raises
        ------
        LogError
            They are not in the log, or the log is too far behind to take more. After a fault in the
            very sync of a commit they may be in it all the same.
        """
        await self.submit(records)

    def submit(self, records: Sequence[Entry]) -> "asyncio.Future[None]":
        """Hand in `records` as `append` does; the future ends as `append` would."""
        if self._pending_rows >= _PENDING_ROWS:
            raise failed(self.path, f"{self._pending_rows} rows waiting for the disk")
        n_rows = count_rows(records)
        self._pending_rows += n_rows
        self._handed_in_rows += n_rows
        loop = asyncio.get_running_loop()
        written = loop.create_future()
        if not self._handed_in:
            loop.call_soon(self._hand_over)
        self._handed_in.append((records, written))
        return written

    def _hand_over(self) -> None:
        """Give what came in to the thread, once a turn of the loop has brought nothing more."""
        if self._seen_rows < self._handed_in_rows < _ENOUGH_ROWS:
            self._seen_rows = self._handed_in_rows
            asyncio.get_running_loop().call_soon(self._hand_over)
            return
        group, self._handed_in = self._handed_in, []
        self._handed_in_rows = self._seen_rows = 0
        self._queue.put(group)

    def note_unlogged(self, n_rows: int, why: LogError) -> None:
        """Count rows that are answered without a record, and warn, once a minute."""
        self.unlogged_rows += n_rows
        if time.monotonic() >= self._warn_at:
            self._warn_at = time.monotonic() + _WARN_EVERY_S
            _LOGGER.warning("%d rows answered without a record; %s", self.unlogged_rows, why)

    def close(self) -> None:
        """Commit what waits, fold the write-ahead log into the file and stop the thread."""
        if self._thread.is_alive():
            self._queue.put(None)
        self._thread.join()

    def _write_groups(self) -> None:
        is_open = True
        while is_open:
            group, is_open = self._next_group()
            if not group:
                continue
            error: LogError | None = None
            try:
                self._file.commit([records for records, _ in group])
            except Exception as fault:  # whatever it is, the thread goes on
                error = failed(self.path, fault)
            group[0][1].get_loop().call_soon_threadsafe(self._settle, group, error)
        self._file.close()

    def _settle(self, group: Sequence[Pending], error: LogError | None) -> None:
        for records, written in group:
            self._pending_rows -= count_rows(records)
            if written.done():  # its request was cancelled meanwhile
                continue
            if error is None:
                written.set_result(None)
            else:
                written.set_exception(error)

    def _next_group(self) -> tuple[list[Pending], bool]:
        group: list[Pending] = []
        n_rows = 0
        entry = self._queue.get()
        while entry is not None:
            group += entry
            n_rows += sum(count_rows(records) for records, _ in entry)
            if n_rows >= _COMMIT_ROWS:
                break
            try:
                entry = self._queue.get_nowait()
            except Empty:
                break
        return group, entry is not None
