"""How rare an exceedance must be, for the alarms of a quiet year to be as few as asked for."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.config_drift import Drift

_DAYS = 365
_N_YEARS = 500
"""Simulated; at the smallest rate that may be set, 0.1 a year, 50 alarms are counted."""
_STEPS = 30
"""Of the bisection: 8 / 2**30 is far below the noise of the simulation."""


@lru_cache(maxsize=16)
def tail_probability(drift: Drift, n_statistics: int, window_days: int) -> float:
    """Chance, in one check, that one statistic exceeds its threshold though nothing drifts.

    A year of daily checks is simulated many times: each statistic is a moving average of
    independent days over `window_days`, since windows that share days exceed together, and the
    policy counts its alarms (k of the last n windows and the newest, then the cool-down). A day is
    the shortest step between two windows, so a schedule with fewer checks alarms less often.
    Statistics are taken for independent, which makes the most of their number.

    Parameters
    ----------
    drift : Drift
        `false_alarms_per_year`, `alarm_windows`, `cool_down_days` and the seed are read.
    n_statistics : int
        How many are compared with a threshold in one check, 1 or more.
    window_days : int
        Days that one check looks at.

    Returns
    -------
    float
        In (0, 1]: two-sided, of a standard normal.

    Examples
    --------
    >>> from retrue.config_drift import Drift
    >>> one, many = (tail_probability(Drift(), n, 30) for n in (1, 20))
    >>> 0 < many < one < 0.05
    True
    """
    from scipy.special import ndtr

    peaks = _largest(n_statistics, window_days, drift.seed)
    wanted = drift.false_alarms_per_year * _N_YEARS
    low, high = 0.0, 8.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        # One more than were counted: the rate is kept, not met on average.
        too_many = _alarms(peaks > middle, drift) + 1 > wanted
        low, high = (middle, high) if too_many else (low, middle)
    return float(2 * ndtr(-high))


def _largest(n_statistics: int, window_days: int, seed: int) -> NDArray[np.float32]:
    """The largest of the statistics in each check, shape (n_years, n_days), in sd."""
    rng = np.random.default_rng(seed)
    shape = (_N_YEARS, _DAYS + window_days - 1)
    peaks = np.zeros((_N_YEARS, _DAYS), np.float32)
    for _ in range(n_statistics):
        sums = np.cumsum(rng.standard_normal(shape, np.float32), axis=1, dtype=np.float64)
        sums = np.pad(sums, ((0, 0), (1, 0)))
        means = (sums[:, window_days:] - sums[:, :-window_days]) / np.sqrt(window_days)
        np.maximum(peaks, np.abs(means), out=peaks, casting="same_kind")
    return peaks


def _alarms(votes: NDArray[np.bool_], drift: Drift) -> int:
    """Alarms of all years, as the policy raises them."""
    k, n = drift.alarm_windows.k, drift.alarm_windows.n
    counts = np.pad(np.cumsum(votes, axis=1), ((0, 0), (n, 0)))
    asked = votes & (counts[:, n:] - counts[:, :-n] >= k)
    quiet_until = np.zeros(len(votes), np.int64)
    n_alarms = 0
    for day in range(votes.shape[1]):
        raised = asked[:, day] & (day >= quiet_until)
        quiet_until[raised] = day + max(1, drift.cool_down_days)
        n_alarms += int(raised.sum())
    return n_alarms
