"""Rows that were set aside, as rows of the quarantine table."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from retrue.lake import QUARANTINE
from retrue.validation import Validation


def fault_rows(validation: Validation, frame: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """One row for each row and rule of severity warning it broke.

    Parameters
    ----------
    validation : Validation
        What failed.
    frame : DataFrame
        The table that was validated, with the same row labels.
    key : sequence of str
        Columns that identify a row of this table.

    Returns
    -------
    DataFrame
        Columns of the quarantine table but `until` and `data_sha256`, which are known later.
        `fault_id` depends on table, key, rule, column and value alone, so the same fault met
        again in a later data version is the same fault.
    """
    faults = []
    for failure in validation.failed:
        for label in failure.rows if failure.severity == "warning" else ():
            row = frame.loc[label]
            identity = {
                "table": validation.table,
                "key": _as_json(row[list(key)]),
                "rule": f"{failure.expectation} ({failure.bounds})",
                "column": failure.column or "",
                "value": "" if failure.column is None else str(row[failure.column]),
            }
            text = json.dumps(identity, sort_keys=True)
            reason = f"{failure.column} is {identity['value']}; {identity['rule']}"
            faults.append(
                {
                    "fault_id": hashlib.sha256(text.encode()).hexdigest(),
                    **identity,
                    "reason": reason,
                    "source_row": int(label) + 2,
                    "row": _as_json(row),
                }
            )
    columns = [name for name in QUARANTINE.names if name not in ("until", "data_sha256")]
    return pd.DataFrame(faults, columns=columns)


def _as_json(row: Any) -> str:
    """Return a JSON object; missing values are null, times ISO 8601."""
    return json.dumps(
        {str(name): None if pd.isna(value) else _plain(value) for name, value in row.items()}
    )


def _plain(value: object) -> object:
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    item = getattr(value, "item", None)  # numpy scalars
    return item() if item else value
