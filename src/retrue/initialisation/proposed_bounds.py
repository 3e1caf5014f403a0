"""Bounds that hold for the rows they come from, and for other rows of the same kind.

Another sample of n rows differs from this one by chance. Shares are given five standard errors of
the difference of two samples, quantiles likewise in their rank, whatever the distribution: that is
one false refusal in a million columns. On top comes room for a world that moves.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd
    from numpy.typing import NDArray

    from retrue.initialisation.profiling import Column

    Floats = NDArray[np.float64]

LEAST_BATCH = 100
"""Rows below which a table says too little of its like."""

_ERRORS = 5.0
_LONG_TAIL = 6.0
# Of any column with so many rows beside its commonest value another sample has two values.
_SURE = 30
_ROOM = 1.5
"""How far beyond its own spread a quantile may go: Celsius turned Fahrenheit goes three times."""


def usual_batches(times: pd.Series[Any]) -> pd.Series[Any]:
    """A number for each row: the batch it would be in, were batches delivered one a day.

    A batch has `LEAST_BATCH` rows or more, in order of time. Each is to meet the same rules as the
    whole table, which has more distinct values and evener shares.
    """
    n_days = max(int(times.dt.floor("D").nunique()), 1)
    size = max(len(times) // n_days, LEAST_BATCH)
    return times.rank(method="first", na_option="bottom").sub(1).floordiv(size).astype("int64")


def least_present(column: Column, batches: pd.Series[Any] | None) -> float:
    """Smallest share of rows with a value; 0 where chance alone allows none.

    A sixth of the present values may go missing, or what chance explains: a burst of 30 % is more.
    """
    missing, n = column.null_share, max(column.n_rows, 1)
    if batches is not None:
        n = max(n // (int(batches.max()) + 1), 1)
    error = math.sqrt(2 * max(missing, 1 / n) * (1 - min(missing, 1 - 1 / n)) / n)
    slack = max(0.15 * (1 - missing), _ERRORS * error + 3 / n)
    return max(0.0, math.floor((1 - missing - slack) * 1000) / 1000)


def least_distinct(values: pd.Series[Any], column: Column, batches: pd.Series[Any] | None) -> int:
    """Half of the distinct values that chance leaves for sure; 0 or less where they are few."""
    n, n_other = column.n_distinct, column.n_present - column.n_top
    if batches is not None:
        by_batch = values.groupby(batches).nunique()
        n, n_other = int(by_batch.median()), n_other // len(by_batch)
    least = int((n - _ERRORS * math.sqrt(2 * n)) / 2)
    return max(least, 2) if n_other >= _SURE else least


def generous_range(numbers: Floats) -> tuple[float, float]:
    """A range that other rows of the same distribution keep to, heavy tails included.

    A side becomes three times as long as it was; where a side was longer than six spreads, which
    ten thousand normal values are not, its square in units of the spread: the largest of n values
    of a Pareto distribution with index 1 is about n, and that of another n values is below n
    squared but for one time in n. Zero stays the bound where nothing is below and zero is common.
    """
    middle = float(np.median(numbers))
    quartiles = np.quantile(numbers, [0.25, 0.75])
    spread = float(quartiles[1] - quartiles[0]) / 2 or float(np.std(numbers))
    lengths = middle - float(numbers.min()), float(numbers.max()) - middle
    # One side tells for both: of two long tails a sample may show one.
    heavy = max(lengths) > _LONG_TAIL * spread
    below, above = (
        max(3 * length, 3 * spread, length * min(length / spread, 1e12) * heavy)
        for length in lengths
    )
    low, high = middle - below, middle + above
    if numbers.min() == 0 and low < 0 and _stops_at_zero(numbers):
        low = 0.0
    return low, high


def _stops_at_zero(numbers: Floats) -> bool:
    """Zero is common, and commoner than the next value: a floor, and no chance lowest value."""
    n_zero = int(np.sum(numbers == 0))
    above = numbers[numbers > 0]
    n_next = int(np.sum(above == above.min())) if len(above) else 0
    return n_zero >= 20 and n_zero >= n_next


def quantile_bands(numbers: Floats) -> list[list[float | None]]:
    """Bands for the 5 %, 50 % and 95 % quantiles.

    The low quantile must stay below a value that the high one must exceed, so that no constant
    column passes, where the distribution allows such a pair. Outwards there is half as much room
    again as the sample had.
    """
    n = len(numbers)

    def rank_error(share: float) -> float:
        return _ERRORS * math.sqrt(2 * share * (1 - share) / n) + 2 / n

    def quantile(share: float) -> float:
        return float(np.quantile(numbers, min(max(share, 0), 1), method="inverted_cdf"))

    edge = 0.05 + rank_error(0.05)
    pairs = [(a, 1 - a) for a in (0.45, 0.3, 0.15) if a >= edge]
    apart = [(a, b) for a, b in pairs if quantile(a) < quantile(b)]
    low_share, high_share = (apart or pairs or [(0.5, 0.5)])[0]
    middle = quantile(0.5)
    centre = rank_error(0.5)
    below = min(quantile(0.05), quantile(0.5 - centre))
    above = max(quantile(0.95), quantile(0.5 + centre))
    ends = (float(numbers.min()), below, above, float(numbers.max()))
    lowest, below, above, highest = (
        rounded(_beyond(end, middle), numbers, up=end > middle) for end in ends
    )
    # The two in the middle stay as they are: outliers make roundings so coarse that they cross.
    return [[lowest, quantile(low_share)], [below, above], [quantile(high_share), highest]]


def _beyond(end: float, middle: float) -> float:
    return float(middle + _ROOM * (end - middle))


def rows_by_days(times: pd.Series[Any], start: date) -> tuple[str, str, float]:
    """Formulas of `days` for the least and the most rows, and the rows a day there were.

    Half to twice the mean, moved so far that they hold after every day since `start`.
    """
    values = times.dropna()
    if values.dt.tz is not None:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    day = (values.to_numpy("datetime64[D]") - np.datetime64(start, "D")).astype(np.int64)
    day = np.sort(day[day >= 0])
    n_days = int(day[-1]) + 1 if len(day) else 1
    days = np.arange(1, n_days + 1)
    so_far = np.searchsorted(day, days, side="left")
    rate = len(day) / n_days
    slow, fast = (
        np.format_float_positional(r, 4, fractional=False, trim="-") for r in (rate / 2, rate * 2)
    )
    # Chance: another sample's count differs by five standard errors of a Poisson count.
    room = math.ceil(_ERRORS * math.sqrt(2 * max(len(day), 1)))
    under = math.ceil(max(0.0, float(np.max(float(slow) * days - so_far)))) + room
    over = math.ceil(max(0.0, float(np.max(so_far - float(fast) * days)))) + room
    return f"{slow} * days - {under}", f"{fast} * days + {over}", rate


def rounded(value: float, numbers: Floats, *, up: bool) -> float | int:
    """Round outwards to a thousandth of the range of `numbers`: short to read."""
    span = float(np.ptp(numbers))
    if span <= 0 or not math.isfinite(value):
        return value
    digits = 3 - math.floor(math.log10(span))
    # What is as short already stays; a product like 460.76000000000005 must not go a step further.
    near = round(value, digits)
    if not math.isclose(near, value, rel_tol=1e-12):
        near = round((math.ceil if up else math.floor)(value * 10.0**digits) / 10.0**digits, digits)
    return int(near) if near.is_integer() and abs(near) < 2**53 else near
