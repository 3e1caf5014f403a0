"""Thresholds from the reference itself: how far its own windows are from the rest of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from retrue.alarms.blocks import Blocks, cut
from retrue.alarms.year import tail_probability

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from retrue.config_drift import Drift

MAGNITUDE = "magnitude"
"""Name of the joint statistic among those of the features."""
_YEAR = 365.25
_FEW_BLOCKS = 24
"""Mean and degrees of freedom are estimates. Simulated (400 references, 1 and 3 dimensions), the
quantile was exceeded 2.0 to 3.0 times as often as it should be with 13 blocks, 1.4 to 2.0 times
with 18: it is taken 1 + 24 / (n_blocks - 1) times as rare."""


@dataclass(frozen=True)
class Measure:
    """Statistics that are taken together, and how often."""

    names: Sequence[str]
    statistic: Callable[[NDArray[np.bool_]], Mapping[str, float]]
    """Holds the chosen rows of the reference, mask (n_rows,), against all others: value by name, 0
    or more."""
    noise: Callable[[NDArray[np.bool_]], Mapping[str, float]] | None = None
    """What the statistic of these rows is if each row were drawn by itself; None: nothing."""
    n_draws: int = 60
    """Windows drawn: mean and spread of 60 are known to 10 %, less than what the blocks leave
    open."""
    power: int = 1
    """1 for a divergence such as PSI, a sum of squared distances; 2 for a distance."""


class Threshold(BaseModel):
    """From where on one statistic alarms, and what that rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    above: float
    mean: float
    """Of the drawn windows of the reference."""
    degrees: float
    """Of freedom of the scaled chi-squared that has their mean and variance."""
    highest: float
    """Of the windows of days in a row; no threshold is lower."""


class Calibration(BaseModel):
    """Thresholds of one reference, for the settings they were made with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    false_alarms_per_year: float
    window_days: int
    k: int
    n: int
    cool_down_days: int
    n_statistics: int
    n_days: int
    block_days: int = 0
    n_blocks: int = 0
    tail_probability: float | None = None
    """Of one statistic in one check; None when nothing could be calibrated."""
    seen_per_year: float | None = None
    """The smallest rate of false alarms that this reference can show without a model of the tail:
    one in its length."""
    thresholds: dict[str, Threshold]
    """By feature, and `magnitude`."""
    warnings: tuple[str, ...]


def calibrate(
    days: NDArray[np.datetime64] | None, measures: Sequence[Measure], drift: Drift
) -> Calibration:
    """Set a threshold for each statistic so that a year without drift has few enough alarms.

    Windows of `drift.window_days`, made of whole blocks of days, are held against the rest of the
    reference. The upper quantile of a divergence, which rows in clusters inflate, is that of
    noise + mean * F(f, f * (n_blocks - 1)): what the drawing of rows alone gives, and with mean and
    f from the two moments of what is beyond it a scaled chi-squared (Rao and Scott 1981, second
    order, after Satterthwaite 1946; the F for few clusters is Thomas and Rao 1987). A window and
    the rest differ by more than a window and the whole reference do, so of that nothing is added.

    No threshold is lower than the highest of the reference's own windows of days in a row: what
    lasts longer than a block (a trend, a cold spell) is in them.

    Parameters
    ----------
    days : ndarray of datetime64, shape (n_rows,), or None
        Day of each row of the reference; None where the problem has no time.
    measures : sequence of Measure
        All that is compared with a threshold in one check; an alarm of any of them counts.
    drift : Drift
        `false_alarms_per_year`, `window_days`, `alarm_windows`, `cool_down_days`, `seed`.

    Returns
    -------
    Calibration
        Without thresholds, and with the reason among the warnings, when the reference has too few
        days or blocks. A statistic without a finite value in any window has no threshold. The
        same input gives the same result.
    """
    n_statistics = sum(len(measure.names) for measure in measures)
    said = {
        "false_alarms_per_year": drift.false_alarms_per_year,
        "window_days": drift.window_days,
        "k": drift.alarm_windows.k,
        "n": drift.alarm_windows.n,
        "cool_down_days": drift.cool_down_days,
        "n_statistics": n_statistics,
    }
    blocks = "there is no time column" if days is None else cut(days, drift.window_days)
    if isinstance(blocks, str):
        n_days = 0 if days is None else len(np.unique(days.astype("datetime64[D]")))
        why = f"cannot calibrate: {blocks}"
        return Calibration(**said, n_days=n_days, thresholds={}, warnings=(why,))
    chance = tail_probability(drift, n_statistics, drift.window_days)
    thresholds: dict[str, Threshold] = {}
    for measure in measures:
        drawn = _measured(measure, blocks.draws(measure.n_draws, drift.seed))
        in_a_row = _measured(measure, blocks.runs())
        first = next(blocks.draws(1, drift.seed))
        noise = measure.noise(first) if measure.noise else {}
        for i, name in enumerate(measure.names):
            if np.isfinite(drawn[:, i]).all() and np.isfinite(in_a_row[:, i]).all():
                thresholds[name] = _threshold(
                    drawn[:, i], in_a_row[:, i], noise.get(name, 0.0), chance, blocks, measure.power
                )
    names = [name for measure in measures for name in measure.names]
    seen = _YEAR / blocks.n_days
    return Calibration(
        **said,
        n_days=blocks.n_days,
        block_days=blocks.block_days,
        n_blocks=blocks.n_blocks,
        tail_probability=chance,
        seen_per_year=seen,
        thresholds=thresholds,
        warnings=tuple(
            _warnings(drift, blocks, seen, [name for name in names if name not in thresholds])
        ),
    )


def _measured(measure: Measure, windows: Iterable[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Shape (n_windows, n_names); NaN where nothing came out."""
    found = [measure.statistic(rows) for rows in windows]
    return np.array([[one.get(name, math.nan) for name in measure.names] for one in found], float)


def _threshold(
    drawn: NDArray[np.float64],
    in_a_row: NDArray[np.float64],
    noise: float,
    chance: float,
    blocks: Blocks,
    power: int,
) -> Threshold:
    from scipy.special import fdtri

    squares = drawn**power
    variance = float(squares.var(ddof=1))
    # A sum of squares has one degree of freedom or more: then sd = mean * sqrt(2).
    mean = max(float(squares.mean()) - noise, (variance / 2) ** 0.5)
    # From 10,000 on the quantile is the mean.
    degrees = float(np.clip(2 * mean**2 / variance, 1, 1e4)) if variance > 0 else 1e4
    freedom = blocks.n_blocks - 1
    rarer = chance / (1 + _FEW_BLOCKS / freedom)
    ratio = float(fdtri(degrees, degrees * freedom, 1 - rarer))
    highest = float(in_a_row.max())
    return Threshold(
        above=max((noise + mean * ratio) ** (1 / power), highest),
        mean=float(drawn.mean()),
        degrees=degrees,
        highest=highest,
    )


def _warnings(drift: Drift, blocks: Blocks, seen: float, unknown: Sequence[str]) -> list[str]:
    found = []
    if drift.false_alarms_per_year < seen:
        found.append(
            f"{blocks.n_days} days of reference can show {seen:.1f} false alarms a year or more;"
            f" {drift.false_alarms_per_year:g} a year rests on a model of the tail"
        )
    if blocks.block_days == 1 < drift.window_days:
        found.append("blocks are single days: what lasts longer is in the highest window alone")
    if unknown:
        found.append(f"not calibrated, as no value came out: {', '.join(unknown)}")
    return found
