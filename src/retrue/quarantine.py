"""Rows that were set aside, one a fault, and the faults that somebody let pass."""

from collections.abc import Collection, Iterable, Set
from datetime import datetime

import pandas as pd
import pyarrow as pa

from retrue import delta
from retrue.errors import DataError
from retrue.home import lake_dir

QUARANTINE = pa.schema(
    [
        ("fault_id", pa.string()),
        ("table", pa.string()),
        ("key", pa.string()),
        ("rule", pa.string()),
        ("column", pa.string()),
        ("value", pa.string()),
        ("reason", pa.string()),
        ("source_row", pa.int64()),
        ("row", pa.string()),
        ("until", pa.string()),
        ("data_sha256", pa.string()),
    ]
)
RELEASES = pa.schema(
    [
        ("fault_id", pa.string()),
        ("by", pa.string()),
        ("reason", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
    ]
)


def append_quarantine(problem: str, rows: pd.DataFrame) -> int:
    """Append rows that were set aside; a fault that is already there is not added again.

    Parameters
    ----------
    problem : str
        Name of the problem.
    rows : DataFrame
        Columns as in `QUARANTINE`; `fault_id` says what makes two faults the same.

    Returns
    -------
    int
        How many were new.
    """
    path = lake_dir(problem) / "quarantine"
    with delta.locked(path.parent):
        known = delta.read_rows(path, QUARANTINE, columns=["fault_id"])["fault_id"].to_pylist()
        fresh = rows[~rows["fault_id"].isin(known)].drop_duplicates("fault_id")
        if len(fresh):
            delta.append(path, fresh, QUARANTINE)
        return len(fresh)


def read_quarantine(problem: str) -> pd.DataFrame:
    """All rows ever set aside, one a fault, with the data version that first met it."""
    path = lake_dir(problem) / "quarantine"
    frame: pd.DataFrame = delta.read_rows(path, QUARANTINE).to_pandas()
    return frame


def release(problem: str, fault_ids: Iterable[str], by: str, reason: str, now: datetime) -> int:
    """Let faults pass: the next preparation admits their rows again.

    Parameters
    ----------
    problem : str
        Name of the problem.
    fault_ids : iterable of str
        Whole ids, as in the quarantine. One that was released before stays as it is.
    by, reason : str
        Who answers for it, and why; kept beside the fault.
    now : datetime
        With a time zone.

    Returns
    -------
    int
        How many were released now.

    Raises
    ------
    DataError
        If a fault is not in the quarantine, or nobody or no reason is named; none is released.
    """
    path = lake_dir(problem) / "releases"
    wanted = list(dict.fromkeys(fault_ids))
    for name, said in (("by", by), ("reason", reason)):
        if not said.strip():
            raise DataError(f"{name}: some words", "none", f"release of {problem}", "say it")
    with delta.locked(path.parent):
        known = set(read_quarantine(problem)["fault_id"])
        if unknown := [one for one in wanted if one not in known]:
            raise _no_fault(problem, unknown[0])
        before = released(problem)
        fresh = [one for one in wanted if one not in before]
        if fresh:
            rows = pd.DataFrame({"fault_id": fresh, "by": by, "reason": reason, "at": now})
            delta.append(path, rows, RELEASES)
        return len(fresh)


def released(problem: str) -> frozenset[str]:
    """Ids of the faults that were let pass."""
    path = lake_dir(problem) / "releases"
    table = delta.read_rows(path, RELEASES, columns=["fault_id"])
    return frozenset(table["fault_id"].to_pylist())


def read_releases(problem: str) -> pd.DataFrame:
    """Who let which fault pass, when and why; in the order it was done."""
    path = lake_dir(problem) / "releases"
    frame: pd.DataFrame = delta.read_rows(path, RELEASES).to_pandas()
    return frame.sort_values(["at", "fault_id"], ignore_index=True)


def keep_released(faults: pd.DataFrame, released: Set[str]) -> pd.DataFrame:
    """Faults that still set their row aside: all but the released ones.

    A row stays out of the data as long as it has one fault left.
    """
    return faults[~faults["fault_id"].isin(released)] if released else faults


def whole_ids(problem: str, beginnings: Collection[str]) -> list[str]:
    """The fault whose id begins so, for each beginning.

    Raises
    ------
    DataError
        If there is no such fault, or more than one.
    """
    ids = read_quarantine(problem)["fault_id"]
    found = []
    for beginning in beginnings:
        fitting = ids[ids.str.startswith(beginning)] if beginning else ids[:0]
        if len(fitting) > 1:
            raise DataError(
                "the beginning of one fault's id",
                f"{beginning}, which {len(fitting)} faults begin with",
                f"quarantine of {problem}",
                "give more of it",
            )
        if fitting.empty:
            raise _no_fault(problem, beginning)
        found.append(str(fitting.iloc[0]))
    return found


def ids_of_rule(problem: str, words: str) -> list[str]:
    """Faults whose table, column or rule contains `words`.

    Raises
    ------
    DataError
        If there is none.
    """
    faults = read_quarantine(problem)
    said = faults["table"] + " " + faults["column"] + " " + faults["rule"]
    found: list[str] = faults["fault_id"][said.str.contains(words, regex=False)].tolist()
    if not words or not found:
        raise DataError(
            "a rule that set rows aside",
            words or "nothing",
            f"quarantine of {problem}",
            f"see the rules with `retrue data faults {problem}`",
        )
    return found


def _no_fault(problem: str, fault_id: str) -> DataError:
    return DataError(
        "a fault in the quarantine",
        fault_id or "nothing",
        f"quarantine of {problem}",
        f"see the faults with `retrue data faults {problem}`",
    )
