"""Labels the wrong way round, labels that are all one, and features that know them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retrue.triage.distances import distance, grid
from retrue.triage.faults import finding
from retrue.triage.sides import counts, segment, shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.triage.result import Finding
    from retrue.triage.sides import Side

_CHANCE, _MARGIN = 0.5, 0.02
_FLIPPED = 0.45
_EVEN = 0.1
"""A label rate this close to a half is its own mirror image."""
_MIN_ROWS = 100
_MIN_DAYS = 5
"""Without scores a storm of some days is not a suspicion."""
_LEAK, _LEAK_GAIN, _MOVED = 0.95, 0.15, 0.1


def flipped_labels(known: Side, window: Side) -> list[Finding]:
    """Days on which the champion ranks the wrong way round and the labels' rate is mirrored.

    Both together: a concept that turned keeps its rate, a storm keeps the ranking. Where the rate
    is near a half it cannot tell, and neither can this. Without scores a mirrored rate is a
    suspicion.
    """
    if window.labels is None or known.labels is None:
        return []
    usual = float(np.nanmean(known.labels)) if (~np.isnan(known.labels)).any() else np.nan
    has = ~np.isnan(window.labels)
    if np.isnan(usual) or not has.any():
        return []
    rate = shares(window.labels == 1, window, has)
    is_even = abs(usual - _CHANCE) < _EVEN
    if window.scores is None:
        if is_even:
            return []
        nearer = np.abs(rate - usual) - np.abs(rate - (1 - usual))
        at = segment(np.where(counts(has, window) >= _MIN_ROWS, nearer, -1.0))
    else:
        areas = np.array(
            [
                auc(window.labels[mine], window.scores[mine])
                for mine in (has & (window.blocks == i) for i in range(window.n_blocks))
            ]
        )
        at = segment(_CHANCE - _MARGIN - areas)
    rows = at[window.blocks] & has
    if rows.sum() < _MIN_ROWS or (window.scores is None and at.sum() < _MIN_DAYS):
        return []
    now = float(window.labels[rows].mean())
    is_mirrored = is_even or abs(now - (1 - usual)) < abs(now - usual)
    area = np.nan if window.scores is None else auc(window.labels[rows], window.scores[rows])
    if not is_mirrored or area > _FLIPPED:
        return []
    ranks = "" if np.isnan(area) else f"; the champion's AUC is {area:.2f}"
    return [
        finding(
            "labels flipped",
            "",
            f"{now:.0%} of the labels are 1, {usual:.0%} were{ranks}",
            window,
            at,
            {"rate": now, "usual": usual} | ({} if np.isnan(area) else {"auc": area}),
            is_certain=not is_even and not np.isnan(area),
        )
    ]


def constant_labels(known: Side, window: Side) -> list[Finding]:
    """Days with one outcome only, where both always came."""
    if window.labels is None or known.labels is None:
        return []
    has, had = ~np.isnan(window.labels), ~np.isnan(known.labels)
    usual = shares(known.labels == 1, known, had, least=_MIN_ROWS)
    now = shares(window.labels == 1, window, has, least=_MIN_ROWS)
    seen = usual[~np.isnan(usual)]
    if not len(seen) or seen.min() <= 0 or seen.max() >= 1:
        return []
    at = (now == 0) | (now == 1)
    if not at.any():
        return []
    return [
        finding(
            "labels constant",
            "",
            f"all labels are {now[at][0]:g} on {at.sum()} of {window.n_blocks} days; before,"
            f" {seen.min():.0%} to {seen.max():.0%} were 1",
            window,
            at,
            {"rate": now[at][0], "lowest": seen.min(), "highest": seen.max()},
        )
    ]


def leaks(known: Side, window: Side) -> list[Finding]:
    """Features that moved, and now alone tell the outcome, and did not before.

    The AUC of one feature, either way round (Hanley & McNeil 1982). Of a category it is that of
    the label's rate in it. A feature that stayed as it was and tells the outcome now is a new
    concept.
    """
    if window.labels is None or known.labels is None:
        return []
    found = []
    for name in [*window.numbers, *window.texts]:
        if name in known.absent:
            continue
        now = _power(window, name)
        if now < _LEAK:
            continue
        before = _power(known, name)
        if now - before < _LEAK_GAIN or not has_moved(known, window, name, _MOVED):
            continue
        found.append(
            finding(
                "future leak",
                name,
                f"{name} alone tells the label with an AUC of {now:.2f}; before, {before:.2f}",
                window,
                np.ones(window.n_blocks, np.bool_),
                {"auc": now, "usual": before},
            )
        )
    return found


def auc(labels: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Area under the ROC curve by ranks (Mann & Whitney 1947); NaN below 5 rows of a class."""
    keep = ~np.isnan(scores)
    y, s = labels[keep], scores[keep]
    positives = int((y == 1).sum())
    negatives = len(y) - positives
    if min(positives, negatives) < 5:
        return float("nan")
    _, codes, sizes = np.unique(s, return_inverse=True, return_counts=True)
    ranks = np.cumsum(sizes) - (sizes - 1) / 2  # ties share their mean rank
    total = float(ranks[codes][y == 1].sum())
    return (total - positives * (positives + 1) / 2) / (positives * negatives)


def has_moved(known: Side, window: Side, name: str, by: float) -> bool:
    """Whether a feature's distribution is further away than that (Kolmogorov, total variation)."""
    if name in window.numbers:
        base = grid(known.numbers[name])
        return base is not None and distance(window.numbers[name], base) > by
    sides = [
        pd.Series(side.texts[name].codes)
        .map(dict(enumerate(side.texts[name].labels)))
        .value_counts(normalize=True)
        for side in (known, window)
    ]
    return float(sides[0].sub(sides[1], fill_value=0).abs().sum() / 2) > by


def _power(side: Side, name: str) -> float:
    labels = side.labels
    assert labels is not None  # asked by `leaks` alone
    has = ~np.isnan(labels)
    if name in side.numbers:
        values = side.numbers[name]
    else:
        codes = side.texts[name].codes
        sizes = np.bincount(codes[has] + 1)
        ones = np.bincount(codes[has] + 1, labels[has], minlength=len(sizes))
        if len(sizes) > 0.05 * has.sum():  # a category of 20 rows knows its own labels
            return _CHANCE
        rate = ones / np.maximum(sizes, 1)
        values = np.where(has, rate[np.minimum(codes + 1, len(sizes) - 1)], np.nan)
    has &= ~np.isnan(values)
    if has.sum() < _MIN_ROWS or has.mean() < _CHANCE:
        return _CHANCE
    area = auc(labels[has], values[has])
    return _CHANCE if np.isnan(area) else max(area, 1 - area)
