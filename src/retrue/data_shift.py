"""How the distribution of a column moved between two tables."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

_BINS = 10
# A share of nothing has no logarithm; one in 10,000 is the usual floor.
_LEAST_SHARE = 1e-4
# Rarer categories count as one: thousands of texts that occur once would drown the index.
_CATEGORIES = 50
_TOP = 5


@dataclass(frozen=True)
class Summary:
    """One side of a column: `mean` and `median` of numbers; times count as seconds since 1970."""

    n_rows: int
    missing: float
    """Share in [0, 1]; 0 for an empty table."""
    mean: float | None = None
    median: float | None = None
    n_distinct: int | None = None
    """Of texts."""


@dataclass(frozen=True)
class Shift:
    """What moved in one column; None where a side has no value."""

    column: str
    before: Summary
    after: Summary
    psi: float | None
    """Population stability index (Siddiqi 2006), >= 0: below 0.1 stable, above 0.25 another
    population. Deciles of the first side, or its commonest categories; missing values apart."""
    ks: float | None
    """Largest distance of the two cumulative distributions, in [0, 1]; numbers and times."""
    shares: dict[str, tuple[float, float]]
    """Categories whose share moved most, before and after."""
    is_time: bool = False


def shift(name: str, before: pd.Series, after: pd.Series) -> Shift:
    """Compare two columns of the same kind: numbers, booleans, times or texts."""
    if _is_text(before) or _is_text(after):
        return _shift_of_texts(name, before, after)
    is_time = pd.api.types.is_datetime64_any_dtype(before.dtype)
    a, b = _sorted_numbers(before), _sorted_numbers(after)
    one, other = _summary(len(before), a), _summary(len(after), b)
    if not len(a) or not len(b):
        return Shift(name, one, other, None, None, {}, is_time)
    edges = np.unique(a[np.maximum((np.arange(1, _BINS) * len(a)) // _BINS - 1, 0)])
    if edges[0] == a[0]:
        # A lowest value that is a decile by itself gets a bin of its own.
        edges = np.append(np.nextafter(a[0], -np.inf), edges)
    parts_a, parts_b = (
        np.diff(np.searchsorted(x, edges, "right"), prepend=0, append=len(x)) for x in (a, b)
    )
    return Shift(name, one, other, _psi(parts_a, parts_b), ks_distance(a, b), {}, is_time)


def _is_text(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype) or column.dtype == object


def _sorted_numbers(column: pd.Series) -> Floats:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        present = column.dropna()
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            present = present.dt.tz_convert("UTC").dt.tz_localize(None)
        values = present.to_numpy().astype("datetime64[us]").view(np.int64) / 1e6
    else:
        values = column.to_numpy(np.float64)
        values = values[~np.isnan(values)]
    return np.sort(values)


def _summary(n_rows: int, values: Floats) -> Summary:
    missing = 1 - len(values) / n_rows if n_rows else 0.0
    if not len(values):
        return Summary(n_rows, missing)
    middle = values[(len(values) - 1) // 2 : len(values) // 2 + 1]
    return Summary(n_rows, missing, float(values.mean()), float(middle.mean()))


def ks_distance(a: Floats, b: Floats) -> float:
    """Kolmogorov-Smirnov distance of sorted values without NaN, 0 to 1.

    Between two values of `a` only the other side grows: the ends suffice.
    """
    starts = np.flatnonzero(np.diff(a, prepend=np.nan))
    points = a[starts]
    reached = np.append(starts[1:], len(a)) / len(a) - np.searchsorted(b, points, "right") / len(b)
    left = starts / len(a) - np.searchsorted(b, points, "left") / len(b)
    return float(max(np.abs(reached).max(), np.abs(left).max()))


def _psi(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> float:
    p = np.maximum(before / before.sum(), _LEAST_SHARE)
    q = np.maximum(after / after.sum(), _LEAST_SHARE)
    return float(((q - p) * np.log(q / p)).sum())


def _shift_of_texts(name: str, before: pd.Series, after: pd.Series) -> Shift:
    counts = pd.concat([_counts(before), _counts(after)], axis=1, keys=["a", "b"]).fillna(0)
    a, b = counts["a"].to_numpy(np.float64), counts["b"].to_numpy(np.float64)
    one, other = _summary_of_texts(len(before), a), _summary_of_texts(len(after), b)
    if not a.sum() or not b.sum():
        return Shift(name, one, other, None, None, {})
    ranked = np.lexsort((-b, -a))
    first, rest = ranked[:_CATEGORIES], ranked[_CATEGORIES:]
    parts_a, parts_b = (np.append(x[first], x[rest].sum()) for x in (a, b))
    used = parts_a + parts_b > 0
    psi = _psi(parts_a[used], parts_b[used])
    p, q = a / a.sum(), b / b.sum()
    top = [i for i in np.argsort(-np.abs(q - p), kind="stable")[:_TOP] if p[i] != q[i]]
    shares = {str(counts.index[i]): (float(p[i]), float(q[i])) for i in top}
    return Shift(name, one, other, psi, None, shares)


def _summary_of_texts(n_rows: int, counts: Floats) -> Summary:
    missing = 1 - float(counts.sum()) / n_rows if n_rows else 0.0
    return Summary(n_rows, missing, n_distinct=int(np.count_nonzero(counts)))


def _counts(column: pd.Series) -> pd.Series:
    found: pd.Series = column.astype("category").value_counts(sort=False)
    found.index = found.index.astype(object)
    return found
