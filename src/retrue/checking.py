"""One table against its suite: what is set aside, and what remains."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from retrue.config import Problem
from retrue.faults import fault_rows
from retrue.quarantine import keep_released
from retrue.validation import Failure, Validation, validate

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Checked:
    """A table without the rows set aside, what the suite said, and the faults found."""

    frame: pd.DataFrame
    validation: Validation
    faults: pd.DataFrame
    n_set_aside: int


def check(
    problem: Problem,
    table: str,
    frame: pd.DataFrame,
    root: Path,
    days: float,
    *,
    path: Path | None = None,
    released: frozenset[str] = frozenset(),
    earlier: Hashes | None = None,
) -> Checked:
    """Validate a table and set failing rows aside.

    Parameters
    ----------
    table : str
        A source, or `linked`.
    days : float
        The span the table covers; suites may use it.
    path : Path, optional
        The file whose rows these are.
    released : frozenset of str
        Faults that somebody has let pass: their rows stay.
    earlier : ndarray of uint64, optional
        Of a table of batches: `key_hashes` of rows that came before, sorted. A row with such a
        key, or with that of a row before it, is set aside as a double before any rule is asked.

    Raises
    ------
    ValidationError
        A critical rule does not hold.
    """
    suites = root / "expectations"
    key = key_of(problem, table)
    double = np.zeros(len(frame), np.bool_)
    if earlier is not None and key:
        hashes = key_hashes(frame, key)
        double = _among(earlier, hashes) | pd.Series(hashes).duplicated().to_numpy()
    single = frame.loc[~double] if double.any() else frame
    if single.empty and len(frame):
        validation = Validation(table, 0, ())
    else:
        parameters = {"days": days}
        validation = validate(problem.name, table, single, suites, parameters=parameters, path=path)
    if double.any():
        validation = _with_doubles(validation, frame, key, double)
    faults = keep_released(fault_rows(validation, frame, key), released)
    if path is None:
        # Its row labels count rows of several files, or of none.
        faults = faults.assign(source_row=None)
    set_aside = pd.Index(faults["label"].unique())
    kept = frame.drop(index=set_aside) if len(set_aside) else frame
    return Checked(kept, validation, faults.drop(columns="label"), len(set_aside))


def key_of(problem: Problem, table: str) -> list[str]:
    """Columns that identify a row of a source, or of the linked table."""
    if table in (problem.data.main, "linked"):
        return list(problem.data.key)
    link = next((link for link in problem.data.links if link.table == table), None)
    return [] if link is None else [*link.on.values(), *link.as_of.values()]


def time_of(problem: Problem, table: str) -> str | None:
    """Column that says when a row of a source happened, if there is one."""
    time = problem.data.time
    if table == problem.data.main:
        return time
    for link in problem.data.links:
        if link.table == table:
            return next(iter(link.as_of.values()), link.on.get(time or ""))
    return None


def key_hashes(frame: pd.DataFrame, key: Sequence[str]) -> Hashes:
    """One number for each row's key; two keys of a million share one by a chance of 1 in 10^7."""
    return np.asarray(pd.util.hash_pandas_object(frame[list(key)], index=False), np.uint64)


def _among(ordered: Hashes, hashes: Hashes) -> npt.NDArray[np.bool_]:
    """Whether each hash is among sorted ones; `np.isin` would sort a copy of all of them again."""
    if not len(ordered):
        return np.zeros(len(hashes), np.bool_)
    at = np.minimum(np.searchsorted(ordered, hashes), len(ordered) - 1)
    return np.asarray(ordered[at] == hashes, np.bool_)


def _with_doubles(
    validation: Validation, frame: pd.DataFrame, key: list[str], double: npt.NDArray[np.bool_]
) -> Validation:
    rows = tuple(int(label) for label in frame.index[double])
    observed = f"{len(rows)} of {len(frame)} were delivered before"
    failure = Failure("key_delivered_once", None, "warning", ", ".join(key), observed, rows)
    return replace(validation, failed=(*validation.failed, failure))
