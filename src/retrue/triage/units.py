"""Numbers that came in other units: a round affine map makes them what they always were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrue.triage.distances import by_block, distance, grid, spread
from retrue.triage.faults import finding
from retrue.triage.sides import segment, shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.triage.distances import Grid
    from retrue.triage.result import Finding
    from retrue.triage.sides import Side

# Exact by definition: the international yard and pound (1959), the nautical mile, the degrees;
# m/s, hPa and the rest follow from them (NIST Special Publication 811, appendix B).
CONVERSIONS: dict[str, tuple[float, float]] = {
    "°F to °C": (1 / 1.8, -32 / 1.8),
    "°C to K": (1.0, 273.15),
    "mph to km/h": (1.609344, 0.0),
    "mph to m/s": (0.44704, 0.0),
    "knots to km/h": (1.852, 0.0),
    "knots to mph": (1.852 / 1.609344, 0.0),
    "m/s to km/h": (3.6, 0.0),
    "inches to mm": (25.4, 0.0),
    "inches to cm": (2.54, 0.0),
    "feet to m": (0.3048, 0.0),
    "kg to pounds": (1 / 0.45359237, 0.0),
    "hPa to inHg": (1 / 33.86389, 0.0),
    "hours to minutes": (60.0, 0.0),
    "hours to seconds": (3600.0, 0.0),
    "days to hours": (24.0, 0.0),
    "times 10": (10.0, 0.0),
    "times 100": (100.0, 0.0),
    "times 1,000": (1e3, 0.0),
    "times 1,000,000": (1e6, 0.0),
    "the sign": (-1.0, 0.0),
}
"""What multiplies and what is added, in the direction of the name; the other is tried too."""

_FAR, _OFF_LATTICE, _ON_LATTICE = 0.5, 0.5, 0.9
_ALIKE = 1 / 3
"""The distance after the map, in parts of that before it."""
_MIN_VALUES = 30
_COLLAPSED = 0.05
"""Values that a map makes nearly equal are "known" by chance."""
_BEYOND = 1.25
_STRETCHES, _FEW_BLOCKS = 2, 28
_LATTICE_STEP = 0.1
"""Of the step between known values, within which a value counts as one: it may be rounded."""


def units_changed(known: Side, window: Side, recent: NDArray[np.bool_]) -> list[Finding]:
    """Features of which a stretch of days fits what came before under a unit's conversion alone.

    Two kinds of evidence, either is enough. Values known from the reference (a thermometer reads
    in steps) are met after the map and not before it; no season does that. Or the distribution of
    the days right before is met after the map, with its spread, and missed without it.

    Parameters
    ----------
    recent : ndarray of bool
        Rows of `known` right before the window; all of them where none are right before it. Then
        the second kind of evidence is a suspicion only, unless the factor is 10 or more.
    """
    found = []
    for name, values in window.numbers.items():
        before = known.numbers.get(name)
        base = None if before is None else grid(before[recent])
        if before is None or base is None or not np.isfinite(values).any():
            continue
        if _is_informative(before, known):
            one = _by_lattice(name, before, values, window, base)
        else:
            one = _by_distance(name, before, values, known, window, base, not bool(recent.all()))
        if one is not None:
            found.append(one)
    return found


def _by_lattice(
    name: str,
    before: NDArray[np.float64],
    values: NDArray[np.float64],
    window: Side,
    base: Grid,
) -> Finding | None:
    lattice = np.unique(before[~np.isnan(before)])
    is_value = ~np.isnan(values) & (values != 0)  # zero is zero under every factor
    now = shares(_on(values, lattice), window, is_value)
    if not (now <= _OFF_LATTICE).any():
        return None
    best, chosen = 0.0, None
    for words, inverse, is_factor in _inverses(values):
        # A factor takes no value to zero: one that is met there was only made small.
        met = lattice[lattice != 0] if is_factor else lattice
        mapped = shares(_on(inverse, met), window, is_value)
        at = (now <= _OFF_LATTICE) & (mapped >= _ON_LATTICE)
        gain = float(((mapped - now) * window.sizes)[at].sum())
        if gain > best and spread(inverse[at[window.blocks]]) >= _COLLAPSED * base.spread:
            best, chosen = gain, (words, at, mapped)
    if chosen is None:
        return None
    words, at, mapped = chosen
    figures = {"known_values": float(now[at].mean()), "after_map": float(mapped[at].mean())}
    return finding(
        "units changed",
        name,
        f"{name} went from {words}: {figures['after_map']:.0%} of its values are known ones after"
        f" the way back, {figures['known_values']:.0%} as they are",
        window,
        at,
        figures,
    )


def _by_distance(
    name: str,
    before: NDArray[np.float64],
    values: NDArray[np.float64],
    known: Side,
    window: Side,
    base: Grid,
    is_recent: bool,
) -> Finding | None:
    plain = by_block(values, window.blocks, window.n_blocks, base)
    if not (plain >= _FAR).any():
        return None
    usual = by_block(before, known.blocks, known.n_blocks, base)
    best, chosen = 0.0, None
    for words, inverse, _ in _inverses(values):
        gain = plain - by_block(inverse, window.blocks, window.n_blocks, base)
        at = segment(gain - _FAR / 2)
        rows = at[window.blocks]
        if (~np.isnan(values[rows])).sum() < _MIN_VALUES:
            continue
        # Of fewer days nobody knows how far a stretch of so many goes by nature.
        if known.n_blocks < max(_FEW_BLOCKS, _STRETCHES * at.sum()) and not _is_by_factor(words):
            continue
        far, near = distance(values[rows], base), distance(inverse[rows], base)
        width = spread(inverse[rows]) / base.spread if base.spread > 0 else 1.0
        if not (far >= _FAR and near <= far * _ALIKE and 0.7 <= width <= 1 / 0.7):
            continue
        # Rows of a day share their weather: a few days are far away by nature.
        if far - near > best and far > _BEYOND * _usual_stretch(usual, int(at.sum())):
            best, chosen = far - near, (words, at, far, near)
    if chosen is None:
        return None
    words, at, far, near = chosen
    return finding(
        "units changed",
        name,
        f"{name} went from {words}: its distance to the days before is {near:.2f} after the way"
        f" back, {far:.2f} as it is",
        window,
        at,
        {"distance": far, "after_map": near},
        is_certain=is_recent or _is_by_factor(words),
    )


def _is_by_factor(words: str) -> bool:
    return words.startswith("times")


def _usual_stretch(distances: NDArray[np.float64], n_blocks: int) -> float:
    """The largest mean distance of as many blocks in a row, an upper bound of theirs together."""
    known = np.nan_to_num(distances)
    n = min(n_blocks, len(known))
    return float(np.convolve(known, np.ones(n) / n, mode="valid").max()) if n else 0.0


def _inverses(values: NDArray[np.float64]) -> list[tuple[str, NDArray[np.float64], bool]]:
    """What the values were before each conversion, either way; whether it only multiplies."""
    found = []
    for words, (factor, offset) in CONVERSIONS.items():
        is_factor = offset == 0
        found.append((words, (values - offset) / factor, is_factor))
        if factor != -1:
            start, _, end = words.partition(" to ")
            back = f"{end} to {start}" if end else words.replace("times", "times 1 /")
            found.append((back, values * factor + offset, is_factor))
    return found


def _is_informative(before: NDArray[np.float64], known: Side) -> bool:
    """Whether values come again: the last third of the reference, on values of the first two."""
    cut = 2 * known.n_blocks // 3
    is_late = known.blocks >= cut
    early = np.unique(before[~is_late & ~np.isnan(before)])
    late = before[is_late & ~np.isnan(before)]
    if len(early) < 3 or not len(late):
        return False
    # Between close neighbours everything is "known", wrong units too.
    share = float(np.mean(_on(late, early)))
    random = np.random.default_rng(0).uniform(early[0], early[-1], 2000)
    return share >= _ON_LATTICE and float(np.mean(_on(random, early))) <= _OFF_LATTICE


def _on(values: NDArray[np.float64], lattice: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each value is, up to a tenth of the step there, one of the lattice's."""
    at = np.clip(np.searchsorted(lattice, values), 1, len(lattice) - 1)
    low, high = lattice[at - 1], lattice[at]
    near = np.minimum(np.abs(values - low), np.abs(high - values))
    tolerance = np.maximum(_LATTICE_STEP * (high - low), 1e-6 * np.abs(values))
    inside = (values >= lattice[0] - 1e-9) & (values <= lattice[-1] + 1e-9)
    found: NDArray[np.bool_] = inside & (near <= tolerance)
    return found
