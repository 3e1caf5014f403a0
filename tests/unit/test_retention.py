"""Retention: nothing goes that was not collected, whose server lives, or that a check may need."""

import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retrue import ledger, monitoring, prediction_logs, retention
from retrue.config_serving import Retention
from retrue.home import lake_dir
from retrue.ledger import Ledger
from retrue.prediction_table import read_predictions
from retrue.serving.predictions import PredictionLog
from tests.unit.late_labels import make_problem
from tests.unit.test_collection import write_as

EVER = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the servers of `visits` write their logs."""
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))
    place = prediction_logs.folder("visits")
    place.mkdir(parents=True)
    return place


@pytest.fixture
def book() -> Ledger:
    """A real ledger."""
    return ledger.connect()


def write(name: str, start: int, n_rows: int, day: int) -> None:
    """Rows of a day of May 2024, answered on it, by a server that ended an hour ago."""
    moment = datetime(2024, 5, day, tzinfo=UTC)
    write_as(
        "visits",
        name,
        start,
        n_rows,
        event_time=f"2024-05-{day:02d}T00:00:00Z",
        received_at_us=int(moment.timestamp() * 1e6),
    )
    make_old(prediction_logs.folder("visits") / name)


def make_old(file: Path) -> None:
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    os.utime(file, (an_hour_ago.timestamp(),) * 2)


def retain(book: Ledger, **keep: float) -> retention.Retained:
    problem = make_problem().model_copy(update={"retention": Retention(**keep)})
    return retention.retain(problem, book, NOW)


def days_left() -> list[int]:
    return sorted({moment.day for moment in read_predictions("visits", *EVER)["event_time"]})


def decide(book: Ledger, start: str, end: str, verdict: str) -> None:
    ledger.record_check(book, "visits", 1, start, end, verdict=verdict, report_json="{}")  # type: ignore[arg-type]


def test_by_default_everything_is_kept(folder: Path, book: Ledger) -> None:
    write("1-a.sqlite", 0, 3, day=1)
    monitoring.collect("visits")
    decide(book, "2024-04-01", "2024-05-02", "no drift")
    left = retain(book)
    assert (left.n_logs, left.n_rows, left.is_over) == (0, 0, False)
    assert left.size_bytes > 0
    assert [log.name for log in folder.glob("*.sqlite")] == ["1-a.sqlite"]
    assert days_left() == [1]


def test_a_log_goes_when_all_of_it_is_in_the_lake_and_its_server_is_gone(
    folder: Path, book: Ledger
) -> None:
    write("1-collected.sqlite", 0, 3, day=1)
    write("1-growing.sqlite", 3, 3, day=1)
    write("1-open.sqlite", 8, 1, day=1)
    monitoring.collect("visits")
    write("1-growing.sqlite", 6, 1, day=1)
    write("1-new.sqlite", 7, 1, day=1)
    (folder / "1-killed.sqlite-wal").touch()
    with closing(PredictionLog(folder / "1-open.sqlite")):
        for file in folder.glob("1-open.sqlite*"):
            make_old(file)
        assert retain(book, log_days=0).n_logs == 1
    names = {file.name for file in folder.iterdir()} - {".lock"}
    assert names == {"1-growing.sqlite", "1-new.sqlite", "1-open.sqlite"}
    monitoring.collect("visits")
    assert retain(book, log_days=1).n_logs == 0  # they are an hour old
    assert len(read_predictions("visits", *EVER)) == 9


def test_a_log_whose_late_labels_wait_is_kept(folder: Path, book: Ledger) -> None:
    write("1-a.sqlite", 0, 3, day=1)
    monitoring._collect_log("visits", folder / "1-a.sqlite")
    assert retain(book, log_days=0).n_logs == 0
    monitoring.collect("visits")
    assert retain(book, log_days=0).n_logs == 1


def test_rows_go_by_age_but_never_those_of_a_window_that_is_not_decided(book: Ledger) -> None:
    for day in (1, 5, 10, 15):
        write("1-a.sqlite", 100 * day, 3, day=day)
    monitoring.collect("visits")
    # Nothing was ever decided: all may be asked for.
    assert retain(book, row_days=1).n_rows == 0
    problem = make_problem()
    drift = problem.drift.model_copy(update={"window_days": 2})
    narrow = problem.model_copy(update={"drift": drift, "retention": Retention(row_days=1)})
    decide(book, "2024-05-01", "2024-05-06", "no drift")
    decide(book, "2024-05-04", "2024-05-11", "cannot tell")
    assert retention.undecided_since(narrow, book).isoformat() == "2024-05-04"
    assert retention.retain(narrow, book, NOW).n_rows == 3
    assert days_left() == [5, 10, 15]
    decide(book, "2024-05-09", "2024-05-12", "drift")  # until a retraining has answered
    assert retention.undecided_since(narrow, book).isoformat() == "2024-05-09"
    claim = ledger.claim_retraining(book, "visits", ledger.checks(book, "visits")[-1].trigger_key)
    mine = claim.retraining
    ledger.finish_retraining(book, mine.id, mine.token, "refused", "{}")
    assert retention.undecided_since(narrow, book).isoformat() == "2024-05-12"
    late = narrow.label.model_copy(update={"known_after_days": 10})
    waiting = narrow.model_copy(update={"label": late})
    assert retention.undecided_since(waiting, book).isoformat() == "2024-05-04", "14th less 10 days"
    # By age, then: nothing that was answered in the last 22 days.
    young = narrow.model_copy(update={"retention": Retention(row_days=22.5)})
    assert retention.retain(young, book, NOW).n_rows == 3
    assert days_left() == [10, 15]
    assert retention.retain(narrow, book, NOW).n_rows == 3
    assert days_left() == [15]


def test_a_collected_row_that_was_deleted_does_not_come_back(book: Ledger) -> None:
    for day in (1, 25):
        write("1-a.sqlite", 100 * day, 3, day=day)
    monitoring.collect("visits")
    decide(book, "2024-04-01", "2024-05-26", "no drift")
    problem = make_problem()
    drift = problem.drift.model_copy(update={"window_days": 2})
    keep = Retention(row_days=10)
    narrow = problem.model_copy(update={"drift": drift, "retention": keep})
    assert retention.retain(narrow, book, NOW).n_rows == 3
    assert monitoring.collect("visits") == 0
    assert days_left() == [25]


def test_beyond_the_bound_logs_go_first_and_then_the_oldest_rows(
    folder: Path, book: Ledger
) -> None:
    for day in (1, 5, 10, 25):
        write(f"1-{day}.sqlite", 1000 * day, 500, day=day)
    monitoring.collect("visits")
    decide(book, "2024-04-01", "2024-05-26", "no drift")
    problem = make_problem()
    drift = problem.drift.model_copy(update={"window_days": 2})
    table = retention.sizes("visits")["rows_mb"]

    def bound(max_mb: float) -> retention.Retained:
        keep = Retention(max_mb=max_mb)
        changes = {"drift": drift, "retention": keep}
        return retention.retain(problem.model_copy(update=changes), book, NOW)

    found = bound(retention.sizes("visits")["logs_mb"])
    assert (found.n_rows, found.is_over) == (0, False)
    assert 1 <= found.n_logs < 4
    assert "1-25.sqlite" in {log.name for log in folder.glob("*.sqlite")}
    found = bound(max(table / 2, 0.001))
    assert found.n_rows >= 500
    assert 25 in days_left()
    assert 1 not in days_left()
    # What must be kept is kept, and it is said.
    found = bound(0.000001)
    assert found.is_over
    assert days_left() == [25]


def test_files_that_no_version_refers_to_are_removed(book: Ledger) -> None:
    write("1-a.sqlite", 0, 3, day=1)
    monitoring.collect("visits")
    table = lake_dir("visits") / "predictions"
    left_by_a_killed_writer = table / "00000001-000000-dead.parquet"
    left_by_a_killed_writer.write_bytes(b"half")
    long_ago = datetime.now(UTC) - timedelta(hours=3)
    os.utime(left_by_a_killed_writer, (long_ago.timestamp(),) * 2)
    retain(book)
    assert not left_by_a_killed_writer.exists()
    assert days_left() == [1]
    n_commits = len(list((table / "_delta_log").iterdir()))
    retain(book)
    assert len(list((table / "_delta_log").iterdir())) == n_commits
