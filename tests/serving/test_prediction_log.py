"""The log: durable, whole groups, and honest about faults."""

import asyncio
import sqlite3
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from retrue.serving import predictions
from retrue.serving.log_file import LogError
from retrue.serving.log_reading import COLUMNS, find, read_after, read_feedback_after
from retrue.serving.predictions import PredictionLog
from retrue.serving.records import Feedback, Record


def records(start: int, n_rows: int) -> list[Record]:
    """Distinct records."""
    return [
        Record(f"id{number}", number, "2013-01-01T00:00:00Z", None, "{}", 0.5, 0, 1, "f" * 64)
        for number in range(start, start + n_rows)
    ]


def test_records_can_be_read_as_soon_as_append_returns(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.sqlite")

    async def write() -> None:
        for n_rows in (1, 7, 512, 1500):
            before = len(read_after(log.path, 0))
            await log.append(records(before, n_rows))
            assert len(read_after(log.path, before)) == n_rows

    asyncio.run(write())
    log.close()
    written = read_after(log.path, 0)
    assert [row[0] for row in written] == list(range(1, 2021))
    assert [row[1] for row in written] == [record.prediction_id for record in records(0, 2020)]
    assert read_after(log.path, 2000, limit=3) == written[2000:2003]
    assert find(log.path, "id9") == written[9]
    assert find(log.path, "none") is None
    assert len(COLUMNS) == len(written[0])


def test_the_file_is_written_ahead_and_fully_synchronous(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.sqlite")
    connection = log._file._connection
    assert connection is not None
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    log.close()
    assert [file.name for file in tmp_path.iterdir()] == ["log.sqlite"]


def test_many_writers_share_commits_and_lose_nothing(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.sqlite")

    async def write() -> None:
        await asyncio.gather(*[log.append(records(5 * number, 5)) for number in range(400)])

    asyncio.run(write())
    log.close()
    assert sorted(row[2] for row in read_after(log.path, 0)) == list(range(2000))  # type: ignore[type-var]


def test_what_comes_in_turn_after_turn_shares_a_commit_but_none_waits_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    class Noted(SimpleQueue[Any]):
        def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
            sizes.append(len(item or ()))
            super().put(item, block, timeout)

    monkeypatch.setattr(predictions, "SimpleQueue", Noted)
    log = PredictionLog(tmp_path / "log.sqlite")

    async def write() -> None:
        waiting = []
        for number in range(100):
            waiting.append(log.submit(records(2 * number, 2)))
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)

    asyncio.run(write())
    log.close()
    assert sizes == [32, 32, 32, 4, 0]


def test_a_log_is_continued_after_a_restart(tmp_path: Path) -> None:
    for start in (0, 3):
        log = PredictionLog(tmp_path / "log.sqlite")
        asyncio.run(log.append(records(start, 3)))
        log.close()
    assert [row[0] for row in read_after(tmp_path / "log.sqlite", 0)] == [1, 2, 3, 4, 5, 6]


def test_a_group_that_cannot_be_written_fails_whole_and_the_next_is_taken(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.sqlite")

    async def write() -> None:
        await log.append(records(0, 1))
        with pytest.raises(LogError, match="UNIQUE"):
            await log.append(records(600, 600) + records(0, 1))
        await log.append(records(1, 1))

    asyncio.run(write())
    log.close()
    assert [row[1] for row in read_after(log.path, 0)] == ["id0", "id1"]


def test_a_fault_that_is_not_sqlites_fails_its_group_and_the_next_is_taken(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.sqlite")
    (odd,) = [one._replace(decision=2**70) for one in records(0, 1)]  # an OverflowError

    async def write() -> None:
        # Of two kinds, so that a transaction is open when it comes.
        labels = log.append([Feedback(1, None, "id1", "1", None)])
        found = await asyncio.gather(labels, log.append([odd]), return_exceptions=True)
        assert [type(one) for one in found] == [LogError, LogError]
        await log.append(records(1, 1))

    asyncio.run(write())
    log.close()
    assert [row[1] for row in read_after(log.path, 0)] == ["id1"]
    assert read_feedback_after(log.path, 0) == []


def test_a_deleted_file_is_noticed(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.sqlite")

    async def write() -> None:
        await log.append(records(0, 1))
        for file in tmp_path.iterdir():
            file.unlink()
        with pytest.raises(LogError):
            await log.append(records(1, 1))
        await log.append(records(2, 1))

    asyncio.run(write())
    log.close()
    assert [row[1] for row in read_after(log.path, 0)] == ["id2"]


def test_a_reader_does_not_stop_the_writer(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.sqlite")
    asyncio.run(log.append(records(0, 1)))
    reader = sqlite3.connect(log.path)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM predictions").fetchone() == (1,)
    asyncio.run(log.append(records(1, 1)))
    log.close()
    reader.close()
    assert len(read_after(log.path, 0)) == 2


def test_faults_of_files_are_reported(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="No such file"):
        PredictionLog(tmp_path / "nowhere" / "log.sqlite")
    with pytest.raises(LogError, match="unable to open"):
        read_after(tmp_path / "none.sqlite", 0)
    (tmp_path / "text.sqlite").write_text("no database" * 100)
    with pytest.raises(LogError, match="not a database"):
        read_after(tmp_path / "text.sqlite", 0)
