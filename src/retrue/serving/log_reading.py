"""Read what prediction logs hold, also while a server writes."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from heapq import merge
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path

from retrue.serving.log_file import failed
from retrue.serving.packing import unpack
from retrue.serving.records import Batch, Feedback, Record, batches_of

COLUMNS = ("seq", *Record._fields)
FEEDBACK_COLUMNS = ("seq", *Feedback._fields)
_BATCH_COLUMNS = ", ".join(("seq", *Batch._fields))
Row = tuple[object, ...]


def read_after(path: Path, seq: int, limit: int | None = None) -> list[Row]:
    """Read the committed predictions above sequence number `seq`.

    Returns
    -------
    list of tuple
        In the order of COLUMNS, ascending by `seq`, at most `limit`. None of a log whose server
        was killed as it made the file.

    Raises
    ------
    LogError
        No such file, or no prediction log.
    """
    above = (row for row in _predictions(path, seq, "ASC") if row[0] > seq)  # type: ignore[operator]
    return list(islice(above, limit))


def read_newest(path: Path, limit: int) -> list[Row]:
    """Read the last `limit` committed predictions, newest first, as `read_after` does."""
    return list(islice(_predictions(path, 0, "DESC"), limit))


def read_feedback_after(path: Path, seq: int) -> list[Row]:
    """Read the late labels above `seq` in the order of FEEDBACK_COLUMNS, as `read_after` does.

    A log from before there were any has no rows.
    """
    columns = ", ".join(FEEDBACK_COLUMNS)
    query = f"SELECT {columns} FROM feedback WHERE seq > ? ORDER BY seq"
    with _opened(path) as log:
        return list(_rows(log, "feedback", query, seq))


def find(path: Path, prediction_id: str) -> Row | None:
    """Find the record with `prediction_id` in the order of COLUMNS, or None."""
    query = f"SELECT {', '.join(COLUMNS)} FROM predictions WHERE prediction_id = ?"
    batches = f"""SELECT {_BATCH_COLUMNS} FROM batches
        WHERE prediction_id BETWEEN ? AND ? ORDER BY prediction_id DESC"""
    with _opened(path) as log:
        packed = _rows(log, "batches", batches, *batches_of(prediction_id))
        rows = chain(_rows(log, "predictions", query, prediction_id), _unpacked(packed))
        return next((row for row in rows if row[1] == prediction_id), None)


def last_seq(path: Path, table: str = "predictions") -> int:
    """The last sequence number of `predictions` or of `feedback`; 0 where there is none."""
    tables = ["feedback"] if table == "feedback" else ["predictions", "batches"]
    with _opened(path) as log:
        found = [row for name in tables for row in _rows(log, name, f"SELECT max(seq) FROM {name}")]
    return max((int(str(seq or 0)) for (seq,) in found), default=0)


def source_id(path: Path) -> str:
    """Name the file for watermarks: another file that gets its name is another source."""
    with _opened(path) as log:
        (number,) = log.execute("PRAGMA user_version").fetchone()
    return f"{path.name}:{number:08x}" if number else path.name


def _predictions(path: Path, seq: int, order: str) -> Iterator[Row]:
    query = f"SELECT {{}} FROM {{}} WHERE seq > ? ORDER BY seq {order}"
    with _opened(path) as log:
        # One snapshot for both: a batch above a record that is not seen yet would hide it.
        log.execute("BEGIN")
        rows = _rows(log, "predictions", query.format(", ".join(COLUMNS), "predictions"), seq)
        packed = _rows(log, "batches", query.format(_BATCH_COLUMNS, "batches"), seq)
        is_falling = order == "DESC"
        yield from merge(rows, _unpacked(packed, is_falling), key=itemgetter(0), reverse=is_falling)


def _unpacked(batches: Iterable[Row], is_falling: bool = False) -> Iterator[Row]:
    for last, *fields in batches:
        batch = Batch(*fields)  # type: ignore[arg-type]
        first = int(str(last)) - batch.n_rows + 1
        rows = [(seq, *record) for seq, record in enumerate(unpack([batch]), first)]
        yield from reversed(rows) if is_falling else rows


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    uri = f"{Path(path).absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=10, isolation_level=None)) as log:
            yield log
    except sqlite3.Error as error:
        raise failed(path, error) from error


def _rows(log: sqlite3.Connection, table: str, query: str, *values: object) -> Iterator[Row]:
    """Rows of the query; none where there is no such table."""
    there = "SELECT 1 FROM sqlite_master WHERE name = ?"
    if not log.execute(there, [table]).fetchone():
        return iter(())
    return iter(log.execute(query, values))
