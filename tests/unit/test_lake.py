"""What is in the lake is there once and whole, wherever a writer was killed."""

import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retrue import lake
from retrue.errors import DataError
from retrue.prediction_table import PREDICTIONS
from retrue.refs import DataRef

FRAME = pd.DataFrame(
    {
        "id": [2, 1, 3],
        "x": [0.5, np.nan, -0.0],
        "s": pd.Categorical(["b", None, "a"], categories=["z", "b", "a"]),
        "t": pd.to_datetime(["2024-01-02", "2024-01-01", "NaT"], utc=True).astype(
            "datetime64[us, UTC]"
        ),
        "local": pd.to_datetime(["2024-01-02", "NaT", "2024-01-01"]).astype("datetime64[us]"),
        "empty": pd.Series([None, None, None], dtype="category"),
    }
)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path))


def write(frame: pd.DataFrame = FRAME, until: str = "2024-02-01") -> DataRef:
    return lake.write_version("p", frame, ["id"], until, {"sources_sha256": {"a": "0f"}})


def test_a_version_is_read_back_exactly_and_in_order_of_its_key() -> None:
    ref = write()

    frame = lake.read_version(ref, verify=True)

    assert (ref.version, ref.n_rows, ref.until) == (0, 3, "2024-02-01")
    assert frame["id"].tolist() == [1, 2, 3]
    assert np.signbit(frame["x"][2])
    assert np.isnan(frame["x"][0])
    assert frame["s"].cat.categories.tolist() == ["a", "b"]
    assert frame.dtypes.drop(["s", "empty"]).equals(FRAME.dtypes.drop(["s", "empty"]))
    assert lake.read_version(ref, columns=["x", "id"]).columns.tolist() == ["x", "id"]


def test_the_commit_says_where_the_data_came_from() -> None:
    ref = write()

    assert lake.version_meta(ref) == {
        "sources_sha256": {"a": "0f"},
        "sha256": ref.sha256,
        "until": "2024-02-01",
        "n_rows": 3,
        "key": ["id"],
    }


def test_the_same_content_is_the_same_version() -> None:
    first = write()
    other = write(FRAME.assign(x=1.0))

    assert write(FRAME.iloc[::-1]) == first
    assert other.version == 1
    assert write(until="2024-03-01").version == 2
    assert [ref.version for ref in lake.list_versions("p")] == [0, 1, 2]
    assert lake.latest_version("p") == lake.list_versions("p")[-1]


def test_earlier_versions_stay_readable_when_columns_change() -> None:
    first = write()
    second = write(FRAME.drop(columns="x").assign(y="new"))

    assert "x" in lake.read_version(first, verify=True)
    assert lake.read_version(second, verify=True)["y"].tolist() == ["new"] * 3


def test_an_empty_lake_has_no_versions() -> None:
    assert lake.latest_version("p") is None
    assert lake.list_versions("p") == []
    assert lake.read_quarantine("p").empty


def test_a_version_that_is_not_there_is_refused() -> None:
    ref = write()

    with pytest.raises(DataError, match="version 7: expected a data version"):
        lake.read_version(ref.model_copy(update={"version": 7}))
    with pytest.raises(DataError, match="expected the column zz, found columns id, x"):
        lake.read_version(ref, columns=["zz"])


def test_a_damaged_file_is_refused() -> None:
    ref = write()
    file = next(ref.path.glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-20])

    with pytest.raises(DataError, match="a readable data version"):
        lake.read_version(ref)
    file.unlink()
    with pytest.raises(DataError, match="a readable data version"):
        lake.read_version(ref)


def test_changed_content_is_found_when_asked() -> None:
    ref = write()
    other = write(FRAME.assign(id=[4, 5, 6]))
    files = [data_file(ref), data_file(other)]
    files[0].write_bytes(files[1].read_bytes())

    lake.read_version(ref)
    with pytest.raises(DataError, match=f"expected content {ref.sha256}"):
        lake.read_version(ref, verify=True)


def data_file(ref: DataRef) -> Path:
    from deltalake import DeltaTable

    return Path(DeltaTable(ref.path, version=ref.version).file_uris()[0])


def fault(fault_id: str) -> dict[str, object]:
    return dict.fromkeys(lake.QUARANTINE.names, "-") | {"fault_id": fault_id, "source_row": 7}


def test_a_fault_is_quarantined_once() -> None:
    assert lake.append_quarantine("p", pd.DataFrame([fault("a"), fault("b"), fault("a")])) == 2
    assert lake.append_quarantine("p", pd.DataFrame([fault("b"), fault("c")])) == 1
    assert lake.append_quarantine("p", pd.DataFrame([fault("b")])[:0]) == 0

    assert sorted(lake.read_quarantine("p")["fault_id"]) == ["a", "b", "c"]


def predictions(*ids: int) -> pd.DataFrame:
    times = pd.to_datetime([f"2024-01-{i:02d}T12:00:00Z" for i in ids], utc=True)
    return pd.DataFrame(
        {
            "prediction_id": [f"id-{i}" for i in ids],
            "received_at_us": [i * 1_000_000 for i in ids],
            "event_time": times,
            "key": '{"id": 1}',
            "row": '{"x": null}',
            "score": 0.25,
            "decision": 1,
            "model_version": 3,
            "bundle_sha256": "ab",
        }
    )


def test_predictions_arrive_once_and_are_read_by_event_time() -> None:
    assert lake.predictions_watermark("p", "log") == 0
    assert lake.append_predictions("p", "log", 2, predictions(2, 1), after=0)
    assert not lake.append_predictions("p", "log", 2, predictions(2, 1))
    assert not lake.append_predictions("p", "log", 3, predictions(1, 2, 3), after=0)
    assert lake.append_predictions("p", "log", 3, predictions(3), after=2)
    assert lake.append_predictions("p", "other", 1, predictions(4), after=0)

    assert lake.predictions_watermark("p", "log") == 3
    start, end = datetime(2024, 1, 1, 12, tzinfo=UTC), datetime(2024, 1, 4, 12, tzinfo=UTC)
    read = lake.read_predictions("p", start, end)
    assert read["prediction_id"].tolist() == ["id-1", "id-2", "id-3"]
    assert read["event_time"].dtype == "datetime64[us, UTC]"
    assert read.columns.tolist() == PREDICTIONS.names


def test_no_predictions_are_an_empty_table() -> None:
    start, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 4, tzinfo=UTC)

    assert lake.read_predictions("p", start, end).columns.tolist() == PREDICTIONS.names


KILLED = """
import os, signal, sys
sys.path.insert(0, {here!r})
from retrue import delta
import test_lake as t
def dying(commit):
    def die(*args, **kwargs):
        if {moment!r} == "after":
            commit(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    return die
delta._commit = dying(delta._commit)
{act}
"""


def run_and_kill(moment: str, act: str) -> None:
    script = KILLED.format(here=str(Path(__file__).parent), moment=moment, act=act)
    done = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_writer_leaves_one_version(moment: str) -> None:
    run_and_kill(moment, "t.write()")

    ref = write()

    assert lake.list_versions("p") == [ref]
    assert ref.version == 0
    lake.read_version(ref, verify=True)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_sync_leaves_each_prediction_once(moment: str) -> None:
    run_and_kill(moment, "t.lake.append_predictions('p', 'log', 2, t.predictions(1, 2))")

    lake.append_predictions("p", "log", 2, predictions(1, 2))

    start, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 4, tzinfo=UTC)
    assert len(lake.read_predictions("p", start, end)) == 2


SLOW = """
import sys, time
sys.path.insert(0, {here!r})
from retrue import delta
import test_lake as t
commit = delta._commit
def late(*args, **kwargs):
    time.sleep(1.5)
    commit(*args, **kwargs)
delta._commit = late
t.write()
"""


def test_two_writers_of_the_same_content_make_one_version() -> None:
    here = str(Path(__file__).parent)
    script = SLOW.format(here=here)
    writers = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]

    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert len(lake.list_versions("p")) == 1
