"""Source tables: pinned once each, batches in order of their names, hashes without order."""

import weakref
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrue import delta, delta_files, lake, tables
from retrue.refs import TablePin

T = TypeVar("T")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))


def batch(start: int, n: int = 5) -> pd.DataFrame:
    return pd.DataFrame(
        {"id": np.arange(start, start + n), "kind": pd.Categorical(["a", "b", None, "a", "b"][:n])}
    )


def pinned(frame: pd.DataFrame, delivered: str) -> TablePin:
    with tables.stored("p", "t", frame, ["id"], delivered) as pin:
        return pin()


def test_the_same_delivery_and_the_same_content_are_one_version() -> None:
    first = pinned(batch(0), "bytes 1")
    assert pinned(batch(0), "bytes 1") == first
    assert pinned(batch(0).iloc[::-1], "bytes 2") == first

    changed = batch(0)
    changed.loc[3, "kind"] = "b"
    second = pinned(changed, "bytes 3")
    assert second.version != first.version and second.sha256 != first.sha256
    assert pinned(batch(0), "bytes 1") == first


def test_a_table_that_is_not_pinned_leaves_nothing(tmp_path: Path) -> None:
    with tables.stored("p", "t", batch(0), ["id"], "bytes 1"):
        assert list(tmp_path.rglob("*.parquet"))

    assert not list(tmp_path.rglob("*.parquet"))


def test_a_table_pinned_meanwhile_by_another_run_is_found() -> None:
    with tables.stored("p", "t", batch(0), ["id"], "bytes 1") as pin:
        other = pinned(batch(0), "bytes 1")
        assert pin() == other


@pytest.mark.parametrize("is_known", [False, True])
def test_a_stored_table_is_not_held_until_it_is_pinned(is_known: bool) -> None:
    if is_known:
        pinned(batch(0), "bytes 1")
    frame = batch(0)
    gone = weakref.ref(frame)
    with ExitStack() as stack:
        pin = stack.enter_context(tables.stored("p", "t", frame, ["id"], "bytes 1"))
        del frame
        assert gone() is None
        assert pin().n_rows == 5


def test_rows_are_put_into_order_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta_files, "_GROUP_ROWS", 4)
    shuffled = batch(0, 5).iloc[[3, 1, 4, 0, 2]]
    whole = lake.write_version("q", batch(0), ["id"], "2024-01-01")

    ref = lake.write_version("p", shuffled, ["id"], "2024-01-01")

    assert ref.sha256 == whole.sha256
    pd.testing.assert_frame_equal(lake.read_version(ref, verify=True), batch(0))
    (file,) = ref.path.glob("*.parquet")
    found = pq.read_metadata(file)
    assert [found.row_group(i).num_rows for i in range(found.num_row_groups)] == [4, 1]


def test_a_batch_is_taken_in_once_and_read_in_order_of_its_name() -> None:
    tables.append("p", "t", batch(5), ["id"], "b", "2.csv")
    tables.append("p", "t", batch(0), ["id"], "a", "1.csv")
    pin = tables.append("p", "t", batch(0), ["id"], "a", "1.csv")

    assert tables.batches("p", "t") == {"a", "b"}
    assert pin == tables.newest("p", "t")
    assert pin.n_rows == 10
    (whole,) = tables.parts("p", "t", pin)
    assert whole["id"].tolist() == list(range(10))


def test_batches_have_one_hash_in_whatever_order_they_came() -> None:
    for at, order in (("t", (0, 5, 10)), ("u", (10, 0, 5))):
        for start in order:
            tables.append("p", at, batch(start), ["id"], str(start), f"{start:02d}")
    one, other = (tables.newest("p", at) for at in "tu")
    assert one is not None and other is not None
    assert one.sha256 == other.sha256


def test_parts_hold_whole_batches_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PART_ROWS", 11)
    for start in range(0, 25, 5):
        pin = tables.append("p", "t", batch(start), ["id"], str(start), f"{start:02d}")
    assert [len(part) for part in tables.parts("p", "t", pin)] == [10, 10, 5]


def test_a_version_in_parts_is_found_again_and_verifies(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [batch(0), batch(5).assign(kind=np.nan), batch(10)]
    ref = lake.write_parts("p", iter(parts), ["id"], "2024-01-01", dict)
    again = lake.write_parts("p", iter(parts), ["id"], "2024-01-01", dict)
    other = lake.write_parts("p", iter(parts[:2]), ["id"], "2024-01-01", dict)

    assert again == ref
    assert other.version == ref.version + 1
    assert lake.read_version(ref, verify=True)["id"].tolist() == list(range(15))
    assert len(list((ref.path).glob("*.parquet"))) == 5


def test_a_version_of_one_part_is_what_it_is_whole() -> None:
    whole = lake.write_version("p", batch(0), ["id"], "2024-01-01")
    assert lake.write_parts("p", iter([batch(0)]), ["id"], "2024-01-01", dict) == whole


def test_one_part_at_a_time_is_in_memory(tmp_path: Path) -> None:
    made: list[weakref.ref[object]] = []
    alive: list[int] = []

    def noted(make: Callable[[int], T], number: int) -> T:
        alive.append(sum(one() is not None for one in made))
        part = make(number)
        made.append(weakref.ref(part))
        return part

    numbers = range(0, 50, 5)
    frames = map(partial(noted, batch), numbers)
    lake.write_parts("p", frames, ["id"], "2024-01-01", dict)
    arrow = map(partial(noted, lambda n: pa.table({"id": [n]})), numbers)
    with delta.written(tmp_path / "t", arrow):
        pass

    assert alive == [0] * 20
