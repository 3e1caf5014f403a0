"""Two columns whose values changed places."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from retrue.triage.distances import by_block, distance, grid
from retrue.triage.faults import finding
from retrue.triage.sides import segment, shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.triage.distances import Grid
    from retrue.triage.result import Finding
    from retrue.triage.sides import Side

_FAR, _ALIKE = 0.5, 1 / 3
_MIN_VALUES = 30


def swapped_numbers(known: Side, window: Side, recent: NDArray[np.bool_]) -> list[Finding]:
    """Pairs of numeric features, each of which has the distribution that the other had."""
    bases = {
        name: base
        for name, values in known.numbers.items()
        if name in window.numbers and (base := grid(values[recent])) is not None
    }
    own = {name: _apart(window, name, bases, name) for name in bases}
    moved = [name for name, far in own.items() if (far >= _FAR).any()]
    found = []
    for a, b in combinations(moved, 2):
        plain = (own[a] + own[b]) / 2
        crossed = (_apart(window, a, bases, b) + _apart(window, b, bases, a)) / 2
        at = segment(plain - crossed - _FAR / 2)
        rows = at[window.blocks]
        if rows.sum() < _MIN_VALUES:
            continue
        va, vb = window.numbers[a][rows], window.numbers[b][rows]
        far = min(distance(va, bases[a]), distance(vb, bases[b]))
        near = max(distance(va, bases[b]), distance(vb, bases[a]))
        if far >= _FAR and near <= far * _ALIKE:
            found.append(
                finding(
                    "swapped columns",
                    f"{a} and {b}",
                    f"{a} has the values of {b} and {b} those of {a}: distance {near:.2f} when"
                    f" exchanged, {far:.2f} as they are",
                    window,
                    at,
                    {"distance": far, "exchanged": near},
                )
            )
    return found


def swapped_texts(known: Side, window: Side) -> list[Finding]:
    """Pairs of categorical features, each of which has the categories that the other had."""
    found = []
    names = [name for name in known.texts if name in window.texts]
    for a, b in combinations(names, 2):
        la, lb = set(known.texts[a].labels), set(known.texts[b].labels)
        own = np.minimum(_unknown(window, a, la), _unknown(window, b, lb))
        crossed = np.maximum(_unknown(window, a, lb), _unknown(window, b, la))
        at = (own >= _FAR) & (crossed <= own * _ALIKE)
        if at.any():
            found.append(
                finding(
                    "swapped columns",
                    f"{a} and {b}",
                    f"{own[at].mean():.0%} of {a} and {b} are unknown as they are,"
                    f" {crossed[at].mean():.0%} when exchanged",
                    window,
                    at,
                    {"unknown": own[at].mean(), "exchanged": crossed[at].mean()},
                )
            )
    return found


def _apart(window: Side, name: str, bases: dict[str, Grid], other: str) -> NDArray[np.float64]:
    return by_block(window.numbers[name], window.blocks, window.n_blocks, bases[other])


def _unknown(window: Side, name: str, labels: set[str]) -> NDArray[np.float64]:
    """Share of each block's values that are none of the labels; 0 where there are too few."""
    column = window.texts[name]
    new = [code for code, label in enumerate(column.labels) if label not in labels]
    share = shares(np.isin(column.codes, new), window, column.codes >= 0)
    return np.nan_to_num(share)
