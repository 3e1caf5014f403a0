"""Faults say which row broke which rule, and are the same when they are met again."""

import json

import pandas as pd

from retrue.faults import fault_rows
from retrue.validation import Failure, Validation

TIMES = pd.to_datetime(["2024-01-02", "NaT", "2024-01-01T00:00:00.5"], format="ISO8601", utc=True)
FRAME = pd.DataFrame(
    {
        "id": [7, 8, 9],
        "x": [1.5, None, -0.0],
        "s": pd.Categorical(["a", None, 'quo"te']),
        "t": TIMES,
    },
    index=pd.Index([10, 20, 30]),
)


def failure(column: str | None, *rows: int, severity: str = "warning", bounds: str = "") -> Failure:
    return Failure("expect_it", column, severity, bounds, "seen", rows)  # type: ignore[arg-type]


def faults(*failures: Failure, key: tuple[str, ...] = ("id",)) -> pd.DataFrame:
    return fault_rows(Validation("t", 3, failures), FRAME, key)


def test_a_fault_has_key_value_row_and_place() -> None:
    found = faults(failure("x", 30, 20, bounds="min_value 1"), failure("s", 20))

    assert found["label"].tolist() == [30, 20, 20]
    assert found["source_row"].tolist() == [32, 22, 22]
    assert found["key"].tolist() == ['{"id": 9}', '{"id": 8}', '{"id": 8}']
    assert found["value"].tolist() == ["-0.0", "missing", "missing"]
    assert found["rule"].tolist() == ["expect_it (min_value 1)"] * 2 + ["expect_it ()"]
    assert found["reason"][0] == "x is -0.0; expect_it (min_value 1)"
    assert [json.loads(row) for row in found["row"]] == [
        {"id": 9, "x": 0.0, "s": 'quo"te', "t": "2024-01-01T00:00:00.500000+00:00"},
        {"id": 8, "x": None, "s": None, "t": None},
        {"id": 8, "x": None, "s": None, "t": None},
    ]


def test_only_rules_of_severity_warning_set_rows_aside() -> None:
    found = faults(failure("x", 10, severity="info"), failure("x", 20), failure("s"))

    assert found["label"].tolist() == [20]
    assert faults(failure("x", 10, severity="info")).columns.tolist() == found.columns.tolist()


def test_the_same_fault_met_elsewhere_in_the_file_is_the_same() -> None:
    (fault_id,) = faults(failure("x", 10))["fault_id"]
    moved = FRAME.set_axis([99, 20, 30]).iloc[::-1]
    (again,) = fault_rows(Validation("t", 3, (failure("x", 99),)), moved, ["id"])["fault_id"]

    others = [
        faults(failure("s", 10)),
        faults(failure("x", 20)),
        faults(failure("x", 10, bounds="other")),
        fault_rows(Validation("u", 3, (failure("x", 10),)), FRAME, ["id"]),
        fault_rows(Validation("t", 3, (failure("x", 10),)), FRAME.assign(x=2.5), ["id"]),
        fault_rows(Validation("t", 3, (failure("x", 10),)), FRAME.assign(id=1), ["id"]),
    ]
    assert again == fault_id
    assert len({fault_id, *(one["fault_id"][0] for one in others)}) == 7


def test_without_a_key_the_whole_row_tells_faults_apart() -> None:
    frame = pd.DataFrame({"x": [1, 1, 1], "y": [0.5, 0.5, 0.7]})
    found = fault_rows(Validation("t", 3, (failure("x", 0, 1, 2),)), frame, [])

    assert found["key"].tolist() == found["row"].tolist()
    assert found["fault_id"][0] == found["fault_id"][1] != found["fault_id"][2]


def test_a_rule_over_rows_has_no_column() -> None:
    (fault,) = faults(failure(None, 10)).to_dict("records")

    assert (fault["column"], fault["value"]) == ("", "")
    assert fault["reason"] == "the row; expect_it ()"
