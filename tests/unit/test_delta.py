"""Delta tables: parts and batches are committed once, in order, or not at all."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pytest

from retrue import delta
from retrue.errors import DataError


def part(*ids: int, **columns: object) -> pa.Table:
    return pa.table({"id": list(ids), "s": pa.array([f"t{i}" for i in ids]), **columns})


def write(
    path: Path, parts: Iterable[pa.Table], meta: Mapping[str, object] = MappingProxyType({})
) -> None:
    with delta.written(path, parts) as files:
        delta.commit(files, meta)


def ids(path: Path, version: int) -> list[int]:
    found: list[int] = delta.read_table(path, version, ["id"])["id"].to_pylist()
    return found


def test_parts_are_one_version_and_come_back_in_order(tmp_path: Path) -> None:
    written: list[int] = []

    def parts() -> Iterator[pa.Table]:
        for i in range(12):
            written.append(i)
            yield part(2 * i, 2 * i + 1)

    with delta.written(tmp_path / "t", parts()) as files:
        delta.commit(files, {"n": len(written)})

    assert delta.commits(tmp_path / "t") == [(0, {"n": 12})]
    assert ids(tmp_path / "t", 0) == list(range(24))
    assert [len(one) for one in delta.read_parts(tmp_path / "t", 0)] == [2] * 12


def test_each_batch_is_appended_once_behind_the_others(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write(path, [part(0)], {"of": "the start"})
    for i in range(1, 12):
        assert delta.append_batch(path, part(i), f"sha-{i}", {"of": i})
        assert not delta.append_batch(path, part(i), f"sha-{i}", {"of": "again"})

    assert [meta["of"] for _, meta in delta.commits(path)] == ["the start", *range(1, 12)]
    assert ids(path, 11) == list(range(12))
    assert ids(path, 4) == list(range(5))
    assert delta.has_batch(path, "sha-3")
    assert not delta.has_batch(path, "sha-30")
    assert not delta.has_batch(tmp_path / "nothing", "sha-3")


def test_the_first_batch_makes_the_table(tmp_path: Path) -> None:
    assert delta.append_batch(tmp_path / "t", part(1), "a", {})
    assert delta.append_batch(tmp_path / "t", part(2), "b", {})
    assert ids(tmp_path / "t", 1) == [1, 2]


def test_a_version_that_failed_on_the_way_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write(path, [part(1)])
    files = sorted(path.rglob("*.parquet"))

    def parts() -> Iterator[pa.Table]:
        yield part(2)
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="the source is gone"):
        write(path, parts())
    with pytest.raises(DataError, match="at least one part, found none"):
        write(path, ())
    with pytest.raises(DataError, match="expected the columns id, s, found id, other"):
        write(path, [part(2), part(3).rename_columns(["id", "other"])])
    with delta.written(path, [part(2)]):
        pass  # somebody else committed the same meanwhile

    assert sorted(path.rglob("*.parquet")) == files
    assert [version for version, _ in delta.commits(path)] == [0]


def test_a_batch_of_another_kind_is_refused_and_of_a_near_kind_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write(path, [part(1, x=[2])])

    assert delta.append_batch(path, part(2, x=pa.array([None, 3.0][:1], pa.float64())), "a", {})
    with pytest.raises(DataError, match=r"t column x: expected int64, found double .*0.5"):
        delta.append_batch(path, part(3, x=[0.5]), "b", {})
    with pytest.raises(DataError, match="t column s: expected string, found int64"):
        delta.append_batch(path, pa.table({"id": [3], "s": [3], "x": [3]}), "c", {})

    assert delta.read_table(path, 1, ["x"])["x"].to_pylist() == [2, None]
    assert len(delta.commits(path)) == 2


def test_columns_may_change_from_version_to_version(tmp_path: Path) -> None:
    local = pa.array([0], pa.timestamp("ns"))
    versions = [part(1), part(1, t=local), part(1).drop_columns("s"), part(1, z=pa.nulls(1))]
    for table in versions:
        write(tmp_path / "t", [table])

    kept = [version for version, _ in delta.commits(tmp_path / "t")]
    assert [delta.column_names(tmp_path / "t", v) for v in kept] == [
        ["id", "s"],
        ["id", "s", "t"],
        ["id"],
        ["id", "s", "z"],
    ]
    assert delta.arrow_schema(tmp_path / "t", kept[1]).field("t").type == pa.timestamp("us")
    assert delta.read_table(tmp_path / "t", kept[0], None)["s"].to_pylist() == ["t1"]


def test_memory_does_not_grow_with_the_number_of_parts(tmp_path: Path) -> None:
    values = np.random.default_rng(7).normal(size=200_000)

    def peak(n: int) -> int:
        pool = pa.default_memory_pool()
        before, highest = pool.bytes_allocated(), 0

        def parts() -> Iterator[pa.Table]:
            nonlocal highest
            for _ in range(n):
                yield pa.table({"x": pa.array(values)})
                highest = max(highest, pool.bytes_allocated() - before)

        write(tmp_path / str(n), parts())
        return highest

    assert peak(12) < 2 * max(peak(3), values.nbytes)


def test_the_log_is_plain_json_that_other_readers_understand(tmp_path: Path) -> None:
    write(tmp_path / "t", [part(1, 2)], {"sha256": "0f"})

    log = (tmp_path / "t" / "_delta_log" / f"{0:020d}.json").read_text().splitlines()
    added = next(line["add"] for line in map(json.loads, log) if "add" in line)
    assert json.loads(added["stats"]) == {"numRecords": 2}
    assert added["path"].startswith("00000000-000000-")
