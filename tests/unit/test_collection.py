"""Collecting: each row and each label once, wherever the collector is killed."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from retrue import delta, monitoring, prediction_logs
from retrue.errors import RetrueError
from retrue.home import lake_dir
from retrue.labelling.labels import LABELS
from retrue.prediction_table import PREDICTIONS, newest_event
from retrue.serving.predictions import PredictionLog
from retrue.serving.records import Feedback, Record

NOW = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with nothing in it but a place for logs."""
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))
    prediction_logs.folder("p").mkdir(parents=True)
    return tmp_path / "home"


def write(name: str, start: int, n_rows: int, *, event_time: str = "2024-02-01T00:00:00Z") -> None:
    """Predictions and a late label for each, as a server logs them that then ends."""
    write_as("p", name, start, n_rows, event_time=event_time)


def write_as(
    problem: str,
    name: str,
    start: int,
    n_rows: int,
    *,
    event_time: str,
    received_at_us: int = 0,
) -> None:
    """As `write`, for any problem and time."""
    rows = [
        Record(
            prediction_id=f"id{i}",
            received_at_us=received_at_us + i,
            event_time=event_time,
            key=f'{{"k":{i}}}',
            row="{}",
            score=0.5,
            decision=1,
            model_version=1,
            bundle_sha256="f" * 64,
        )
        for i in range(start, start + n_rows)
    ]
    labels = [Feedback(0, None, row.prediction_id, "1", None) for row in rows]
    with closing(PredictionLog(prediction_logs.folder(problem) / name)) as log:

        async def append() -> None:
            await log.append(rows)
            await log.append(labels)

        asyncio.run(append())


def collected() -> tuple[list[str], list[str]]:
    """Ids in the lake, and keys of labels there, both sorted."""
    ids = delta.read_rows(lake_dir("p") / "predictions", PREDICTIONS)["prediction_id"].to_pylist()
    keys = delta.read_rows(lake_dir("p") / "labels", LABELS)["key"].to_pylist()
    return sorted(ids), sorted(keys)


def expected(*numbers: int) -> tuple[list[str], list[str]]:
    """What has to be there, of predictions and labels with these numbers."""
    return sorted(f"id{i}" for i in numbers), sorted(f'{{"k":{i}}}' for i in numbers)


CUT_OFF = """
import os, signal, sys
from retrue import monitoring

WATCHED = ("/monitoring.py", "/delta.py", "/delta_sync.py", "/prediction_table.py", "/labelling/")

def killed_at(step, tell):
    n = 0
    def count(frame, event, _):
        nonlocal n
        if not any(part in frame.f_code.co_filename for part in WATCHED):
            return None
        frame.f_trace_lines = False
        n += 1
        if n == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return count
    sys.settrace(count)
    monitoring.collect("p")
    sys.settrace(None)
    tell(n)

for line in sys.stdin:
    os.environ["RETRUE_HOME"], step = line.split()
    pid = os.fork()
    if pid == 0:
        killed_at(int(step), lambda n: print(n, flush=True))
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL:
        print("killed", flush=True)
"""


def test_a_collector_killed_on_its_way_leaves_each_row_and_label_once(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("1-a.sqlite", 0, 3)
    monitoring.collect("p", NOW)
    write("1-a.sqlite", 3, 2)
    write("2-b.sqlite", 5, 4)
    # It imports once and forks; each call and return of a function is a place to be killed at.
    zygote = subprocess.Popen(
        [sys.executable, "-c", CUT_OFF], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def collect_until(step: int) -> str:
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        copy = tmp_path / f"home-{step}"
        shutil.copytree(home, copy)
        monkeypatch.setenv("RETRUE_HOME", str(copy))
        zygote.stdin.write(f"{copy} {step}\n")
        zygote.stdin.flush()
        return zygote.stdout.readline().strip()

    with zygote:
        n_steps = int(collect_until(0))
        assert collected() == expected(*range(9))
        partly = set()
        for step in range(1, n_steps + 1, n_steps // 30):
            assert collect_until(step) == "killed"
            partly.add(tuple(map(len, collected())))
            monitoring.collect("p", NOW)
            assert collected() == expected(*range(9)), f"killed at step {step} of {n_steps}"
            assert monitoring.collect("p", NOW) == 0
    # Killed before the first commit, between all of them, and after the last.
    assert partly == {(3, 3), (5, 3), (9, 3), (9, 5), (9, 9)}


def test_a_log_made_anew_under_an_old_name_is_collected_from_its_beginning() -> None:
    write("1-a.sqlite", 0, 5)
    assert monitoring.collect("p", NOW) == 5
    (prediction_logs.folder("p") / "1-a.sqlite").unlink()
    write("1-a.sqlite", 5, 3)
    assert monitoring.collect("p", NOW) == 3
    assert collected() == expected(*range(8))


def test_many_rows_come_in_several_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "_BATCH_ROWS", 4)
    write("1-a.sqlite", 0, 10)
    assert monitoring.collect("p", NOW) == 10
    assert collected() == expected(*range(10))
    assert len(list((lake_dir("p") / "predictions").glob("*.parquet"))) == 3


def test_an_event_time_that_pandas_cannot_hold_stops_nothing() -> None:
    write("1-a.sqlite", 0, 1, event_time="9999-12-31T23:59:59.999999Z")
    write("1-b.sqlite", 1, 1, event_time="0001-01-01T00:00:00Z")
    write("1-c.sqlite", 2, 1, event_time="2024-02-01T06:07:08.000009Z")
    assert monitoring.collect("p", NOW) == 3
    assert newest_event("p") == datetime(2024, 2, 1, 6, 7, 8, 9, UTC)
    table = delta.read_rows(lake_dir("p") / "predictions", PREDICTIONS)
    assert {row["log"]: row["event_time"] for row in table.to_pylist()} == {
        "1-a.sqlite": datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        "1-b.sqlite": datetime(1, 1, 1, tzinfo=UTC),
        "1-c.sqlite": datetime(2024, 2, 1, 6, 7, 8, 9, UTC),
    }


def test_a_damaged_log_is_named_and_the_others_are_collected() -> None:
    write("1-a.sqlite", 0, 2)
    (prediction_logs.folder("p") / "1-b.sqlite").write_text("no database" * 100)
    write("1-c.sqlite", 2, 2)
    with pytest.raises(RetrueError, match=r"1-b\.sqlite.*not a database"):
        monitoring.collect("p", NOW)
    assert collected() == expected(*range(4))


def test_a_table_from_before_logs_were_named_takes_new_rows() -> None:
    old = PREDICTIONS.remove(PREDICTIONS.get_field_index("log"))
    write("1-a.sqlite", 0, 2)
    monitoring.collect("p", NOW)
    frame = delta.read_rows(lake_dir("p") / "predictions", PREDICTIONS).drop(["log"]).to_pandas()
    shutil.rmtree(lake_dir("p") / "predictions")
    delta.append(lake_dir("p") / "predictions", frame, old, "1-a.sqlite", 2)
    # As the server of that time left its log: without a number of its own.
    with closing(sqlite3.connect(prediction_logs.folder("p") / "1-a.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 0")
    write("1-b.sqlite", 2, 2)
    assert monitoring.collect("p", NOW) == 2
    table = delta.read_rows(lake_dir("p") / "predictions", PREDICTIONS)
    assert sorted(
        zip(table["prediction_id"].to_pylist(), table["log"].to_pylist(), strict=True)
    ) == [
        ("id0", None),
        ("id1", None),
        ("id2", "1-b.sqlite"),
        ("id3", "1-b.sqlite"),
    ]
