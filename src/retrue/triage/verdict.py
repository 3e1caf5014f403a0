"""Broken or changed: one verdict on a window of rows before anything is learned from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrue.triage import (
    categories,
    clock,
    constants,
    doubles,
    exchanged,
    missing,
    outcomes,
    relations,
    schema,
    units,
)
from retrue.triage.change import changes
from retrue.triage.faults import REMEDIES
from retrue.triage.result import Triage

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from retrue.triage.result import Finding, Verdict
    from retrue.triage.sides import Side

_MIN_ROWS = 50
_RECENT_DAYS = 30
_GAP_DAYS = 7
_SHOWN = 3


def triage(reference: Side, window: Side, known: Side | None = None) -> Triage:
    """Say whether a window is broken, changed, neither of them, or cannot be told.

    Faults come from outside the world that is modelled: they set in on one day, and undo a rule of
    format, units, sources or relations. What moves within the rules is a change, however far.

    Parameters
    ----------
    reference, window : Side
        What the champion learned from, and what shall be judged, as `retrue.triage.sides.look`
        gives them.
    known : Side, optional
        All rows that were taken for good, up to the window: the reference and what came since. It
        is what faults are told by, so that a season that came in between is no fault. Default:
        the reference.

    Returns
    -------
    Triage
        "broken" when a fault is certain; "cannot tell" when one is suspected only, a detector
        fails, or a side has fewer than 50 rows; "changed" when something moved; else "nothing".
        Never raises on data.
    """
    known = reference if known is None else known
    for side, name in ((window, "window"), (known, "reference")):
        if side.n_rows < _MIN_ROWS:
            why = f"the {name} has {side.n_rows} rows, fewer than {_MIN_ROWS}"
            return _answer("cannot tell", (), (), why, window)
    recent = _recent(known, window)
    found: list[Finding] = []
    failed: list[str] = []
    for name, detect in _detectors(known, window, recent).items():
        try:
            found += detect()
        except Exception as error:  # whatever it is, it must not read as "no fault"
            failed.append(f"{name} failed: {type(error).__name__}: {error}")
    findings = tuple(sorted(found, key=lambda one: (not one.is_certain, _rank(one.kind))))
    try:
        moved = changes(reference, window)
    except Exception as error:
        moved = ()
        failed.append(f"changes failed: {type(error).__name__}: {error}")
    if any(one.is_certain for one in findings):
        words = [f"{one.kind}: {one.evidence}" for one in findings if one.is_certain]
        return _answer("broken", findings, moved, _few(words), window)
    if findings or failed:
        words = [*failed, *(f"perhaps {one.kind}: {one.evidence}" for one in findings)]
        return _answer("cannot tell", findings, moved, _few(words), window)
    if moved:
        return _answer("changed", (), moved, _few(list(moved)), window)
    return _answer("nothing", (), (), "no fault and no change was found", window)


def _detectors(
    known: Side, window: Side, recent: NDArray[np.bool_]
) -> dict[str, Callable[[], list[Finding]]]:
    return {
        "absent columns": lambda: schema.absent_columns(known, window),
        "unreadable numbers": lambda: schema.unreadable_numbers(known, window),
        "missing values": lambda: missing.missing_values(known, window),
        "silent sources": lambda: missing.silent_sources(known, window),
        "stuck values": lambda: constants.stuck_values(known, window),
        "sentinel values": lambda: constants.sentinel_values(known, window),
        "units": lambda: units.units_changed(known, window, recent),
        "swapped numbers": lambda: exchanged.swapped_numbers(known, window, recent),
        "swapped texts": lambda: exchanged.swapped_texts(known, window),
        "damaged texts": lambda: categories.damaged_texts(known, window),
        "repeated keys": lambda: doubles.repeated_keys(known, window),
        "replayed rows": lambda: doubles.replayed_rows(known, window),
        "flipped labels": lambda: outcomes.flipped_labels(known, window),
        "constant labels": lambda: outcomes.constant_labels(known, window),
        "leaks": lambda: outcomes.leaks(known, window),
        "clocks": lambda: clock.clock_shifts(known, window, recent),
        "dependencies": lambda: relations.broken_dependencies(known, window),
        "orders": lambda: relations.broken_orders(known, window),
    }


def _recent(known: Side, window: Side) -> NDArray[np.bool_]:
    """Known rows of the 30 days right before the window; all rows where there are none."""
    everything = np.ones(known.n_rows, np.bool_)
    if known.times is None or window.times is None:
        return everything
    start = window.times.min().astype("datetime64[D]")
    if known.times.max() < start - np.timedelta64(_GAP_DAYS, "D"):
        return everything
    recent = known.times >= start - np.timedelta64(_RECENT_DAYS, "D")
    return np.asarray(recent, np.bool_) if recent.sum() >= _MIN_ROWS else everything


def _rank(kind: str) -> int:
    return list(REMEDIES).index(kind)


def _few(words: list[str]) -> str:
    more = len(words) - _SHOWN
    return "; ".join(words[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _answer(
    verdict: Verdict,
    findings: tuple[Finding, ...],
    moved: tuple[str, ...],
    reason: str,
    window: Side,
) -> Triage:
    return Triage(
        verdict=verdict, findings=findings, changes=moved, reason=reason, n_rows=window.n_rows
    )
