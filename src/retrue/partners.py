"""Which row of a linked table belongs to each row: by equal keys, as of a time, or by both."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from retrue.config import Link
from retrue.errors import DataError

Codes = npt.NDArray[np.int64]

NO_PARTNER = -1

_HOUR_US = 3_600_000_000
_REMEDY = "correct data.links, or the delivered column"


def find_partners(left: Mapping[str, pd.Series], right: pd.DataFrame, step: Link) -> Codes:
    """Position in `right` of the partner of each left row.

    Parameters
    ----------
    left : mapping of str to Series, each of length n_left
        The linked rows so far.
    right : DataFrame
        The table of the link; it holds all columns that the link names.
    step : Link
        `on` says which columns must be equal, `as_of` whose time must not be later.

    Returns
    -------
    Codes, shape (n_left,)
        `NO_PARTNER` (-1) where a key or time is missing, where no row of `right` has the key,
        or where all of them are later, or older than `within_hours` (a partner of exactly that
        age is taken).

    Raises
    ------
    DataError
        If two columns to be compared are of two types, or if two rows of `right` have the same
        keys (and, as of a time, the same time): either would be an arbitrary choice.

    Notes
    -----
    Keys become one integer, column by column, then one lookup finds the row: on 336,776 rows
    a quarter of the CPU time of `DataFrame.merge` on the same columns.
    """
    n_left = len(next(iter(left.values())))
    left_code, right_code = np.zeros(n_left, np.int64), np.zeros(len(right), np.int64)
    for left_name, right_name in step.on.items():
        left_key, right_key = left[left_name], right[right_name]
        if _family(left_key) != _family(right_key):
            raise _unlike("keys", left_key, right_key, step)
        values = pd.Index(right_key.dropna().unique())
        left_code = _joined(left_code, _codes(left_key, values), len(values))
        right_code = _joined(right_code, _codes(right_key, values), len(values))
        # Codes are made dense again, so many keys cannot overflow; -1 stays "no partner".
        dense = pd.Index(np.unique(right_code[right_code >= 0]))
        left_code, right_code = _dense(dense, left_code), _dense(dense, right_code)
    if step.as_of:
        return _newest(left, right, step, left_code, right_code)
    rows = np.flatnonzero(right_code >= 0)
    if len(rows) > right_code.max(initial=-1) + 1:
        raise _fan_out(right, step, right_code)
    row_of = np.full(right_code.max(initial=-1) + 2, NO_PARTNER, np.int64)
    row_of[right_code[rows]] = rows
    return row_of[left_code]  # code -1 reads the last cell, which holds -1


def _newest(
    left: Mapping[str, pd.Series], right: pd.DataFrame, step: Link, left_code: Codes, code: Codes
) -> Codes:
    """Take the newest row of the same code at or before the left time: one sort, two searches.

    Key and time become one integer, so that a single binary search answers for both; times are
    ranked first, as their microseconds would leave no room for the key.
    """
    ((left_name, right_name),) = step.as_of.items()
    for column in (left[left_name], right[right_name]):
        is_time = pd.api.types.is_datetime64_any_dtype(column.dtype)
        if not is_time or _family(left[left_name]) != _family(right[right_name]):
            raise _unlike("times", left[left_name], right[right_name], step)
    left_time, time = _microseconds(left[left_name]), _microseconds(right[right_name])
    rows = np.flatnonzero(right[right_name].notna().to_numpy() & (code >= 0))
    if not len(rows):
        return np.full(len(left_code), NO_PARTNER, np.int64)
    times, rank = np.unique(time[rows], return_inverse=True)
    place = code[rows] * len(times) + rank
    order = np.argsort(place, kind="stable")
    rows, place = rows[order], place[order]
    if (place[1:] == place[:-1]).any():
        whole = np.full(len(right), -1, np.int64)
        whole[rows] = place
        raise _fan_out(right, step, whole)

    left_rank = np.searchsorted(times, left_time, side="right") - 1
    at = np.searchsorted(place, left_code * len(times) + left_rank, side="right") - 1
    row = rows[at]  # -1 reads some row; it is dropped below
    found = (left_code >= 0) & (left_rank >= 0) & (at >= 0) & (code[row] == left_code)
    if step.within_hours is not None:
        found &= left_time - time[row] <= step.within_hours * _HOUR_US
    return np.where(found, row, NO_PARTNER)


def _microseconds(column: pd.Series) -> Codes:
    """Return them since 1970; a missing time is the least of all numbers."""
    return pd.DatetimeIndex(column).as_unit("us").asi8


def _joined(code: Codes, found: Codes, n_values: int) -> Codes:
    joined = code * n_values + found
    joined[(code < 0) | (found < 0)] = -1
    return joined


def _codes(key: pd.Series, values: pd.Index) -> Codes:
    if isinstance(key.dtype, pd.CategoricalDtype):
        # One lookup a category instead of one a row; a missing value has code -1.
        texts = pd.Index(values.astype(object))
        found = texts.get_indexer(pd.Index(key.cat.categories.astype(object)))
        by_category: Codes = np.append(found, -1)[key.cat.codes.to_numpy()]
        return by_category
    found = values.get_indexer(pd.Index(key))
    found[key.isna().to_numpy()] = -1
    return found


def _dense(dense: pd.Index, code: Codes) -> Codes:
    return dense.get_indexer(pd.Index(code)).astype(np.int64)


def _family(key: pd.Series) -> str:
    if isinstance(key.dtype, pd.CategoricalDtype) or pd.api.types.is_object_dtype(key.dtype):
        return "text"
    if pd.api.types.is_numeric_dtype(key.dtype):
        return "number"
    return f"time {getattr(key.dtype, 'tz', None)}"


def _unlike(what: str, left: pd.Series, right: pd.Series, step: Link) -> DataError:
    return DataError(
        f"{what} of one type ({left.name} is {left.dtype})",
        f"{right.name} is {right.dtype}",
        f"link to {step.table}",
        _REMEDY,
    )


def _fan_out(right: pd.DataFrame, step: Link, code: Codes) -> DataError:
    values, counts = np.unique(code[code >= 0], return_counts=True)
    doubled = values[counts > 1]
    at = np.flatnonzero(code == doubled[0])
    names = [*step.on.values(), *step.as_of.values()]
    return DataError(
        f"one row of {step.table} for each {', '.join(names)}",
        f"{len(at)} rows for {shown(right, int(at[0]), names)}: {data_rows(right, at)} "
        f"({len(doubled)} such keys)",
        f"link to {step.table}",
        "remove the repeated rows, or link on more columns",
    )


def shown(table: Mapping[str, pd.Series] | pd.DataFrame, at: int, names: Sequence[str]) -> str:
    """`name=value` of one row, for an error."""
    values = ((name, table[name].iloc[at]) for name in names)
    return ", ".join(
        f"{name}={value.isoformat() if isinstance(value, pd.Timestamp) else value}"
        for name, value in values
    )


def data_rows(table: pd.DataFrame, at: npt.NDArray[np.intp], most: int = 3) -> str:
    """Rows of a table for an error, counted from 1 below the header, by their labels."""
    labels = [str(int(label) + 1) for label in table.index[at[:most]]]
    more = f" and {len(at) - most} more" if len(at) > most else ""
    return f"data row{'s' * (len(at) > 1)} {', '.join(labels)}{more}"
