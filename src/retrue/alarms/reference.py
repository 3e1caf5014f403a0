"""Calibrate on the reference of a model, when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrue.alarms.calibration import MAGNITUDE, Calibration, Measure, calibrate
from retrue.alarms.effects import RankedRows

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from retrue.config import Problem

_N_MAGNITUDES = 20
"""Each fits a classifier: 20 windows, and those of days in a row, take seconds."""


def calibrate_reference(problem: Problem, reference: pd.DataFrame) -> Calibration:
    """Thresholds of the features' effects, and of the magnitude where none is configured.

    Parameters
    ----------
    reference : DataFrame, shape (n_rows, ...)
        Rows that later ones are compared with, with the problem's time column if it has one.

    Returns
    -------
    Calibration
        Without thresholds where there are too few days. A detector that fails leaves the magnitude
        without one.
    """
    features, drift = problem.features, problem.drift
    rows = RankedRows(reference, features)
    measures = [Measure(rows.names, rows.effects, rows.noise)]
    if drift.magnitude_above is None:
        measures.append(_of_magnitude(problem, reference))
    return calibrate(_days(problem, reference), measures, drift)


def _of_magnitude(problem: Problem, reference: pd.DataFrame) -> Measure:
    from retrue.drift import domain

    features, seed = problem.features, problem.drift.seed
    kinds = ["numeric"] * len(features.numeric) + ["categorical"] * len(features.categorical)
    names = [*features.numeric, *features.categorical]
    order = np.random.default_rng(seed).permutation(len(reference))

    def magnitude(rows: NDArray[np.bool_]) -> dict[str, float]:
        inside = rows[order]
        sides = [reference[names].iloc[order[chosen]] for chosen in (~inside, inside)]
        try:
            ref, cur = domain.encode(sides[0], sides[1], set(features.categorical))
            return {MAGNITUDE: domain.joint(ref, cur, kinds, seed).magnitude}
        except Exception:  # Whatever it is: no value, so no threshold, and a warning says so.
            return {}

    return Measure((MAGNITUDE,), magnitude, n_draws=_N_MAGNITUDES, power=2)


def _days(problem: Problem, reference: pd.DataFrame) -> NDArray[np.datetime64] | None:
    """UTC day of each row."""
    if problem.data.time is None:
        return None
    times = reference[problem.data.time].dt.tz_convert("UTC").dt.tz_localize(None)
    days: NDArray[np.datetime64] = times.to_numpy("datetime64[D]")
    return days
