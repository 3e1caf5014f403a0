"""Values and sources that stopped coming."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrue.triage.faults import finding
from retrue.triage.sides import counts, highest, longest_run, segment, shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.triage.result import Finding
    from retrue.triage.sides import Side

_BURST = 0.25
"""Share of missing values above the highest usual one of a day; no sample explains so many."""
_FEW_BLOCKS = 28
"""With fewer days the worst one is yet to come: a burst must be twice as high."""
_RISE = 0.02
_MIN_RISE_BLOCKS = 3
_SOURCE_SHARE = 0.03
_EXPECTED_ROWS = 12
"""By chance a source of 12 expected rows is silent on one day in 160,000 (Poisson, e^-12)."""
_MOST_SOURCES = 50


def missing_values(known: Side, window: Side) -> list[Finding]:
    """Days on which far more values of a feature are missing than on any day before.

    Where days of the reference are empty themselves, a burst is a longer run of such days. A small
    rise over days is a suspicion: a population may have changed, as may a source.
    """
    found = []
    high = _BURST if known.n_blocks >= _FEW_BLOCKS else 2 * _BURST
    for name in [*window.numbers, *window.texts]:
        if name in known.absent:
            continue
        usual, now = (shares(side.is_null(name), side) for side in (known, window))
        most = highest(usual)
        limit = float(np.nanquantile(usual, 0.95)) if (~np.isnan(usual)).any() else 1.0
        burst = np.nan_to_num(now) > limit + high
        # Bad days came before: as bad ones are no news, unless they are more in a row.
        if longest_run(burst) <= longest_run(usual > limit + high / 2):
            burst = np.nan_to_num(now) > most + high
        if burst.any():
            share = float(now[burst].mean())
            is_all = share > 0.999
            words = "all" if is_all else f"{share:.0%}"
            found.append(
                finding(
                    "join broken" if is_all else "missing burst",
                    name,
                    f"{words} of {name} missing on {burst.sum()} of {window.n_blocks} days in a"
                    f" stretch; before, {limit:.0%} at most",
                    window,
                    burst,
                    {"share": share, "usual": limit},
                )
            )
            continue
        rise = segment(now - most - _RISE)
        if rise.sum() >= _MIN_RISE_BLOCKS:
            share = float(np.nanmean(now[rise]))
            found.append(
                finding(
                    "more missing",
                    name,
                    f"{share:.1%} of {name} missing; before, {most:.1%} on the worst day",
                    window,
                    rise,
                    {"share": share, "usual": most},
                    is_certain=False,
                )
            )
    return found


def silent_sources(known: Side, window: Side) -> list[Finding]:
    """Categories that were there each day, and from one day on send nothing, others going on."""
    found = []
    for name, column in known.texts.items():
        if name not in window.texts or len(column.labels) > _MOST_SOURCES:
            continue
        now = window.texts[name]
        at_all = counts(now.codes >= 0, window)
        silent: dict[str, NDArray[np.bool_]] = {}
        for code, label in enumerate(column.labels):
            share = shares(column.codes == code, known)
            low = float(np.nanmin(share)) if (~np.isnan(share)).any() else 0.0
            if low <= 0 or float(np.nanmean(share)) < _SOURCE_SHARE:
                continue
            mine = now.codes == now.labels.index(label) if label in now.labels else None
            rows = np.zeros(window.n_blocks) if mine is None else counts(mine, window)
            gone = (rows == 0) & (low * at_all >= _EXPECTED_ROWS)
            if gone.any():
                silent[label] = gone
        if silent and sum(counts(column.codes >= 0, known)) > 0:
            at = np.any(list(silent.values()), axis=0)
            names = ", ".join(sorted(silent))
            found.append(
                finding(
                    "silent source",
                    name,
                    f"no row of {name} {names} on {at.sum()} of {window.n_blocks} days; before,"
                    " some on each day",
                    window,
                    at,
                    {"sources": len(silent)},
                )
            )
    return found
