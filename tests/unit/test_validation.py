"""Suites say what failed and where; nothing passes because nothing was looked at."""

import json
import pickle
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from retrue.errors import DataError
from retrue.validation import Validation, ValidationError, validate

FRAME = pd.DataFrame({"id": [1, 2, 3, 4], "x": [0.5, 7.0, 900.0, None], "s": list("abab")})
# Labels are rows of a file and not positions: rows were cut before.
FRAME.index = pd.Index([10, 20, 30, 40])


def rule(kind: str, severity: str = "critical", **kwargs: object) -> dict[str, object]:
    return {"type": f"expect_{kind}", "kwargs": kwargs, "severity": severity}


def run(
    tmp_path: Path, *rules: dict[str, object], frame: pd.DataFrame = FRAME, **parameters: float
) -> Validation:
    path = tmp_path / "p" / "t.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"name": "t", "expectations": rules}))
    return validate("p", "t", frame, tmp_path, parameters=parameters, path=Path("t.csv"))


BETWEEN: dict[str, Any] = {"column": "x", "min_value": 0, "max_value": 100}


def test_a_table_that_holds_passes_with_the_number_of_expectations(tmp_path: Path) -> None:
    validation = run(
        tmp_path,
        rule("table_row_count_to_be_between", min_value=4, max_value=4),
        rule("column_values_to_not_be_null", column="id"),
    )

    assert (validation.table, validation.evaluated, validation.failed) == ("t", 2, ())
    assert (validation.n_rows, validation.path) == (4, "t.csv")
    assert validation.set_aside.empty


def test_what_held_is_told_with_what_was_seen(tmp_path: Path) -> None:
    day = pd.Timestamp("2024-01-02", tz="UTC")
    validation = run(
        tmp_path,
        rule("table_row_count_to_be_between", min_value=4, max_value=4),
        rule("table_columns_to_match_set", column_set=["id", "x", "s", "t"], exact_match=True),
        rule("column_values_to_be_between", "info", column="x", min_value=0, max_value=1000),
        rule("column_values_to_be_in_set", "warning", column="s", value_set=["a", "b"]),
        rule("column_values_to_be_in_type_list", column="id", type_list=["int64"]),
        rule("column_values_to_not_be_null", column="t"),
        frame=FRAME.assign(t=day),
    )

    assert [(one.column, one.severity, one.observed) for one in validation.held] == [
        (None, "critical", "4 rows"),
        (None, "critical", "4 columns"),
        ("x", "info", "0.5 to 900.0, 25.00% missing"),
        ("s", "warning", "2 different values"),
        ("id", "critical", "int64"),
        ("t", "critical", f"{day} to {day}"),
    ]
    assert validation.held[2].bounds == "min_value 0, max_value 1000"


def test_what_held_and_what_failed_are_all_that_was_evaluated(tmp_path: Path) -> None:
    validation = run(
        tmp_path,
        rule("column_values_to_be_between", "warning", **BETWEEN),
        rule("column_values_to_not_be_null", column="id"),
    )

    assert (len(validation.failed), len(validation.held)) == (1, 1)
    assert validation.evaluated == 2


def test_rows_that_break_a_warning_are_set_aside_by_label(tmp_path: Path) -> None:
    validation = run(tmp_path, rule("column_values_to_be_between", "warning", **BETWEEN))

    (failure,) = validation.failed
    assert (failure.column, failure.severity, failure.rows) == ("x", "warning", (30,))
    assert failure.observed == "1 of 4: 900.0"
    assert validation.set_aside.tolist() == [30]


def test_an_info_is_reported_and_sets_nothing_aside(tmp_path: Path) -> None:
    validation = run(tmp_path, rule("column_values_to_be_between", "info", **BETWEEN))

    assert len(validation.failed) == 1
    assert validation.set_aside.empty


def test_a_critical_failure_stops_with_file_row_column_and_value(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as error:
        run(
            tmp_path,
            rule("column_values_to_be_between", **BETWEEN),
            rule("column_values_to_be_in_set", column="s", value_set=["a"]),
        )

    message = str(error.value)
    assert message.startswith("t.csv row 32 column x: expected expect_column_values_to_be_between")
    assert "1 of 4: 900.0" in message
    assert "1 more critical" in message
    assert "\n" not in message
    assert len(error.value.validation.failed) == 2
    assert str(pickle.loads(pickle.dumps(error.value))) == message


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    columns = ["id", "x", "s", "gone"]
    with pytest.raises(ValidationError, match=r"t.csv: .*missing: gone"):
        run(
            tmp_path,
            rule("table_columns_to_match_set", column_set=columns, exact_match=True),
            rule("column_values_to_not_be_null", column="gone"),
        )


def test_a_number_column_that_became_text_names_the_value(tmp_path: Path) -> None:
    frame = FRAME.assign(x=pd.Categorical(["1", "2", "oops", None]))
    kinds = rule("column_values_to_be_in_type_list", column="x", type_list=["int64", "float64"])

    with pytest.raises(ValidationError, match=r"t.csv row 32 column x: .*'oops'"):
        run(tmp_path, kinds, frame=frame)


def test_bounds_may_grow_with_the_span(tmp_path: Path) -> None:
    bounds = rule("table_row_count_to_be_between", max_value={"$PARAMETER": "2 * days"})

    assert run(tmp_path, bounds, days=2).evaluated == 1
    with pytest.raises(ValidationError, match="found 4"):
        run(tmp_path, bounds, days=1)
    with pytest.raises(DataError, match="an expectation that can be evaluated"):
        run(tmp_path, bounds)


def test_an_empty_frame_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected rows to validate, found none"):
        run(tmp_path, rule("column_values_to_be_between", **BETWEEN), frame=FRAME[:0])


def test_a_column_without_values_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"column x: .* found no value at all"):
        run(
            tmp_path,
            rule("column_values_to_be_between", **BETWEEN),
            frame=FRAME.assign(x=pd.Series([None] * 4, dtype="float64", index=FRAME.index)),
        )


def test_no_suite_an_empty_suite_and_a_broken_suite_are_no_success(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nosuch.json: expected an expectation suite"):
        validate("p", "nosuch", FRAME, tmp_path)
    with pytest.raises(DataError, match="found an empty suite"):
        run(tmp_path)
    (tmp_path / "p" / "t.json").write_text("{")
    with pytest.raises(DataError, match="a suite in JSON"):
        validate("p", "t", FRAME, tmp_path)


def test_an_unknown_expectation_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="correct the suite"):
        run(tmp_path, rule("columns_to_be_nice", column="x"))


def test_an_expectation_that_cannot_be_evaluated_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t.json expect_column_values_to_be_between s: "):
        run(tmp_path, rule("column_values_to_be_between", column="s", min_value=0, max_value=1))


def test_nothing_is_written_beside_the_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(work))

    run(tmp_path, rule("column_values_to_not_be_null", column="id"))

    assert list(work.iterdir()) == []
    assert capfd.readouterr() == ("", "")
