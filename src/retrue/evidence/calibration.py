"""Do probabilities mean what they say: reliability bins, expected error, recalibration slope."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrue.calibrators import logistic, logit
from retrue.evidence.resampling import bounds, ratio
from retrue.verdicts import Bin, Calibration, Interval

if TYPE_CHECKING:
    from retrue.config import Gate
    from retrue.evidence.resampling import Draws
    from retrue.metrics import Array

# As in Guo et al. 2017 there are 10 to 15; bins of equal numbers of rows, so that none is empty.
N_BINS = 10


def measure(y: Array, score: Array, champion: Array, draws: Draws, gate: Gate) -> Calibration:
    """Calibration of a classifier on the hold-out.

    Expected calibration error: Naeini et al. 2015. Slope and intercept: logistic recalibration (Cox
    1958), 1 and 0 when calibrated, below 1 when too sure; their resamples are one Newton step from
    the sample's solution (Moulton & Zeger 1991). Of several classes: the probability of the
    likeliest one against whether it came true (Guo et al. 2017).

    Parameters
    ----------
    y : ndarray, shape (n_rows,)
        0 or 1, or positions of classes.
    score, champion : ndarray, shape (n_rows,) or (n_rows, n_classes)
        Probabilities of the challenger, and of the champion or of no skill.

    Returns
    -------
    Calibration
        It fails to hold when the error is shown to be above `gate.max_calibration_error` and is
        larger than the champion's: where the world moved, all are wrong, and the better may serve.
    """
    truth, said = _of_likeliest(y, score)
    bins, errors = _errors(truth, said, draws)
    _, rivals = _errors(*_of_likeliest(y, champion), draws)
    # Resamples add noise to each bin, which only ever adds error: their middle lies above the
    # sample's error as that lies above the truth. Reflecting takes it off (Davison & Hinkley 1997).
    lower = max(0.0, 2 * errors[0] - bounds(errors[1:], gate.confidence)[1])
    line = _recalibration(truth, said, draws, gate.confidence)
    return Calibration(
        bins=bins,
        expected_error=float(errors[0]),
        expected_error_lower=float(lower),
        intercept=line[0].value if line else None,
        intercept_lower=line[0].lower if line else None,
        intercept_upper=line[0].upper if line else None,
        slope=line[1].value if line else None,
        slope_lower=line[1].lower if line else None,
        slope_upper=line[1].upper if line else None,
        champion_error=float(rivals[0]),
        holds=not (lower > gate.max_calibration_error and errors[0] > rivals[0]),
    )


def _of_likeliest(y: Array, score: Array) -> tuple[Array, Array]:
    if score.ndim == 1:
        return y, score
    return (score.argmax(axis=1) == y).astype(np.float64), score.max(axis=1)


def _errors(y: Array, score: Array, draws: Draws) -> tuple[tuple[Bin, ...], Array]:
    """Reliability bins of the sample, and the expected calibration error under each draw."""
    edges = np.unique(np.quantile(score, np.linspace(0, 1, N_BINS + 1)[1:-1]))
    position = np.searchsorted(edges, score, side="left")
    n_bins = len(edges) + 1
    n = draws.table(position, n_bins, np.ones(len(y)))
    came, said = draws.table(position, n_bins, y), draws.table(position, n_bins, score)
    errors = np.abs(came - said).sum(axis=1) / n.sum(axis=1)
    found = [
        Bin(
            lower=float(score[inside].min()),
            upper=float(score[inside].max()),
            mean_score=float(said[0, one] / n[0, one]),
            observed=float(came[0, one] / n[0, one]),
            n=int(n[0, one]),
        )
        for one in range(n_bins)
        if (inside := position == one).any()
    ]
    return tuple(found), errors


def _recalibration(
    y: Array, score: Array, draws: Draws, confidence: float
) -> tuple[Interval, Interval] | None:
    x = logit(score)
    found = logistic(x, y)
    if found is None:
        return None
    chance = 1 / (1 + np.exp(-np.clip(found[0] + found[1] * x, -700, 700)))
    residual, weight = y - chance, chance * (1 - chance)
    u0, u1 = draws.sums(residual), draws.sums(residual * x)
    h00, h01, h11 = (draws.sums(weight * x**power) for power in range(3))
    spread = h00 * h11 - h01**2
    steps = ratio(h11 * u0 - h01 * u1, spread), ratio(h00 * u1 - h01 * u0, spread)
    intervals = []
    for value, step in zip(found, steps, strict=True):
        if not np.isfinite(step).all():
            return None
        lower, upper = bounds(value + step[1:], confidence)
        intervals.append(Interval(value=value, lower=lower, upper=upper))
    return intervals[0], intervals[1]
