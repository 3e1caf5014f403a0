"""What stands in each column: kind, missing, distinct, middle and ends, a small picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrue.config import Problem
from retrue.exploration.vectors import Floats, Ints, Kind, Vector, number_text
from retrue.labelling.label_expression import columns as label_columns

N_BARS = 24
N_TOP = 5
ID_SHARE = 0.95
"""Share of distinct values from which whole numbers and texts are taken for identifiers."""
ID_ROWS = 50
"""With fewer rows, distinct values say nothing."""
MOSTLY_MISSING = 0.5
NEARLY_CONSTANT = 0.99


@dataclass(frozen=True)
class Column:
    """One column of all rows; `low`, `middle`, `high` are min, median, max of known values."""

    name: str
    kind: Kind
    role: str
    n_rows: int
    n_missing: int
    n_distinct: int
    low: str
    middle: str
    high: str
    top: tuple[tuple[str, int], ...]
    """Most frequent values and their rows, of a column that cannot be ordered."""
    bars: tuple[int, ...]
    bars_from: str
    bars_to: str
    """What the bars span: the ends, or the inner 99 % where the tails are long."""
    flags: tuple[str, ...]

    @property
    def missing_share(self) -> float:
        """Share of rows without a value, 0 to 1."""
        return self.n_missing / self.n_rows if self.n_rows else 0.0


def describe(vector: Vector, role: str) -> Column:
    """Figures of one column; all rows count."""
    n_rows = len(vector.codes)
    n_known = int(vector.counts.sum())
    low = middle = high = ""
    top: tuple[tuple[str, int], ...] = ()
    bars, span = _bars_of_levels(vector), ("", "")
    if vector.is_ordered:
        numbers, counts = _finite(vector)
        low, middle, high = (number_text(vector.kind, x) for x in _ends(numbers, counts))
        bars, span = _histogram(vector.kind, numbers, counts)
    else:
        top = tuple(zip(vector.levels[:N_TOP], vector.counts[:N_TOP].tolist(), strict=True))
    flags = tuple(_flags(vector, n_rows, n_known))
    n_missing = n_rows - n_known
    return Column(
        vector.name, vector.kind, role, n_rows, n_missing, vector.n_distinct,
        low, middle, high, top, bars, *span, flags,
    )  # fmt: skip


def roles(problem: Problem) -> dict[str, str]:
    """What the problem uses a column for; a column that is not in it is explored, not used."""
    features = problem.features
    named = dict.fromkeys(problem.data.key, "key")
    if problem.data.time:
        named[problem.data.time] = "time"
    for kind, names in (
        ("number", features.numeric),
        ("category", features.categorical),
        ("date", features.dates),
        ("text", features.text),
    ):
        named |= dict.fromkeys(names, f"feature ({kind})")
    return named | dict.fromkeys(label_columns(problem.label.expression), "label")


def _finite(vector: Vector) -> tuple[Floats, Ints]:
    """Distinct finite numbers in rising order, and their rows."""
    known = np.flatnonzero(np.isfinite(vector.numbers) & (vector.counts > 0))
    order = known[np.argsort(vector.numbers[known], kind="stable")]
    return vector.numbers[order], vector.counts[order]


def _ends(numbers: Floats, counts: Ints) -> tuple[float, float, float]:
    if not len(numbers):
        return (np.nan,) * 3
    ranks, n = np.cumsum(counts), int(counts.sum())
    halves = np.searchsorted(ranks, ((n - 1) // 2, n // 2), side="right")
    return float(numbers[0]), float(numbers[halves].mean()), float(numbers[-1])


def _histogram(
    kind: Kind, numbers: Floats, counts: Ints
) -> tuple[tuple[int, ...], tuple[str, str]]:
    if not len(numbers):
        return (), ("", "")
    low, high = numbers[0], numbers[-1]
    ranks = np.cumsum(counts) / counts.sum()
    inner = numbers[np.minimum(np.searchsorted(ranks, (0.005, 0.995)), len(numbers) - 1)]
    # A single wind of 1,048 mph would leave one bar: three times the inner width is too far.
    if high - low > 3 * (inner[1] - inner[0]) > 0:
        low, high = inner
    if low == high:
        return (int(counts.sum()),), (number_text(kind, low), number_text(kind, high))
    width = (high - low) / N_BARS
    place = np.clip(numbers, low, high) - low
    if kind == "whole number" and high - low < 1e9:
        # As many whole numbers in each bar: uneven bars would show a comb that is not there.
        width = np.ceil((high - low + 1) / (2 * N_BARS))
    n_bars = int(np.ceil((high - low + (kind == "whole number")) / width))
    index = np.minimum((place / width).astype(int), max(n_bars, 1) - 1)
    bars = np.bincount(index, counts)
    return tuple(bars.astype(int).tolist()), (number_text(kind, low), number_text(kind, high))


def _bars_of_levels(vector: Vector) -> tuple[int, ...]:
    """Rows of the most frequent values, and of all others in the last bar."""
    counts = vector.counts
    if len(counts) <= N_BARS:
        return tuple(counts.tolist())
    return (*counts[: N_BARS - 1].tolist(), int(counts[N_BARS - 1 :].sum()))


def _flags(vector: Vector, n_rows: int, n_known: int) -> list[str]:
    flags = []
    if not n_known:
        return ["all missing"]
    if vector.n_distinct == 1:
        flags.append("constant")
    elif vector.counts.max() > NEARLY_CONSTANT * n_known:
        flags.append("nearly constant")
    if (
        vector.kind in ("category", "text", "whole number")
        and n_known >= ID_ROWS
        and vector.n_distinct >= ID_SHARE * n_known
    ):
        flags.append("id-like")
    if n_rows - n_known > MOSTLY_MISSING * n_rows:
        flags.append("mostly missing")
    if len(vector.numbers) and not np.isfinite(vector.numbers[vector.counts > 0]).all():
        flags.append("infinite values")
    return flags
