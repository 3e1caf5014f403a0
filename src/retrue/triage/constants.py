"""Values that stand still, and values that stand for none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrue.triage.faults import finding
from retrue.triage.sides import Coded, Side, counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.triage.result import Finding

_MIN_ROWS = 10
_MIN_DISTINCT = 3
_MOST_SOURCES = 20
_MIN_MASS, _MIN_SHARE = 5, 0.002
_MOST_SENTINELS, _OF_STRAYS = 3, 0.5
"""More values out of range, or others beside them, are a scale or a change."""
_ISOLATED, _LISTED = 0.5, 0.1
"""Of the reference's range, between a stray value and the next: of any number, of a usual one."""

SENTINELS = tuple(
    float(sign * base)
    for base in (1, 99, 999, 8888, 9999, 32767, 32768, 99999, 999999)
    for sign in (1, -1)
)
"""Numbers that stand for "missing", as in NOAA's and NASA's formats, and the ends of int16."""
WORDS = frozenset(
    ("", "nan", "null", "none", "na", "n/a", "#n/a", "?", "-", "unknown", "missing", "undefined")
)


def stuck_values(known: Side, window: Side) -> list[Finding]:
    """Numbers that do not move for a whole day, at all or in one source, and always did before."""
    found = []
    sources: dict[str, Coded | None] = {"": None} | {
        name: column
        for name, column in known.texts.items()
        if name in window.texts and 2 <= len(column.labels) <= _MOST_SOURCES
    }
    for name, values in window.numbers.items():
        if name in known.absent:
            continue
        for source, column in sources.items():
            at, who = _stuck(
                known.numbers[name], known, column, values, window, window.texts.get(source)
            )
            if at.any():
                where = f" of {source} {', '.join(who)}" if source else ""
                found.append(
                    finding(
                        "stuck",
                        name,
                        f"{name}{where} has one value a day on {at.sum()} of {window.n_blocks}"
                        f" days; before, at least {_MIN_DISTINCT} on each day",
                        window,
                        at,
                        {"days": at.sum()},
                    )
                )
                break
    return found


def sentinel_values(known: Side, window: Side) -> list[Finding]:
    """One value with a mass, never seen before and far from all that was."""
    found = []
    for name, values in window.numbers.items():
        before = known.numbers.get(name, np.empty(0))
        before = before[~np.isnan(before)]
        if not len(before):
            continue
        low, high = before.min(), before.max()
        is_out = (values < low) | (values > high)
        stray, sizes = np.unique(values[is_out], return_counts=True)
        least = max(_MIN_MASS, _MIN_SHARE * window.n_rows)
        others = np.unique(values[~np.isnan(values)])
        alone = [
            value
            for value, size in zip(stray.tolist(), sizes.tolist(), strict=True)
            if size >= least and _is_alone(value, others, float(high - low))
        ]
        hit = np.isin(values, alone)
        if not alone or len(alone) > _MOST_SENTINELS or hit.sum() < _OF_STRAYS * is_out.sum():
            continue
        found.append(
            finding(
                "sentinel",
                name,
                f"{name} is {' or '.join(f'{value:g}' for value in alone)} in {hit.mean():.1%} of"
                f" the rows; before, it lay between {low:g} and {high:g}",
                window,
                counts(hit, window) > 0,
                {"value": alone[0], "share": hit.mean()},
            )
        )
    for name, column in window.texts.items():
        if name not in known.texts:
            continue
        new = [
            code
            for code, label in enumerate(column.labels)
            if label not in known.texts[name].labels and _stands_for_none(label)
        ]
        hit = np.isin(column.codes, new)
        if hit.sum() >= max(_MIN_MASS, _MIN_SHARE * window.n_rows):
            words = ", ".join(repr(column.labels[code]) for code in new)
            found.append(
                finding(
                    "sentinel",
                    name,
                    f"{name} is {words} in {hit.mean():.1%} of the rows, and never was",
                    window,
                    counts(hit, window) > 0,
                    {"share": hit.mean()},
                )
            )
    return found


def _is_alone(value: float, others: NDArray[np.float64], width: float) -> bool:
    gap = np.abs(others[others != value] - value)
    return not len(gap) or bool(gap.min() > (_LISTED if value in SENTINELS else _ISOLATED) * width)


def _stands_for_none(label: str) -> bool:
    text = label.strip().lower()
    return text in WORDS or text in {f"{one:g}" for one in SENTINELS}


def _stuck(
    before: NDArray[np.float64],
    known: Side,
    known_source: Coded | None,
    values: NDArray[np.float64],
    window: Side,
    source: Coded | None,
) -> tuple[NDArray[np.bool_], list[str]]:
    labels = ("",) if known_source is None else known_source.labels
    place = {label: code for code, label in enumerate(labels)}
    codes = None
    if source is not None:
        codes = np.array([*(place.get(label, -1) for label in source.labels), -1])[source.codes]
    now = _distinct(values, window, codes, labels)
    if not (now == 1).any():  # most often; and the reference is the larger part of the work
        return np.zeros(window.n_blocks, np.bool_), []
    usual = _distinct(before, known, None if known_source is None else known_source.codes, labels)
    least = np.where(usual > 0, usual, np.inf).min(axis=0)
    still = (now == 1) & (least >= _MIN_DISTINCT) & np.isfinite(least)
    return still.any(axis=1), sorted(labels[i] for i in still.any(axis=0).nonzero()[0])


def _distinct(
    values: NDArray[np.float64],
    side: Side,
    source: NDArray[np.intp] | None,
    labels: tuple[str, ...],
) -> NDArray[np.intp]:
    """Distinct values of each block and source, (n_blocks, n_sources); 0 below 10 values."""
    is_value = ~np.isnan(values) if source is None else ~np.isnan(values) & (source >= 0)
    width = len(labels)
    group = side.blocks[is_value] * width + (0 if source is None else source[is_value])
    kept = values[is_value]
    order = np.lexsort((kept, group))
    group, kept = group[order], kept[order]
    is_new = np.ones(len(kept), np.bool_)
    is_new[1:] = (group[1:] != group[:-1]) | (kept[1:] != kept[:-1])
    distinct = np.bincount(group[is_new], minlength=side.n_blocks * width)
    sizes = np.bincount(group, minlength=side.n_blocks * width)
    return np.where(sizes >= _MIN_ROWS, distinct, 0).reshape(side.n_blocks, width)
