"""Columns that always fitted together and do not any more."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retrue.triage.faults import finding
from retrue.triage.sides import Side, highest, shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.triage.result import Finding

_HELD = 0.999
_BROKEN = 0.2
"""Of a block's rows. One airport that moves breaks the rule in its own rows alone."""
_BY_CHANCE = 0.95
_REPEATED = 0.3
_SAMPLE = 5_000
_TOGETHER = 0.8
"""Correlation above which an order of two numbers is taken for a rule."""


def broken_dependencies(known: Side, window: Side) -> list[Finding]:
    """Features that a category, or a category at a moment, always fixed, and no longer fixes.

    A functional dependency of the reference (Mannila & Räihä 1987), as a join leaves it: an airport
    has one latitude, its weather at an hour is one. A join by wrong keys, shuffled rows and
    changed units break it; a change of the population does not.
    """
    found: dict[str, Finding] = {}
    for cause in known.texts:
        if cause not in window.texts:
            continue
        moment = _moments(known, cause), _moments(window, cause)
        for name in [*window.numbers, *window.texts]:
            if name in found or name == cause or name in known.absent:
                continue
            before, now = _values(known, window, name)
            broken = _mapping(known, window, cause, before, now)
            words = f"{cause} fixes it"
            if broken is None and moment[0] is not None and moment[1] is not None:
                broken = _within(known, window, moment[0], moment[1], before, now)
                words = f"{cause} and the moment fix it"
            if broken is not None and broken.any():
                found[name] = finding(
                    "relation broken",
                    name,
                    f"{name} no longer fits {cause} on {broken.sum()} of {window.n_blocks} days;"
                    f" before, {words} in {_HELD:.1%} of the rows",
                    window,
                    broken,
                    {"days": broken.sum()},
                )
    return list(found.values())


def broken_orders(known: Side, window: Side) -> list[Finding]:
    """Pairs of numbers of which one was never above the other, and now is."""
    found: dict[str, Finding] = {}
    names = [name for name in window.numbers if name in known.numbers]
    rng = np.random.default_rng(0)
    few = rng.permutation(known.n_rows)[:_SAMPLE]
    for low, high in permutations(names, 2):
        if not _is_ordered(known.numbers[low][few], known.numbers[high][few], rng):
            continue
        a, b = known.numbers[low], known.numbers[high]
        if np.mean(a[~np.isnan(a) & ~np.isnan(b)] > b[~np.isnan(a) & ~np.isnan(b)]) > 1 - _HELD:
            continue
        x, y = window.numbers[low], window.numbers[high]
        now = np.nan_to_num(shares(x > y, window, ~np.isnan(x) & ~np.isnan(y)))
        at = now >= _BROKEN
        if at.any():
            is_swapped = float(now[at].mean()) >= _BY_CHANCE
            found[low] = finding(
                "swapped columns" if is_swapped else "relation broken",
                f"{low} and {high}",
                f"{low} is above {high} in {now[at].mean():.0%} of the rows; it never was",
                window,
                at,
                {"share": now[at].mean()},
            )
    return list(found.values())


def _is_ordered(a: NDArray[np.float64], b: NDArray[np.float64], rng: np.random.Generator) -> bool:
    """Whether a <= b by a rule: not by chance, and of two that move together."""
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[both], b[both]
    if len(a) < 500 or np.mean(a <= b) < _HELD or min(np.ptp(a), np.ptp(b)) == 0:
        return False
    # Where the order would hold by chance, as of a temperature and a year, it is no rule.
    if np.mean(rng.permutation(a) <= b) > _BY_CHANCE:
        return False
    # Two that move apart from each other stay in order for a season, and not in the next.
    return bool(np.corrcoef(a, b)[0, 1] >= _TOGETHER)


def _values(
    known: Side, window: Side, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The feature on both sides as numbers; labels by one numbering, null as NaN."""
    if name in window.numbers:
        return known.numbers[name], window.numbers[name]
    labels = {*known.texts[name].labels, *window.texts[name].labels}
    numbers = {label: float(i) for i, label in enumerate(sorted(labels))}
    return known.texts[name].mapped(numbers), window.texts[name].mapped(numbers)


def _mapping(
    known: Side,
    window: Side,
    cause: str,
    before: NDArray[np.float64],
    now: NDArray[np.float64],
) -> NDArray[np.bool_] | None:
    """Blocks where the value is not the one of the category; None when it never was fixed."""
    column = known.texts[cause]
    is_value = (column.codes >= 0) & ~np.isnan(before)
    if len(column.labels) < 2 or is_value.sum() < 10 * len(column.labels):
        return None
    codes, values = column.codes[is_value], before[is_value]
    if np.ptp(values) == 0:
        return None
    usual = np.full(len(column.labels), np.nan)
    usual[codes[::-1]] = values[::-1]  # the first one of each
    if np.mean(values == usual[codes]) < _HELD:
        return None
    fixed = dict(zip(column.labels, usual.tolist(), strict=True))
    expected = window.texts[cause].mapped(fixed)
    among = ~np.isnan(expected) & ~np.isnan(now)
    share = shares(expected != now, window, among)
    return np.asarray(np.nan_to_num(share) >= _BROKEN)


def _within(
    known: Side,
    window: Side,
    groups: NDArray[np.intp],
    window_groups: NDArray[np.intp],
    before: NDArray[np.float64],
    now: NDArray[np.float64],
) -> NDArray[np.bool_] | None:
    """Blocks where rows of one group differ; None when they always did, or groups are single."""
    usual = _differing(known, groups, before)
    if usual is None or highest(usual, 1.0) > 1 - _HELD:
        return None
    share = _differing(window, window_groups, now)
    return None if share is None else np.asarray(np.nan_to_num(share) >= _BROKEN)


def _differing(
    side: Side, groups: NDArray[np.intp], values: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Share of each block's repeated rows that differ from the first of their group."""
    is_value = (groups >= 0) & ~np.isnan(values)
    rows = np.flatnonzero(is_value)
    first = np.full(int(groups.max(initial=0)) + 1, -1, np.intp)
    first[groups[rows][::-1]] = rows[::-1]
    again = np.zeros(side.n_rows, np.bool_)
    again[rows] = first[groups[rows]] != rows
    if not len(rows) or again.sum() < _REPEATED * len(rows) or np.ptp(values[rows]) == 0:
        return None
    differs = np.zeros(side.n_rows, np.bool_)
    differs[rows] = values[first[groups[rows]]] != values[rows]
    return shares(differs, side, again)


def _moments(side: Side, cause: str) -> NDArray[np.intp] | None:
    """Group of each row: its category at its very moment; -1 without a category."""
    if side.times is None:
        return None
    column = side.texts[cause]
    moments, _ = pd.factorize(side.times)
    codes, _ = pd.factorize(moments.astype(np.int64) * (len(column.labels) + 1) + column.codes)
    return np.where(column.codes >= 0, codes, -1)
