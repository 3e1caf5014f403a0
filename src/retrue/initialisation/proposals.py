"""Expectations proposed for a new table: what holds, with room for other rows of the same kind.

Severities. `critical` stops the run: the columns, their types, the number of rows, the key, a burst
of missing values, a column that is stuck or whose unit changed. `warning` sets the row aside: a
value far out of the range, a new category where the categories are few and all of them common.
What merely moved is no fault: the drift check tells of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retrue.initialisation.profiling import MIN_ROWS_TO_JUDGE, Column
from retrue.initialisation.proposed_bounds import (
    generous_range,
    least_distinct,
    least_present,
    quantile_bands,
    rounded,
    rows_by_days,
    usual_batches,
)

if TYPE_CHECKING:
    from datetime import date

Rule = dict[str, Any]

_CLOSED_SET = 50
# Seen so often, a category would have been missed in one sample of 150 of this size.
_COMMON = 5
_MIN_ROWS_FOR_BANDS = 100
_UNIQUE_COLUMNS = 5
# Each rule costs 5 to 10 ms: beyond so many columns only one of two that refuse a stuck one stays.
_WIDE = 100


def propose(
    frame: pd.DataFrame,
    profile: Mapping[str, Column],
    key: Sequence[str] = (),
    time: str | None = None,
    start: date | None = None,
) -> list[Rule]:
    """Propose rules for a source table.

    Parameters
    ----------
    frame : DataFrame
        The rows as delivered, typed; never changed.
    profile : mapping of str to Column
        As `retrue.initialisation.profiling.profile` gives it.
    key : sequence of str
        Columns that identify a row.
    time : str, optional
        When a row happened; the bounds of the number of rows then follow the parameter `days`,
        counted from `start`.
    start : date, optional
        First day of the training span; needed with `time`.

    Returns
    -------
    list of dict
        In Great Expectations' own JSON, each with `severity` and `meta.notes`. Every one holds for
        `frame`. Columns of tables below 100 rows get no bands: they say too little.
    """
    rules = [_row_count(frame, time, start), _column_set(list(frame.columns), exact=True)]
    batches = None if time is None or frame.empty else usual_batches(frame[time])
    for name, column in profile.items():
        its = _of_column(frame[name], column, batches, is_key=name in key or name == time)
        rules += its if len(profile) <= _WIDE else [r for r in its if not _is_double(r, its)]
    uniqueness = _key(key) if key else _whole_rows(frame, profile)
    return [*rules, *uniqueness]


def propose_linked(
    frame: pd.DataFrame, key: Sequence[str] = (), time: str | None = None, start: date | None = None
) -> list[Rule]:
    """Propose rules for the linked table: what links could break, and no column's rules again."""
    columns = _column_set(list(frame.columns), exact=False)
    return [_row_count(frame, time, start), columns, *_key(key)]


def _rule(kind: str, severity: str, notes: str, **kwargs: Any) -> Rule:
    return {
        "type": f"expect_{kind}",
        "kwargs": kwargs,
        "severity": severity,
        "meta": {"notes": notes},
    }


def _row_count(frame: pd.DataFrame, time: str | None, start: date | None) -> Rule:
    kind, n = "table_row_count_to_be_between", len(frame)
    if time is None or start is None:
        notes = f"Half of the {n:,} rows there were: less is a delivery cut short."
        return _rule(kind, "critical", notes, min_value=max(1, n // 2))
    least, most, per_day = rows_by_days(frame[time], start)
    notes = (
        f"There were {per_day:.4g} rows a day: half to twice as many, after every day so far."
        " The parameter days counts from the start of the training span."
    )
    bounds = {"min_value": {"$PARAMETER": least}, "max_value": {"$PARAMETER": most}}
    return _rule(kind, "critical", notes, **bounds)


def _column_set(names: list[str], *, exact: bool) -> Rule:
    notes = (
        "A column dropped, renamed or added is told here."
        if exact
        else "All columns of the main table; a link may add its own."
    )
    kind = "table_columns_to_match_set"
    return _rule(kind, "critical", notes, column_set=names, exact_match=exact)


def _key(key: Sequence[str]) -> list[Rule]:
    notes = "The key; a batch delivered twice breaks it."
    if len(key) == 1:
        return [_rule("column_values_to_be_unique", "critical", notes, column=key[0])]
    if key:
        kind = "compound_columns_to_be_unique"
        return [_rule(kind, "critical", notes, column_list=list(key))]
    return []


def _whole_rows(frame: pd.DataFrame, profile: Mapping[str, Column]) -> list[Rule]:
    """Rows that differ as a whole; by the fewest columns that tell as many rows apart as all do."""
    n = len(frame)
    if n < MIN_ROWS_TO_JUDGE:
        return []
    n_alike = int(frame.duplicated(keep=False).sum())
    names = sorted(profile, key=lambda name: -profile[name].n_distinct)
    for count in range(2, min(_UNIQUE_COLUMNS, len(names)) + 1):
        if int(frame.duplicated(names[:count], keep=False).sum()) == n_alike:
            names = names[:count]
            break
    if len(names) < 2:
        return []
    share = n_alike / n
    tells = any(c.distinct_share > 0.99 and not c.n_missing for c in profile.values())
    slack = 0.0 if not n_alike and tells else 0.05 + 5 * math.sqrt(2 * (share + 1 / n) / n)
    if share + slack > 0.5:
        return []
    notes = "No key: rows are told apart by these columns; a batch delivered twice breaks it."
    mostly = {"mostly": round(1 - share - slack, 3)} if slack else {}
    kind = "compound_columns_to_be_unique"
    return [_rule(kind, "critical", notes, column_list=names, **mostly)]


def _of_column(
    values: pd.Series[Any], column: Column, batches: pd.Series[Any] | None, *, is_key: bool
) -> list[Rule]:
    name, rules = column.name, []
    if not column.n_present:
        return []
    if column.kind == "number":
        kinds = ["int64", "float64"]
        notes = "Text in a column of numbers is told here."
        kind = "column_values_to_be_in_type_list"
        rules.append(_rule(kind, "critical", notes, column=name, type_list=kinds))
    share = 1.0 if is_key else least_present(column, batches)
    if share > 0:
        so_far = f"{column.null_share:.2%} of rows" if column.n_missing else "no row"
        notes = f"Missing in {so_far} so far; many more are a burst."
        notes = "Rows are known by it." if is_key else notes
        mostly = {} if is_key else {"mostly": share}
        kind = "column_values_to_not_be_null"
        rules.append(_rule(kind, "critical", notes, column=name, **mostly))
    if column.n_rows < _MIN_ROWS_FOR_BANDS:
        return rules
    if column.kind == "number" and not column.is_identifier:
        rules += _of_numbers(values, column)
    if column.kind == "text":
        rules += _of_texts(values, column)
    least = least_distinct(values, column, batches)
    if least >= 2 and not column.is_unique:
        notes = f"There were {column.n_distinct:,} values; a stuck column has one or a few."
        kind = "column_unique_value_count_to_be_between"
        rules.append(_rule(kind, "critical", notes, column=name, min_value=least))
    elif column.is_unique and not is_key:
        notes = "All values differed; a stuck column repeats them."
        kind = "column_proportion_of_unique_values_to_be_between"
        rules.append(_rule(kind, "critical", notes, column=name, min_value=0.8))
    return rules


def _is_double(rule: Rule, others: Sequence[Rule]) -> bool:
    """Counts distinct values, where bands of quantiles refuse a constant as well."""
    if "unique_value" not in rule["type"]:
        return False
    bands = (other["kwargs"].get("quantile_ranges") for other in others)
    return any(b["value_ranges"][0][1] < b["value_ranges"][2][0] for b in bands if b)


def _of_numbers(values: pd.Series[Any], column: Column) -> list[Rule]:
    numbers = values.dropna().to_numpy(np.float64)
    few = len(numbers) < _MIN_ROWS_FOR_BANDS
    if few or not np.isfinite(numbers).all() or np.ptp(numbers) == 0:
        return []
    name, found = column.name, f"{numbers.min():.6g} to {numbers.max():.6g}"
    low, high = generous_range(numbers)
    notes = f"Values were {found}, median {np.median(numbers):.6g}; far beyond, rows are set aside."
    between = _rule(
        "column_values_to_be_between",
        "warning",
        notes,
        column=name,
        min_value=rounded(low, numbers, up=False),
        max_value=rounded(high, numbers, up=True),
    )
    notes = (
        "Bands for the 5 %, 50 % and 95 % quantiles, wide enough for a change of season: another"
        " unit (Fahrenheit for Celsius) or a stuck sensor leaves them."
    )
    ranges = {"quantiles": [0.05, 0.5, 0.95], "value_ranges": quantile_bands(numbers)}
    kind = "column_quantile_values_to_be_between"
    bands = _rule(kind, "critical", notes, column=name, quantile_ranges=ranges)
    return [between, bands]


def _of_texts(values: pd.Series[Any], column: Column) -> list[Rule]:
    name, counts = column.name, values.value_counts()
    counts = counts[counts > 0]
    closed = 1 < column.n_distinct <= _CLOSED_SET and counts.min() >= _COMMON
    if closed:
        known = sorted(str(value) for value in counts.index)
        kind = "column_values_to_be_in_set"
        notes = "Rows of a new category are set aside; add it here when it is right."
        new = _rule(kind, "warning", notes, column=name, value_set=known)
        notes = "Most values unknown: another column, or other codes."
        other = _rule(kind, "critical", notes, column=name, value_set=known, mostly=0.5)
        return [new, other]
    if column.n_distinct < 2:
        return []
    lengths = np.array([len(str(text)) for text in counts.index])
    n = counts.to_numpy()
    low, high = int(lengths.min()), int(lengths.max())
    usual = lengths[np.argsort(lengths)][
        np.searchsorted(np.cumsum(n[np.argsort(lengths)]), n.sum() / 2)
    ]
    notes = f"Texts of {low} to {high} characters, median {usual}; others are another column's."
    kind = "column_value_lengths_to_be_between"
    bounds = {"min_value": max(1, low // 2), "max_value": 2 * high}
    return [_rule(kind, "critical", notes, column=name, mostly=0.9, **bounds)]
