"""The same tests by NumPy, SciPy and LightGBM alone, from the counts of all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrue.drift import domain, statistics
from retrue.drift.categories import CategoricalReference, WindowCategories
from retrue.drift.counts import Numbers
from retrue.drift.numbers import NumericReference
from retrue.drift.single import Detected, Sides, Tested, all_null, constant

if TYPE_CHECKING:
    from retrue.drift.reference import Column
    from retrue.drift.window import Counts


def detect(sides: Sides) -> Detected:
    """K-S or chi-squared on each feature, a cross-fitted forest on samples of all jointly."""
    kinds = sides.kinds
    ref, cur = domain.matrices(sides)
    found = domain.joint(ref, cur, list(kinds.values()), sides.seed)
    features = {
        name: single(sides.reference.columns[name], sides.window.columns[name]) for name in kinds
    }
    return Detected(features, found)


def single(reference: Column, current: Counts) -> Tested:
    """Tests of one column, from counts."""
    ref, n = reference.counts, (reference.counts.n, current.n)
    missing = (ref.n_missing, current.n_missing)
    _, p_missing = statistics.chi_squared((n[0], missing[0]), (n[1], missing[1]))
    if not all(n):
        side = "current" if n[0] else "reference"
        return Tested(None, None, p_missing, collapsed=all_null(side) if any(n) else None)
    statistic, p_value = distance(reference, current)
    same = _times_of_the_one(reference, current)
    if same is None:
        return Tested(statistic, p_value, p_missing)
    side, in_reference, in_current = same
    _, p_alone = statistics.chi_squared(
        (in_reference, n[0] - in_reference), (in_current, n[1] - in_current)
    )
    return Tested(statistic, p_value, p_missing, p_alone, constant(side))


def distance(reference: Column, current: Counts) -> tuple[float, float]:
    """(statistic, p-value) of the values of two sides; both must have some."""
    if isinstance(reference, NumericReference) and isinstance(current, Numbers):
        found = statistics.ks_distance(reference.counts, current)
        return found, statistics.ks_p_value(found, reference.counts.n, current.n)
    if isinstance(reference, CategoricalReference) and isinstance(current, WindowCategories):
        return statistics.chi_squared(*_table(reference, current))
    raise TypeError(f"{type(reference).__name__} and {type(current).__name__} do not compare")


def _table(
    reference: CategoricalReference, current: WindowCategories
) -> tuple[list[int], list[int]]:
    """Rows of both sides by category, the current side's new ones too.

    Where the reference does not list its rarer categories, all that it does not list is one.
    """
    ref, cur, new = reference.counts, current.counts, current.new
    here = [cur.counts.get(name, 0) for name in ref.counts]
    if ref.n_rest:
        return [*ref.counts.values(), ref.n_rest], [*here, new.n]
    more = [*new.counts.values(), new.n_rest]
    return [*ref.counts.values(), *[0] * len(more)], [*here, *more]


def _times_of_the_one(reference: Column, current: Counts) -> tuple[str, int, int] | None:
    """The side that alone has one value, and how often that occurs in the reference and now."""
    if isinstance(reference, NumericReference) and isinstance(current, Numbers):
        ref = reference.counts
        is_one = [side.ends[0] == side.ends[1] for side in (ref, current)]
        if is_one[0] == is_one[1]:
            return None
        value = ref.ends[0] if is_one[0] else current.ends[0]
        # Of a value off the grid: all rows of its gap, so that chance is not taken for a sign.
        place = int(np.searchsorted(ref.values, value))
        at_value = place < len(ref.values) and ref.values[place] == value
        i = 2 * place + int(at_value)
        return "reference" if is_one[0] else "current", int(ref.counts[i]), int(current.counts[i])
    assert isinstance(reference, CategoricalReference)
    assert isinstance(current, WindowCategories)
    here = sum(n > 0 for n in current.counts.counts.values()) + len(current.new.counts)
    is_one = [
        len(reference.counts.counts) == 1 and not reference.counts.n_rest,
        here == 1 and not current.new.n_rest,
    ]
    if is_one[0] == is_one[1]:
        return None
    table = np.array(_table(reference, current))
    i = int(np.argmax(table[0 if is_one[0] else 1] > 0))
    return "reference" if is_one[0] else "current", int(table[0, i]), int(table[1, i])
