"""What changed between two versions is named exactly: columns, rows, cells."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrue import lake
from retrue.data_diff import Diff, diff
from retrue.refs import DataRef


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path))


def table(n: int) -> pd.DataFrame:
    at = np.arange(n)
    return pd.DataFrame(
        {
            "id": at,
            "x": np.where(at % 7 == 0, np.nan, at / 3),
            "n": at % 5,
            "s": pd.Categorical([("a", "b", None)[i % 3] for i in range(n)]),
            "t": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(at, "h"),
            "b": at % 2 == 0,
        }
    ).astype({"t": "datetime64[us, UTC]"})


def write(frame: pd.DataFrame, *key: str, **meta: object) -> DataRef:
    return lake.write_version("p", frame, key, "2024-02-01", meta)


def compare(a: pd.DataFrame, b: pd.DataFrame, *key: str, limit: int = 20) -> Diff:
    return diff(write(a, *key), write(b, *key), limit)


def test_one_cell_of_row_10001_changes_the_hash_and_is_named() -> None:
    before = table(12_000)
    after = before.copy()
    after["x"] = after["x"].where(after["id"] != 10_001, after["x"] + 1e-9)
    refs = write(before, "id"), write(after, "id")

    found = diff(*refs)

    assert refs[0].sha256 != refs[1].sha256
    (cell,) = found.cells
    assert (cell.key, cell.column) == ('{"id": 10001}', "x")
    assert float(cell.new) == after.loc[10_001, "x"] != float(cell.old) == before.loc[10_001, "x"]
    assert (found.n_added, found.n_removed, found.n_changed, found.n_same) == (0, 0, 1, 11_999)
    assert found.changed_columns == {"x": 1}
    assert [one.column for one in found.shifts] == ["x"]
    assert not found.is_empty


@pytest.mark.parametrize(
    ("column", "value", "old", "new"),
    [
        ("x", np.nan, "1.0", "null"),
        ("s", None, '"b"', "null"),
        ("s", "new", '"b"', '"new"'),
        ("t", pd.Timestamp("2030-01-01", tz="UTC"), '"2024-01-01T03:00:00+00:00"', None),
        ("b", True, "false", "true"),
        ("n", -3, "3", "-3"),
    ],
)
def test_a_cell_of_each_kind_is_told_before_and_after(
    column: str, value: object, old: str, new: str | None
) -> None:
    before, after = table(10), table(10)
    before.loc[3, "s"] = "b"
    after["s"] = after["s"].cat.add_categories("new")
    after.loc[3, "s"] = "b"
    after.loc[3, column] = value  # type: ignore[call-overload]

    (cell,) = compare(before, after, "id").cells

    assert (cell.column, cell.old) == (column, old)
    assert cell.new == (new or '"2030-01-01T00:00:00+00:00"')


def test_minus_zero_is_another_value() -> None:
    frame = pd.DataFrame({"id": [1], "x": [0.0]})

    (cell,) = compare(frame, frame.assign(x=-0.0), "id").cells

    assert (cell.old, cell.new) == ("0.0", "-0.0")


def test_the_same_version_has_no_difference() -> None:
    ref = write(table(50), "id")

    assert diff(ref, ref).is_empty
    assert diff(ref, ref).shifts == ()


def test_rows_that_came_and_went_are_counted_and_the_first_told() -> None:
    frame = table(30)
    found = compare(frame[3:], frame[:25].iloc[::-1], "id", limit=2)

    assert (found.n_added, found.n_removed, found.n_same) == (3, 5, 22)
    assert found.added == ('{"id": 0}', '{"id": 1}')
    assert found.removed == ('{"id": 25}', '{"id": 26}')
    assert {one.column for one in found.shifts} == set(frame.columns)


def test_columns_that_came_went_and_changed_their_kind() -> None:
    before = table(6)
    after = before.drop(columns="b").assign(
        n=before["n"].astype(float), x=pd.Categorical(list("abcdef")), new=1
    )
    after.loc[2, "n"] = 2.5

    found = compare(before, after, "id")

    assert (found.added_columns, found.removed_columns) == (("new",), ("b",))
    assert found.retyped_columns == {
        "n": ("whole number", "number"),
        "x": ("number", "text"),
    }
    assert found.changed_columns == {"n": 1}  # whole numbers are compared, text and numbers not
    assert (found.cells[0].old, found.cells[0].new) == ("2", "2.5")


def test_repeated_keys_are_matched_one_by_one() -> None:
    before = pd.DataFrame({"id": [1, 1, 2], "x": [0.5, 0.7, 0.9]})
    after = pd.DataFrame({"id": [1, 1, 1, 2], "x": [0.5, 0.7, 0.8, 0.9]})

    found = compare(before, after, "id")

    assert (found.n_added, found.n_removed, found.n_changed, found.n_same) == (1, 0, 0, 3)


def test_without_a_key_rows_are_a_multiset() -> None:
    before = pd.DataFrame({"x": [1.0, 1.0, np.nan], "s": pd.Categorical(["a", "a", None])})
    after = pd.DataFrame({"x": [1.0, np.nan, np.nan], "s": pd.Categorical(["a", None, "a"])})

    found = compare(before, after)

    assert (found.n_added, found.n_removed, found.n_changed, found.n_same) == (1, 1, 0, 2)
    assert json.loads(found.added[0]) == {"x": None, "s": "a"}
    assert json.loads(found.removed[0]) == {"x": 1.0, "s": "a"}
    assert found.key == ()


def test_a_version_without_rows() -> None:
    found = compare(table(5), table(5)[:0], "id")

    assert (found.n_removed, found.n_same) == (5, 0)
    assert all(one.psi is None for one in found.shifts)


def test_sources_pinned_at_other_contents_are_named() -> None:
    pin = {"version": 0, "sha256": "0f", "n_rows": 1}
    before = write(table(3), "id", tables={"a": pin, "b": pin})
    after = write(table(4), "id", tables={"a": pin, "b": {**pin, "sha256": "1f"}, "c": pin})

    assert diff(before, after).changed_tables == ("b", "c")


rows = st.dictionaries(
    st.integers(0, 12), st.tuples(st.sampled_from([0.0, 1.5, np.nan]), st.sampled_from("ab")),
    max_size=12,
)  # fmt: skip


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows, rows)
def test_any_two_tables_are_told_apart_as_a_dictionary_would(
    a: dict[int, tuple[float, str]], b: dict[int, tuple[float, str]]
) -> None:
    def frame(of: dict[int, tuple[float, str]]) -> pd.DataFrame:
        table = pd.DataFrame(
            [(key, *row) for key, row in of.items()], columns=["id", "x", "s"]
        ).astype({"id": "int64", "x": float})
        return table.assign(s=pd.Categorical(table["s"], ["a", "b"]))

    found = compare(frame(a), frame(b), "id", limit=100)

    same = {key for key in a if key in b and repr(a[key]) == repr(b[key])}
    assert (found.n_added, found.n_removed) == (len(b.keys() - a), len(a.keys() - b))
    assert found.n_same == len(same)
    assert found.n_changed == len((a.keys() & b.keys()) - same)
    assert [json.loads(one)["id"] for one in found.added] == sorted(b.keys() - a)
    changed = [json.loads(cell.key)["id"] for cell in found.cells]
    assert changed == sorted(changed)
    assert set(changed) == (a.keys() & b.keys()) - same
