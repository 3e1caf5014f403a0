"""Rows that came twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retrue.triage.faults import finding
from retrue.triage.sides import highest, shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.triage.result import Finding
    from retrue.triage.sides import Side

_MORE = 0.02
"""Of a block's rows, above the worst block of the reference."""
_MORE_REPLAYED = 0.2
_MIN_DISTINCT = 0.5
"""Feature rows must be mostly distinct in the reference, or the same row says nothing."""


def repeated_keys(known: Side, window: Side) -> list[Finding]:
    """Days on which keys come more than once, more often than ever before."""
    if window.key is None:
        return []
    usual = 0.0 if known.key is None else highest(shares(_is_again(known.key), known))
    now = shares(_is_again(window.key), window)
    at = np.nan_to_num(now) > usual + _MORE
    if not at.any():
        return []
    share = float(now[at].mean())
    return [
        finding(
            "duplicates",
            "",
            f"{share:.0%} of the rows repeat a key; before, {usual:.1%} at most",
            window,
            at,
            {"share": share, "usual": usual},
        )
    ]


def replayed_rows(known: Side, window: Side) -> list[Finding]:
    """Days whose rows, key and time apart, came before: a batch that was sent again."""
    names = [n for n in [*window.numbers, *window.texts] if n not in known.absent]
    if len(names) < 2:
        return []
    codes = {name: _joint_codes(known, window, name) for name in names}
    before = _is_again(_hashes([codes[name][0] for name in names]))
    if 1 - before.mean() < _MIN_DISTINCT:
        return []
    usual = highest(shares(before, known))
    now = shares(_is_again(_hashes([codes[name][1] for name in names])), window)
    at = np.nan_to_num(now) > usual + _MORE_REPLAYED
    if not at.any():
        return []
    share = float(now[at].mean())
    return [
        finding(
            "replayed rows",
            "",
            f"{share:.0%} of the rows are the same in all features as a row before them;"
            f" before, {usual:.0%} at most",
            window,
            at,
            {"share": share, "usual": usual},
        )
    ]


def _is_again(values: NDArray[np.uint64]) -> NDArray[np.bool_]:
    return pd.Series(values).duplicated().to_numpy()


def _joint_codes(
    known: Side, window: Side, name: str
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    if name in window.numbers:
        sides = (known.numbers[name], window.numbers[name])
        return tuple(np.ascontiguousarray(side).view(np.uint64) for side in sides)  # type: ignore[return-value]
    found = []
    for column in (known.texts[name], window.texts[name]):
        hashes = pd.util.hash_array(np.array([*column.labels, ""], object))
        found.append(hashes[column.codes])
    return found[0], found[1]


def _hashes(columns: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """One number a row; rows that differ share one by a chance of some 1 in 10^19."""
    total = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        total = (total ^ column) * np.uint64(0x9E3779B97F4A7C15)
        total ^= total >> np.uint64(29)
    return total
