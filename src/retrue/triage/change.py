"""What moved and looks real: more than blocks of the reference differ among themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrue.triage.distances import distance, grid
from retrue.triage.outcomes import auc
from retrue.triage.sides import shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.triage.sides import Coded, Side

_FACTOR, _FLOOR = 1.25, 0.05
"""Above the farthest stretch of the reference: a factor, as stretches are few, and a floor."""
_NEW_CATEGORY = 0.01
_AREA_LOST, _RATE = 0.05, 0.03
_STRETCHES = 3


def changes(reference: Side, window: Side) -> tuple[str, ...]:
    """Features, categories, labels and ranking that moved, each in words.

    A feature moved when its distance to the reference (Kolmogorov's, or total variation of
    categories) exceeds that of each third of the reference to the others by a quarter and .05.
    """
    found = []
    stretch = np.minimum(
        reference.blocks * _STRETCHES // max(reference.n_blocks, 1), _STRETCHES - 1
    )
    parts = [(stretch == i) for i in range(_STRETCHES)] if reference.n_blocks >= _STRETCHES else []
    for name, values in window.numbers.items():
        if name not in reference.numbers:
            continue
        before = reference.numbers[name]
        usual = [_number_gap(before[~mine], before[mine]) for mine in parts]
        far = _number_gap(before, values)
        if far > _FACTOR * max(usual, default=0) + _FLOOR:
            found.append(f"{name} is {far:.2f} away from the reference")
    for name, column in window.texts.items():
        if name not in reference.texts:
            continue
        known = reference.texts[name]
        usual = [_text_gap(known, known, ~mine, mine) for mine in parts]
        far = _text_gap(known, column)
        new = [c for c, label in enumerate(column.labels) if label not in set(known.labels)]
        share = float(np.isin(column.codes, new).mean()) if window.n_rows else 0.0
        if far > _FACTOR * max(usual, default=0) + _FLOOR or share >= _NEW_CATEGORY:
            also = f", {share:.1%} in new categories" if share else ""
            found.append(f"{name} is {far:.2f} away from the reference{also}")
    return (*found, *_outcome_changes(reference, window))


def _outcome_changes(reference: Side, window: Side) -> list[str]:
    if reference.labels is None or window.labels is None:
        return []
    found = []
    had, has = ~np.isnan(reference.labels), ~np.isnan(window.labels)
    if not had.any() or not has.any():
        return []
    usual, now = float(reference.labels[had].mean()), float(window.labels[has].mean())
    daily = shares(reference.labels == 1, reference, had)
    noise = float(np.nanstd(daily)) / np.sqrt(max(window.n_blocks, 1))
    if abs(now - usual) > max(_RATE, 3 * noise):
        found.append(f"{now:.0%} of the labels are 1, {usual:.0%} were")
    if reference.scores is not None and window.scores is not None:
        before = auc(reference.labels[had], reference.scores[had])
        after = auc(window.labels[has], window.scores[has])
        if before - after > _AREA_LOST:
            found.append(f"the champion's AUC is {after:.2f}, it was {before:.2f}")
    return found


def _number_gap(before: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    known = grid(before)
    far = float("nan") if known is None else distance(values, known)
    return 0.0 if np.isnan(far) else far


def _text_gap(
    before: Coded,
    now: Coded,
    rows: NDArray[np.bool_] | None = None,
    others: NDArray[np.bool_] | None = None,
) -> float:
    a = before.codes if rows is None else before.codes[rows]
    b = now.codes if others is None else now.codes[others]
    p, q = _frequencies(a, before.labels), _frequencies(b, now.labels)
    return sum(abs(p.get(one, 0.0) - q.get(one, 0.0)) for one in p.keys() | q.keys()) / 2


def _frequencies(codes: NDArray[np.intp], labels: tuple[str, ...]) -> dict[str, float]:
    sizes = np.bincount(codes[codes >= 0], minlength=len(labels))
    total = max(int(sizes.sum()), 1)
    return {label: size / total for label, size in zip(labels, sizes.tolist(), strict=True)}
