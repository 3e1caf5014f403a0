"""Rows that broke a rule, as rows of the quarantine table."""

import hashlib
import json
from collections.abc import Sequence

import pandas as pd

from retrue.quarantine import QUARANTINE
from retrue.row_json import rows_as_json
from retrue.validation import Failure, Rule, Validation

# Known later, when the data version is written.
_LATER = ("until", "data_sha256")


def fault_rows(validation: Validation, frame: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """One row for each row and rule of severity warning it broke.

    Parameters
    ----------
    validation : Validation
        What failed.
    frame : DataFrame
        The table that was validated, with the same row labels, each once.
    key : sequence of str
        Columns that identify a row of this table; without any it is the whole row.

    Returns
    -------
    DataFrame
        Columns of the quarantine table but `until` and `data_sha256`, which are known later; and
        `label`, the row of `frame`. `fault_id` depends on table, key, rule, column and value
        alone, so the same fault met again in a later data version is the same fault.
    """
    failures = [f for f in validation.failed if f.severity == "warning" and f.rows]
    labels = validation.set_aside
    faulty = frame.loc[labels]
    rows = list(rows_as_json(faulty))
    keys = list(rows_as_json(faulty[list(key)])) if key else rows
    found = [
        _faults_of(validation.table, failure, faulty, keys, rows, labels) for failure in failures
    ]
    columns = [*(name for name in QUARANTINE.names if name not in _LATER), "label"]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)


def rule_text(rule: Rule) -> str:
    """The rule of a fault, as the quarantine names it."""
    return f"{rule.expectation} ({rule.bounds})"


def _faults_of(
    table: str,
    failure: Failure,
    faulty: pd.DataFrame,
    keys: list[str],
    rows: list[str],
    labels: pd.Index,
) -> pd.DataFrame:
    at = labels.get_indexer(pd.Index(failure.rows)).tolist()
    rule, column = rule_text(failure), failure.column or ""
    if failure.column is None or failure.column not in faulty:
        values = [""] * len(at)
    else:
        broken = faulty[failure.column].iloc[at]
        values = [
            "missing" if gone else str(value)
            for value, gone in zip(broken.tolist(), broken.isna().tolist(), strict=True)
        ]
    # Compact JSON of one shape: `json.dumps` of the five members a row takes four times as long.
    head = f"[{json.dumps(table)}, {json.dumps(rule)}, {json.dumps(column)}, "
    return pd.DataFrame(
        {
            "fault_id": [
                hashlib.sha256(f"{head}{keys[i]}, {json.dumps(value)}]".encode()).hexdigest()
                for i, value in zip(at, values, strict=True)
            ],
            "table": table,
            "key": [keys[i] for i in at],
            "rule": rule,
            "column": column,
            "value": values,
            "reason": [
                f"{column} is {value}; {rule}" if column else f"the row; {rule}" for value in values
            ],
            "source_row": [int(label) + 2 for label in failure.rows],
            "row": [rows[i] for i in at],
            "label": list(failure.rows),
        }
    )
