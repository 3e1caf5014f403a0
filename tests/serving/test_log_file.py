"""The files of a log: one writer each, a successor when large or doubtful, never confused."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from retrue.serving import log_file
from retrue.serving.log_file import LogError
from retrue.serving.log_reading import find, last_seq, read_after, read_feedback_after, source_id
from retrue.serving.predictions import PredictionLog
from tests.serving.test_prediction_log import records

Begin = Callable[[str], PredictionLog]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Open logs whose threads end with the test."""
    with ExitStack() as opened:
        yield lambda name: opened.enter_context(closing(PredictionLog(tmp_path / name)))


def test_a_second_writer_of_a_file_is_refused(begin: Begin, tmp_path: Path) -> None:
    log = begin("log.sqlite")
    with pytest.raises(LogError, match="another log is open on this file"):
        PredictionLog(log.path)
    asyncio.run(log.append(records(0, 1)))
    log.close()
    PredictionLog(log.path).close()
    assert last_seq(log.path) == 1


def test_a_large_file_is_followed_by_the_next_and_can_be_read_alone(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "_FILE_BYTES", 4096)
    log = begin("1-n.sqlite")

    async def write() -> None:
        for start in range(0, 900, 300):
            await log.append(records(start, 300))

    asyncio.run(write())
    files = sorted(tmp_path.glob("*.sqlite"))
    # Its header makes even an empty file this large.
    names = ["1-n.1.sqlite", "1-n.2.sqlite", "1-n.3.sqlite", "1-n.sqlite"]
    assert [file.name for file in files] == names
    assert log.path == files[2]
    # All but the newest are whole, without a write-ahead log beside them.
    assert {file.name for file in tmp_path.glob("*-wal")} == {f"{log.path.name}-wal"}
    log.close()
    ids = [row[1] for file in files for row in read_after(file, 0)]
    assert sorted(map(str, ids)) == sorted(record.prediction_id for record in records(0, 900))
    assert len({source_id(file) for file in files}) == len(files)


def test_a_reader_does_not_hold_up_the_next_file(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "_FILE_BYTES", 1)
    log = begin("log.sqlite")
    asyncio.run(log.append(records(0, 1)))
    reader = sqlite3.connect(log.path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM predictions").fetchone()
    asyncio.run(asyncio.wait_for(log.append(records(1, 1)), timeout=3))  # SQLite's patience: 5 s
    reader.close()
    log.close()
    assert [row[1] for row in read_after(tmp_path / "log.1.sqlite", 0)] == ["id0"]
    assert [row[1] for row in read_after(tmp_path / "log.2.sqlite", 0)] == ["id1"]


class FailingSync(sqlite3.OperationalError):
    """What SQLite raises when the disk fails a sync."""

    sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC


def test_after_a_failed_sync_no_row_goes_to_that_file(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = begin("log.sqlite")
    write = log_file._write

    def fail(*_: object) -> None:
        monkeypatch.setattr(log_file, "_write", write)
        raise FailingSync("disk I/O error")

    async def append() -> None:
        await log.append(records(0, 1))
        monkeypatch.setattr(log_file, "_write", fail)
        with pytest.raises(LogError, match="disk I/O error"):
            await log.append(records(1, 1))
        await log.append(records(2, 1))

    asyncio.run(append())
    log.close()
    assert [row[1] for row in read_after(tmp_path / "log.sqlite", 0)] == ["id0"]
    assert [row[1] for row in read_after(tmp_path / "log.1.sqlite", 0)] == ["id2"]


def test_a_file_that_was_deleted_and_made_anew_is_another_source(
    begin: Begin, tmp_path: Path
) -> None:
    log = begin("log.sqlite")

    async def write() -> None:
        await log.append(records(0, 1))
        before = source_id(log.path)
        os.unlink(log.path)
        with pytest.raises(LogError, match="No such file"):
            await log.append(records(1, 1))
        await log.append(records(2, 1))
        assert source_id(log.path) != before

    asyncio.run(write())
    log.close()


def test_a_log_whose_server_was_killed_as_it_made_the_file_holds_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log.sqlite"
    log.touch()
    assert read_after(log, 0) == []
    assert read_feedback_after(log, 0) == []
    assert find(log, "id0") is None
    assert last_seq(log, "feedback") == 0
    assert source_id(log) == log.name
    PredictionLog(log).close()
    assert source_id(log) != log.name
