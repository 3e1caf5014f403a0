"""Expectation suites run by Great Expectations, with its silent successes closed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from retrue.errors import DataError
from retrue.expectations_process import evaluate

Severity = Literal["critical", "warning", "info"]

_SHOWN = 5
# These ask about the table or about absence itself, so a column without values is no gap in them.
_ABSENCE = ("null", "_type", "expect_table", "_to_exist")


@dataclass(frozen=True)
class Rule:
    """One expectation, and what was found."""

    expectation: str
    column: str | None
    severity: Severity
    bounds: str
    observed: str


@dataclass(frozen=True)
class Failure(Rule):
    """One expectation that did not hold; `rows` are the labels of the rows that broke it."""

    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Validation:
    """What a suite said about one table."""

    table: str
    evaluated: int
    failed: tuple[Failure, ...]
    held: tuple[Rule, ...] = ()
    n_rows: int = 0
    """Rows that were looked at."""
    path: str = ""
    """The file they came from, if it was one."""

    @property
    def set_aside(self) -> pd.Index:
        """Labels of the rows that broke an expectation of severity warning."""
        rows = {row for f in self.failed if f.severity == "warning" for row in f.rows}
        return pd.Index(sorted(rows), dtype="int64")


class ValidationError(DataError):
    """A critical expectation does not hold; `validation` has all that failed."""

    def __init__(
        self, expected: str, found: str, where: str, remedy: str, validation: Validation
    ) -> None:
        super().__init__(expected, found, where, remedy)
        self.args = (expected, found, where, remedy, validation)  # so that it can be pickled
        self.validation = validation


def validate(
    problem_name: str,
    table: str,
    frame: pd.DataFrame,
    suites_dir: Path,
    *,
    parameters: Mapping[str, float] | None = None,
    path: Path | None = None,
) -> Validation:
    """Check a table against `suites_dir/problem_name/table.json`.

    Parameters
    ----------
    problem_name, table : str
        Which suite.
    frame : DataFrame, shape (n_rows, n_columns)
        Integer row labels; never changed.
    suites_dir : Path
        Folder of the suites, in Great Expectations' own JSON.
    parameters : mapping of str to float, optional
        Values for the suite's `{"$PARAMETER": "..."}` bounds, e.g. `days`.
    path : Path, optional
        The file the rows came from, for errors; its row is then the label + 2, as the header
        is row 1.

    Returns
    -------
    Validation
        All failures of severity warning (with every row to set aside) and info.

    Raises
    ------
    ValidationError
        If a critical expectation fails.
    DataError
        If nothing could be said: an empty frame, no suite, an empty suite, or an expectation
        that cannot be evaluated.

    Notes
    -----
    Great Expectations answers success for an empty frame, for an empty suite, and for a range
    of a column without any value; the first two are refused here, the third counts as failed.
    """
    suite_path = suites_dir / problem_name / f"{table}.json"
    where = str(path or f"table {table}")
    if frame.empty:
        raise DataError("rows to validate", "none", where, "check the date and the delivery")
    expectations = _suite(suite_path)
    try:
        results = evaluate(expectations, frame, parameters or {})
    except DataError as error:
        raise _unusable(suite_path, "", error.found) from error
    failed: list[Failure] = []
    held: list[Rule] = []
    ranges: dict[str, str] = {}
    unusable: list[DataError] = []
    for expectation, result in zip(expectations, results, strict=True):
        column = expectation["kwargs"].get("column")
        # A column that is not there fails the column set too, which says so better.
        if "error" in result and (column is None or column in frame.columns):
            rule = f" {expectation['type']} {column or ''}".rstrip()
            unusable.append(_unusable(suite_path, rule, result["error"]))
        elif not result["success"]:
            failed.append(_failure(expectation, result.get("result", {}), frame))
        elif _is_vacuous(expectation, frame):
            failed.append(_failure(expectation, {"observed_value": "no value at all"}, frame))
        else:
            held.append(_rule(expectation, _seen(expectation, frame, ranges)))
    validation = Validation(
        table, len(results), tuple(failed), tuple(held), len(frame), str(path or "")
    )
    # Text in a column of numbers breaks the rule of its type, and no range can be evaluated there:
    # then the data is at fault and not the suite.
    _stop_if_critical(validation, where, path is not None)
    if unusable:
        raise unusable[0]
    return validation


def _suite(path: Path) -> list[dict[str, Any]]:
    remedy = "write the suite, or restore it from version control"
    try:
        expectations: list[dict[str, Any]] = json.loads(path.read_bytes())["expectations"]
    except FileNotFoundError:
        raise DataError("an expectation suite", "no such file", str(path), remedy) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError("a suite in JSON", repr(error), str(path), remedy) from None
    if not expectations:
        raise DataError("at least one expectation", "an empty suite", str(path), remedy)
    return [{"severity": "critical", **e} for e in expectations]


def _unusable(path: Path, rule: str, error: object) -> DataError:
    found = " ".join(str(error).split())
    return DataError(
        "an expectation that can be evaluated", found, f"{path}{rule}", "correct the suite"
    )


def _is_vacuous(expectation: Mapping[str, Any], frame: pd.DataFrame) -> bool:
    column = expectation["kwargs"].get("column")
    if column is None or any(word in expectation["type"] for word in _ABSENCE):
        return False
    return not bool(frame[column].notna().any())


def _failure(
    expectation: Mapping[str, Any], result: Mapping[str, Any], frame: pd.DataFrame
) -> Failure:
    column = expectation["kwargs"].get("column")
    rows = result.get("unexpected_index_list") or result.get("partial_unexpected_index_list") or ()
    labels = tuple(int(row) for row in rows)
    if count := result.get("unexpected_count"):
        total = result.get("element_count", len(frame))
        values = dict.fromkeys(str(v) for v in result.get("partial_unexpected_list", ()))
        observed = f"{count} of {total}: {', '.join(list(values)[:_SHOWN])}"
    else:
        observed = str(result.get("observed_value", "no such column"))
        for kind, names in (result.get("details") or {}).get("mismatched", {}).items():
            observed += f"; {kind}: {', '.join(map(str, names))}"
        if "_type" in expectation["type"] and column in frame:
            labels, observed = _first_text(frame[column], observed)
    return Failure(**vars(_rule(expectation, observed)), rows=labels)


def _rule(expectation: Mapping[str, Any], observed: str) -> Rule:
    given = expectation["kwargs"]
    bounds = ", ".join(f"{name} {_said(v)}" for name, v in given.items() if name != "column")
    severity: Severity = expectation["severity"]
    return Rule(expectation["type"], given.get("column"), severity, bounds, observed)


def _said(bound: object) -> object:
    """A bound as it stands in the suite; one over parameters as its expression."""
    return bound.get("$PARAMETER", bound) if isinstance(bound, dict) else bound


def _seen(expectation: Mapping[str, Any], frame: pd.DataFrame, ranges: dict[str, str]) -> str:
    """What a rule that held has seen; Great Expectations tells it for twice the time."""
    column = expectation["kwargs"].get("column")
    if "_row_count" in expectation["type"]:
        return f"{len(frame):,} rows"
    if column is None:
        return f"{len(frame.columns)} columns"
    if "_type" in expectation["type"]:
        return str(frame[column].dtype)
    if column not in ranges:
        ranges[column] = _range(frame[column])
    return ranges[column]


def _range(column: pd.Series) -> str:
    missing = int(column.isna().sum())
    if missing < len(column) and (
        pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)
    ):
        if (
            column.dtype == np.float64
        ):  # a quarter of the time that pandas takes around missing ones
            low, high = np.fmin.reduce(column.to_numpy()), np.fmax.reduce(column.to_numpy())
        else:
            low, high = column.min(), column.max()
        seen = f"{low} to {high}"
    else:
        seen = f"{column.nunique():,} different values"
    return f"{seen}, {missing / len(column):.2%} missing" if missing else seen


def _first_text(column: pd.Series, observed: str) -> tuple[tuple[int, ...], str]:
    """Where a column of numbers became text: the first value that is no number."""
    bad = column[column.notna() & pd.to_numeric(column.astype(object), errors="coerce").isna()]
    return ((int(bad.index[0]),), f"{observed}: {bad.iloc[0]!r}") if len(bad) else ((), observed)


def _stop_if_critical(validation: Validation, where: str, has_file: bool) -> None:
    critical = [f for f in validation.failed if f.severity == "critical"]
    if not critical:
        return
    first = critical[0]
    if first.rows and has_file:
        where += f" row {first.rows[0] + 2}"
    if first.column:
        where += f" column {first.column}"
    remedy = "correct the data at its source, or the suite if the rule is wrong"
    if len(critical) > 1:
        remedy += f" ({len(critical) - 1} more critical failures)"
    raise ValidationError(
        f"{first.expectation} ({first.bounds})", first.observed, where, remedy, validation
    )
