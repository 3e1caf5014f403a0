"""Clocks that run in another time zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrue.triage.faults import finding
from retrue.triage.sides import segment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.triage.result import Finding
    from retrue.triage.sides import Side

_FAR, _ALIKE = 0.2, 1 / 2
_MIN_ROWS = 100
_HOURS = 24


def clock_shifts(known: Side, window: Side, recent: NDArray[np.bool_]) -> list[Finding]:
    """Days whose hours are those of the days before, moved round the clock by 2 to 22 hours.

    A move of one hour is what summer time does to a clock that shows UTC, so it is let pass.
    """
    if known.times is None or window.times is None:
        return []
    usual = _hours(known.times[recent], np.zeros(int(recent.sum()), np.intp), 1)[0]
    now = _hours(window.times, window.blocks, window.n_blocks)
    plain = _apart(now, usual)
    best, chosen = 0.0, None
    for hours in range(2, _HOURS - 1):
        moved = _apart(now, np.roll(usual, hours))
        at = segment(np.where(window.sizes >= _MIN_ROWS, plain - moved - _FAR / 2, -_FAR))
        if not at.any():
            continue
        pooled = now[at].mean(axis=0, keepdims=True)
        far, near = _apart(pooled, usual)[0], _apart(pooled, np.roll(usual, hours))[0]
        if far >= _FAR and near <= far * _ALIKE and far - near > best:
            best, chosen = far - near, (hours, at, far, near)
    if chosen is None:
        return []
    hours, at, far, near = chosen
    by = hours if hours <= _HOURS // 2 else hours - _HOURS
    return [
        finding(
            "clock shift",
            "",
            f"the hours of the rows are moved by {by:+d}: {far:.0%} of the rows lie elsewhere than"
            f" before, {near:.0%} when moved back",
            window,
            at,
            {"hours": by, "distance": far, "moved_back": near},
        )
    ]


def _hours(
    times: NDArray[np.datetime64], blocks: NDArray[np.intp], n_blocks: int
) -> NDArray[np.float64]:
    """Share of each block's rows in each hour of the day, (n_blocks, 24)."""
    hours = times.astype("datetime64[h]").astype(np.int64) % _HOURS
    table = np.bincount(blocks * _HOURS + hours, minlength=n_blocks * _HOURS)
    table = table.reshape(n_blocks, _HOURS).astype(np.float64)
    found: NDArray[np.float64] = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    return found


def _apart(hours: NDArray[np.float64], usual: NDArray[np.float64]) -> NDArray[np.float64]:
    """Total variation: the share of rows that would have to move."""
    found: NDArray[np.float64] = np.abs(hours - usual).sum(axis=1) / 2
    return found
