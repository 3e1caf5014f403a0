"""Many rows of a request are logged as one batch, and read as if each had been logged by itself."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.serving import log_reading
from retrue.serving.log_file import LogFile
from retrue.serving.log_reading import COLUMNS, find, last_seq, read_after, read_newest
from retrue.serving.packing import Logged, encode, make_entries, unpack
from retrue.serving.predictions import PredictionLog
from retrue.serving.records import Batch, Entries, Record, Row, batches_of, ids_of
from tests.serving.test_logged_rows import NUMBERS, TEXTS

ROWS = st.lists(
    st.tuples(NUMBERS, st.none() | TEXTS | st.booleans(), st.none() | TEXTS),
    min_size=1,
    max_size=40,
)


def entries_of(
    rows: Sequence[tuple[Any, ...]],
    last_score: float = 0.5,
    only: int | None = None,
    received_at_us: int = 10**15,
) -> Entries:
    """What is logged of the rows, or of one alone: two features, the last value is the time."""
    numbers = range(len(rows)) if only is None else [only]
    logged = Logged(
        ("a", "ü"),
        [[rows[number][at] for number in numbers] for at in (0, 1)],
        True,
        [rows[number][2] for number in numbers],
        [{"n": number} if number % 3 else None for number in numbers],
    )
    scores = [number / 7 if number < len(rows) - 1 else last_score for number in numbers]
    return make_entries(logged, scores, [1] * len(numbers), received_at_us, 3, "f" * 64)


def plain(records: Sequence[Record]) -> list[Record]:
    """Without what chance gives."""
    return [one._replace(prediction_id="") for one in records]


def some(n_rows: int) -> Entries:
    return entries_of([(float(n), "UA", "2013-01-01T05:00:00Z") for n in range(n_rows)])


@given(rows=ROWS)
def test_a_batch_holds_what_records_of_its_rows_would_hold(rows: list[tuple[Any, ...]]) -> None:
    together = entries_of(rows)
    alone = [one for number in range(len(rows)) for one in unpack(entries_of(rows, only=number))]
    assert plain(list(unpack(together))) == plain(alone)
    assert [one.prediction_id for one in unpack(together)] == ids_of(together)


def test_ids_of_a_batch_are_distinct_as_long_as_others_and_in_order() -> None:
    ids = ids_of(some(10_000))
    assert len(set(ids)) == 10_000
    assert {len(one) for one in ids} == {len(ids_of(some(1))[0])}


def test_a_huge_request_becomes_several_batches() -> None:
    entries = some(10_000)
    assert [type(one) for one in entries] == [Batch] * 3
    assert [one.row for one in unpack(entries)][-1] == '{"a":9999.0,"ü":"UA"}'


def test_scores_that_json_cannot_hold_are_never_packed() -> None:
    entries = entries_of([(1.0, "UA", None)] * 40, float("nan"))
    assert {type(one) for one in entries} == {Row}
    assert {type(one) for one in encode(cast("list[Row]", entries))} == {Record}


TIMES_US = st.lists(st.integers(0, 3 * 10**6), min_size=8, max_size=40)


@given(rows=ROWS, times_us=TIMES_US)
def test_a_commit_of_many_requests_is_packed_and_each_row_is_found(
    rows: list[tuple[Any, ...]], times_us: list[int]
) -> None:
    """Also when the clock is set back between them."""
    received = [10**15 + time_us for time_us in times_us]
    handed_in = [
        cast("Row", entries_of(rows, only=number % len(rows), received_at_us=at_us)[0])
        for number, at_us in enumerate(received)
    ]
    expected = unpack(handed_in)
    encoded = encode(handed_in)
    numbers = [value for row in rows for value in row[:2] if isinstance(value, int)]
    if all(-(2**63) <= number < 2**64 for number in numbers):  # as MessagePack holds them
        assert {type(one) for one in encoded} == {Batch}
    for one in encoded:
        for record in unpack([one]) if isinstance(one, Batch) else [one]:
            least, greatest = batches_of(record.prediction_id)
            assert least <= one.prediction_id <= greatest
            assert record == next(expected)
    assert next(expected, None) is None


def test_few_rows_of_a_commit_stay_by_themselves() -> None:
    assert {type(one) for one in encode(cast("list[Row]", some(7)))} == {Record}


def test_every_row_of_shared_commits_is_found(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.sqlite")
    # Larger requests come between.
    groups = [some(1) for _ in range(20)] + [some(30)] + [some(2) for _ in range(20)]

    async def write() -> None:
        await asyncio.gather(*map(log.append, groups))

    asyncio.run(write())
    log.close()
    with closing(sqlite3.connect(log.path)) as file:
        assert file.execute("SELECT count(*) FROM predictions").fetchone() == (0,)
    written = read_after(log.path, 0)
    assert {row[1] for row in written} == {one for group in groups for one in ids_of(group)}
    assert [find(log.path, str(row[1])) for row in written] == written


def test_records_and_batches_share_one_count_and_are_read_in_its_order(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.sqlite")
    groups = [some(n_rows) for n_rows in (1, 20, 3, 5_000, 2)]

    async def write() -> None:
        for group in groups[:3]:
            await log.append(group)
        await asyncio.gather(*map(log.append, groups[3:]))

    asyncio.run(write())
    log.close()
    ids = {one for group in groups for one in ids_of(group)}
    written = read_after(log.path, 0)
    assert [row[0] for row in written] == list(range(1, 5_027))
    assert {row[1] for row in written} == ids
    assert len(written[0]) == len(COLUMNS)
    assert last_seq(log.path) == 5_026
    # A limit or a watermark may fall anywhere, into a batch too.
    for after in (0, 1, 5, 20, 21, 25, 4_100, 5_025, 5_026):
        for limit in (1, 3, 30, 4_500):
            assert read_after(log.path, after, limit) == written[after : after + limit]
    assert read_newest(log.path, 4_999) == written[::-1][:4_999]
    for row in (written[0], written[7], written[20], written[-1]):
        assert find(log.path, str(row[1])) == row
    for unknown in ("", "none", str(written[7][1])[:-3] + "fff", str(written[7][1])[:-3]):
        assert find(log.path, unknown) is None


def test_the_count_goes_on_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        log = PredictionLog(tmp_path / "log.sqlite")
        asyncio.run(log.append(some(2)))
        asyncio.run(log.append(some(20)))
        log.close()
    assert [row[0] for row in read_after(tmp_path / "log.sqlite", 0)] == list(range(1, 45))


def test_a_file_from_before_there_were_batches_is_read_and_continued(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    log = PredictionLog(path)
    asyncio.run(log.append(some(2)))
    log.close()
    with sqlite3.connect(path) as old:
        old.execute("DROP TABLE batches")
    old.close()
    assert [row[0] for row in read_after(path, 0)] == [1, 2]
    assert last_seq(path) == 2
    assert find(path, "none") is None
    log = PredictionLog(path)
    asyncio.run(log.append(some(20)))
    log.close()
    assert [row[0] for row in read_after(path, 0)] == list(range(1, 23))


def test_a_reader_never_passes_a_record_that_is_committed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch above a record that the same look did not see would hide it from the next one."""
    file = LogFile(tmp_path / "log.sqlite")
    file.commit([some(1)])

    def meanwhile(log: sqlite3.Connection, table: str, *rest: Any) -> Iterator[log_reading.Row]:
        found = rows_of(log, table, *rest)
        if table == "predictions":
            file.commit([some(1)])
            file.commit([some(20)])
        return found

    rows_of = log_reading._rows
    monkeypatch.setattr(log_reading, "_rows", meanwhile)
    found = [row[0] for row in read_after(file.path, 1)]
    file.close()
    assert found == list(range(2, 2 + len(found)))
