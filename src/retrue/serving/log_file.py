"""The SQLite files of one prediction log: one at a time, one writer each, synced at each commit."""

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from retrue.errors import RetrueError
from retrue.serving.packing import encode
from retrue.serving.records import Batch, Entry, Feedback, Record, Row

_TABLE = """CREATE TABLE predictions (
    seq INTEGER PRIMARY KEY, prediction_id TEXT NOT NULL UNIQUE, received_at_us INTEGER NOT NULL,
    event_time TEXT NOT NULL, key TEXT, row TEXT NOT NULL, score REAL NOT NULL,
    decision INTEGER NOT NULL, model_version INTEGER NOT NULL, bundle_sha256 TEXT NOT NULL)"""
# `seq` is that of the last row, in one count with those of predictions.
_BATCH_TABLE = """CREATE TABLE batches (
    seq INTEGER PRIMARY KEY, prediction_id TEXT NOT NULL UNIQUE, received_at_us INTEGER NOT NULL,
    n_rows INTEGER NOT NULL, content BLOB NOT NULL, model_version INTEGER NOT NULL,
    bundle_sha256 TEXT NOT NULL)"""
_FEEDBACK_TABLE = """CREATE TABLE feedback (
    seq INTEGER PRIMARY KEY, received_at_us INTEGER NOT NULL, key TEXT, prediction_id TEXT,
    label TEXT NOT NULL, known_at TEXT)"""
_TABLES: dict[type[Entry], str] = {
    Record: "predictions",
    Batch: "batches",
    Feedback: "feedback",
}
# Many rows in one statement give up the interpreter lock once, not once a row; 512 rows use 5,120
# of SQLite's 32,766 parameters.
_STATEMENT_ROWS = 512
# Twice SQLite's own: a batch of 1,000 rows takes a quarter less CPU, and a single row no more.
_PAGE_BYTES = 8_192
# A file this large is closed and the next one begun, so that it can be collected and deleted while
# the server lives: at 500 bytes a row some 500,000 rows.
_FILE_BYTES = 256 * 2**20
_LAST_SEQ = """SELECT max(
    (SELECT coalesce(max(seq), 0) FROM predictions), (SELECT coalesce(max(seq), 0) FROM batches))"""
# After these nobody knows which pages reached the disk, and a later sync would not tell, as Linux
# marks them clean (Rebello et al. 2020, "Can Applications Recover from fsync Failures?").
_DOUBTFUL = (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC)


class LogError(RetrueError):
    """Predictions cannot be made durable, so they must not be answered."""


def failed(path: Path, fault: object) -> LogError:
    """What is wrong with a log."""
    return LogError("a log that takes predictions", str(fault), str(path), "free the disk")


class LogFile:
    """The file that is written, and its successors NAME.1.sqlite, NAME.2.sqlite ...

    While it is open it is locked (flock): nobody else writes it, and who gets the lock knows that
    nobody will. The system frees the lock however the server ends. For one thread at a time.

    Parameters
    ----------
    path : Path
        The first file, to create or to continue; its folder must exist.

    Raises
    ------
    OSError, sqlite3.Error
        As from each method: it cannot be written. The next `commit` tries again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._first = path
        self._n_files = 1
        self._connection: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._inode = 0
        self._seq = 0
        self._open()

    def commit(self, group: Sequence[Sequence[Entry]]) -> None:
        """Make the records of a group durable: all of them, or none."""
        try:
            self._insist_on_file()
            connection = self._connection or self._open()
            self._seq = _write(connection, group, self._seq)
        except Exception as fault:
            # Nothing is known of the connection now; closing it rolls back what is open.
            self._disconnect()
            if getattr(fault, "sqlite_errorcode", None) in _DOUBTFUL:
                self._begin_next()
            raise

    def close(self) -> None:
        """Fold the write-ahead log into the file and free it."""
        if self._connection is not None:
            # One plain file is left, which a reader without write access can open. While a reader
            # holds it this fails, and the write-ahead log beside it stays valid.
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA journal_mode = DELETE")
            self._disconnect()
        self._unlock()

    def _insist_on_file(self) -> None:
        """Begin the next file when this one is large enough; fail when it was taken away."""
        if self._connection is None:
            return
        file = os.stat(self.path)
        # SQLite would go on writing to a file that someone has deleted: durable for nobody.
        if file.st_ino != self._inode:
            raise OSError("the log file was replaced")
        if file.st_size >= _FILE_BYTES:
            self._connection.execute("PRAGMA busy_timeout = 0")  # requests wait, readers do not
            self.close()
            self._begin_next()

    def _open(self) -> sqlite3.Connection:
        self._take_lock()
        # One thread opens the file, another one writes it.
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # of a new file
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                # The number tells this file from another one that may get its name.
                number = secrets.randbelow(2**31 - 1) + 1
                tables = f"{_TABLE}; {_FEEDBACK_TABLE}; {_BATCH_TABLE}"
                connection.executescript(f"BEGIN; {tables}; PRAGMA user_version = {number}; COMMIT")
            elif not connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'batches'"
            ).fetchone():
                connection.execute(_BATCH_TABLE)  # a file from before there were any
            (self._seq,) = connection.execute(_LAST_SEQ).fetchone()
            if os.stat(self.path).st_ino != self._inode:
                raise OSError("the log file was replaced")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _take_lock(self) -> None:
        self._unlock()
        self._lock = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._unlock()
            raise OSError("another log is open on this file") from error
        self._inode = os.fstat(self._lock).st_ino

    def _unlock(self) -> None:
        # Only while SQLite has the file closed: to close any descriptor of a file frees the locks
        # that SQLite holds on it.
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _begin_next(self) -> None:
        self.path = self._first.with_suffix(f".{self._n_files}.sqlite")
        self._n_files += 1

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _write(connection: sqlite3.Connection, group: Sequence[Sequence[Entry]], seq: int) -> int:
    """Write what comes after number `seq` of the predictions; the last number then."""
    by_kind: dict[type[Entry], list[Any]] = {}
    for entries in group:
        by_kind.setdefault(type(entries[0]), []).extend(entries)
    if rows := by_kind.pop(Row, None):
        encoded = encode(rows)
        by_kind.setdefault(type(encoded[0]), []).extend(encoded)
    if len(by_kind) == 1 and sum(map(len, by_kind.values())) <= _STATEMENT_ROWS:
        for kind, rows in by_kind.items():
            seq = _insert(connection, kind, rows, seq)  # a transaction of its own
        return seq
    connection.execute("BEGIN IMMEDIATE")
    for kind, rows in by_kind.items():
        for start in range(0, len(rows), _STATEMENT_ROWS):
            seq = _insert(connection, kind, rows[start : start + _STATEMENT_ROWS], seq)
    connection.execute("COMMIT")
    return seq


def _insert(
    connection: sqlite3.Connection, kind: type[Entry], entries: Sequence[Any], seq: int
) -> int:
    values: list[Any] = []
    for entry in entries:
        if kind is Feedback:
            values.append(None)  # counted by itself
        else:
            seq += entry.n_rows if kind is Batch else 1
            values.append(seq)
        values += entry
    connection.execute(_statement(_TABLES[kind], kind._fields, len(entries)), values)
    return seq


@lru_cache
def _statement(table: str, fields: tuple[str, ...], n_rows: int) -> str:
    fields = ("seq", *fields)
    values = f"({', '.join('?' * len(fields))})"
    rows = ", ".join([values] * n_rows)
    return f"INSERT INTO {table} ({', '.join(fields)}) VALUES {rows}"
