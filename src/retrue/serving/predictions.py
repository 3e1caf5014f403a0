"""The prediction log, late labels with it: a record is on disk before its answer leaves."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from functools import lru_cache
from itertools import chain
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from retrue.errors import RetrueError


class Record(NamedTuple):
    """One prediction; `event_time` is ISO 8601 in UTC, `key` and `row` are JSON objects."""

    prediction_id: str
    received_at_us: int
    event_time: str
    key: str | None
    row: str
    score: float
    decision: int
    model_version: int
    bundle_sha256: str


class Feedback(NamedTuple):
    """One late label, of a key (a JSON object) or of a prediction; `label` is a JSON scalar."""

    received_at_us: int
    key: str | None
    prediction_id: str | None
    label: str
    known_at: str | None


Entry = Record | Feedback
Pending = tuple[Sequence[Entry], "asyncio.Future[None]"]

COLUMNS = ("seq", *Record._fields)
FEEDBACK_COLUMNS = ("seq", *Feedback._fields)
_TABLE = """CREATE TABLE IF NOT EXISTS predictions (
    seq INTEGER PRIMARY KEY, prediction_id TEXT NOT NULL UNIQUE, received_at_us INTEGER NOT NULL,
    event_time TEXT NOT NULL, key TEXT, row TEXT NOT NULL, score REAL NOT NULL,
    decision INTEGER NOT NULL, model_version INTEGER NOT NULL, bundle_sha256 TEXT NOT NULL)"""
_FEEDBACK_TABLE = """CREATE TABLE IF NOT EXISTS feedback (
    seq INTEGER PRIMARY KEY, received_at_us INTEGER NOT NULL, key TEXT, prediction_id TEXT,
    label TEXT NOT NULL, known_at TEXT)"""
# Many rows in one statement give up the interpreter lock once, not once a row; 512 rows use 4,608
# of SQLite's 32,766 parameters.
_STATEMENT_ROWS = 512
# One commit stays short enough to be fair to those that wait for the next.
_COMMIT_ROWS = 20_000
# Rows that may wait for the disk before new requests are refused: some 100 MB at 1 kB a row.
_PENDING_ROWS = 100_000


class LogError(RetrueError):
    """Predictions cannot be made durable, so they must not be answered."""


class PredictionLog:
    """Append-only log in one SQLite file, written by one thread that commits in groups.

    Parameters
    ----------
    path : Path
        File to create, or to continue; its folder must exist.

    Raises
    ------
    LogError
        The file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue: SimpleQueue[Pending | None] = SimpleQueue()
        self._pending_rows = 0
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        try:
            self._open()
        except (OSError, sqlite3.Error) as error:
            raise _failed(path, error) from error
        self._thread = threading.Thread(target=self._write_groups, name="prediction-log")
        self._thread.start()

    async def append(self, records: Sequence[Entry]) -> None:
        """Return when `records`, all of one kind, are durable; all of them are in, or none.

        Raises
        ------
        LogError
            They are not in the log, or the log is too far behind to take more.
        """
        if self._pending_rows >= _PENDING_ROWS:
            raise _failed(self.path, f"{self._pending_rows} rows waiting for the disk")
        self._pending_rows += len(records)
        written = asyncio.get_running_loop().create_future()
        self._queue.put((records, written))
        try:
            await written
        finally:
            self._pending_rows -= len(records)

    def close(self) -> None:
        """Commit what waits, fold the write-ahead log into the file and stop the thread."""
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
                self._commit([records for records, _ in group])
            except (OSError, sqlite3.Error) as fault:
                error = _failed(self.path, fault)
                self._discard_connection()
            written = [future for _, future in group]
            written[0].get_loop().call_soon_threadsafe(_settle, written, error)
        self._finish()

    def _next_group(self) -> tuple[list[Pending], bool]:
        group: list[Pending] = []
        n_rows = 0
        entry = self._queue.get()
        while entry is not None:
            group.append(entry)
            n_rows += len(entry[0])
            if n_rows >= _COMMIT_ROWS:
                break
            try:
                entry = self._queue.get_nowait()
            except Empty:
                break
        return group, entry is not None

    def _open(self) -> sqlite3.Connection:
        # The writer thread is the only user once the constructor has returned.
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(_TABLE)
            connection.execute(_FEEDBACK_TABLE)
            self._inode = os.stat(self.path).st_ino
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _commit(self, group: Sequence[Sequence[Entry]]) -> None:
        # SQLite would go on writing to a file that someone has deleted: durable for nobody.
        if self._connection and os.stat(self.path).st_ino != self._inode:
            raise OSError("the log file was replaced")
        connection = self._connection or self._open()
        by_kind: dict[type[Any], list[Entry]] = {}
        for records in group:
            by_kind.setdefault(type(records[0]), []).extend(records)
        if len(by_kind) == 1 and sum(map(len, by_kind.values())) <= _STATEMENT_ROWS:
            for kind, rows in by_kind.items():
                _insert(connection, kind, rows)  # a transaction of its own
            return
        connection.execute("BEGIN IMMEDIATE")
        for kind, rows in by_kind.items():
            for start in range(0, len(rows), _STATEMENT_ROWS):
                _insert(connection, kind, rows[start : start + _STATEMENT_ROWS])
        connection.execute("COMMIT")

    def _discard_connection(self) -> None:
        # After a fault nothing is known of the connection; closing it rolls back what is open.
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _finish(self) -> None:
        if self._connection is not None:
            # One plain file is left, which a reader without write access can open. While a reader
            # holds it this fails, and the write-ahead log beside it stays valid.
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.close()


def _insert(connection: sqlite3.Connection, kind: type[Any], records: Sequence[Entry]) -> None:
    statement = _statement(kind is Record, len(records))
    connection.execute(statement, tuple(chain.from_iterable(records)))


@lru_cache
def _statement(is_prediction: bool, n_rows: int) -> str:
    table = "predictions" if is_prediction else "feedback"
    fields = Record._fields if is_prediction else Feedback._fields
    values = f"({', '.join('?' * len(fields))})"
    return f"INSERT INTO {table} ({', '.join(fields)}) VALUES {', '.join([values] * n_rows)}"


def read_after(path: Path, seq: int, limit: int = -1) -> list[tuple[object, ...]]:
    """Read the committed predictions above sequence number `seq`, also while a server writes.

    Returns
    -------
    list of tuple
        In the order of COLUMNS, ascending by `seq`, at most `limit` (negative: all).

    Raises
    ------
    LogError
        No such file, or no prediction log.
    """
    query = f"SELECT {', '.join(COLUMNS)} FROM predictions WHERE seq > ? ORDER BY seq LIMIT ?"
    return list(_query(path, query, seq, limit))


def read_feedback_after(path: Path, seq: int) -> list[tuple[object, ...]]:
    """Read the late labels above `seq` in the order of FEEDBACK_COLUMNS, as `read_after` does.

    A log of a server that took none yet, from before there were any, has no rows.
    """
    if next(_query(path, "SELECT 1 FROM sqlite_master WHERE name = ?", "feedback"), None) is None:
        return []
    columns = ", ".join(FEEDBACK_COLUMNS)
    return list(_query(path, f"SELECT {columns} FROM feedback WHERE seq > ? ORDER BY seq", seq))


def find(path: Path, prediction_id: str) -> tuple[object, ...] | None:
    """Find the record with `prediction_id` in the order of COLUMNS, or None."""
    query = f"SELECT {', '.join(COLUMNS)} FROM predictions WHERE prediction_id = ?"
    return next(_query(path, query, prediction_id), None)


def _query(path: Path, query: str, *values: object) -> Iterator[tuple[object, ...]]:
    uri = f"{Path(path).absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
            return iter(connection.execute(query, values).fetchall())
    except sqlite3.Error as error:
        raise _failed(path, error) from error


def _settle(written: Sequence["asyncio.Future[None]"], error: LogError | None) -> None:
    for future in written:
        if future.done():  # its request was cancelled meanwhile
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _failed(path: Path, fault: object) -> LogError:
    return LogError("a log that takes predictions", str(fault), str(path), "free the disk")
