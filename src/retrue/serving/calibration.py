"""Scores to probabilities of this world: the one implementation, for training and for service.

Numpy's `exp` may differ from the C library's in the last bit, so both sides use `math`.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

# The smallest distance to 0 and 1 a score may have: the same as in the metrics, float64's epsilon.
_EPSILON = 2.0**-52


class Calibrator(msgspec.Struct, frozen=True, omit_defaults=True):
    """A monotone correction of scores, as plain values.

    sigmoid (Platt 1999): scale * logit(score) + offsets[0], back to a probability. softmax (Guo et
    al. 2017, with an offset a class as Alexandari et al. 2020): scale * log(score) + offsets, and
    normalised. isotonic (Zadrozny & Elkan 2002): straight lines through the points (x, y).
    """

    kind: Literal["sigmoid", "isotonic", "softmax"]
    scale: float = 1.0
    offsets: list[float] = []
    x: list[float] = []
    y: Annotated[list[float], msgspec.Meta(description="in [0, 1], rising")] = []

    def __post_init__(self) -> None:
        """Refuse what cannot be applied."""
        is_line = self.kind == "isotonic" and len(self.x) == len(self.y) > 0
        is_curve = len(self.offsets) == 1 if self.kind == "sigmoid" else len(self.offsets) > 1
        if not (is_line if self.kind == "isotonic" else is_curve):
            raise ValueError(f"a whole {self.kind} calibrator wanted")


def calibrate(
    scores: Sequence[float] | Sequence[Sequence[float]], calibrator: Calibrator | None
) -> list[float] | list[list[float]]:
    """Probabilities for scores: n of them, or n lists of one a class; None leaves them as they are.

    >>> calibrate([0.5, 0.8], Calibrator("sigmoid", scale=0.0, offsets=[0.0]))
    [0.5, 0.5]
    >>> calibrate([0.1, 0.3], Calibrator("isotonic", x=[0.2, 0.4], y=[0.1, 0.2]))
    [0.1, 0.15]
    """
    if calibrator is None:
        return scores  # type: ignore[return-value]  # lists, as the booster gives them
    if calibrator.kind == "softmax":
        return [_softmax(row, calibrator) for row in scores]  # type: ignore[arg-type]
    one = _sigmoid if calibrator.kind == "sigmoid" else _line
    return [one(score, calibrator) for score in scores]  # type: ignore[arg-type]


def _sigmoid(score: float, calibrator: Calibrator) -> float:
    inside = min(max(score, _EPSILON), 1 - _EPSILON)
    logit = calibrator.scale * math.log(inside / (1 - inside)) + calibrator.offsets[0]
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    odds = math.exp(logit)
    return odds / (1 + odds)


def _softmax(row: Sequence[float], calibrator: Calibrator) -> list[float]:
    logits = [
        calibrator.scale * math.log(max(score, _EPSILON)) + offset
        for score, offset in zip(row, calibrator.offsets, strict=True)
    ]
    highest = max(logits)
    weights = [math.exp(logit - highest) for logit in logits]
    total = math.fsum(weights)  # sum() has other bits in Python 3.12 than in 3.11
    return [weight / total for weight in weights]


def _line(score: float, calibrator: Calibrator) -> float:
    x, y = calibrator.x, calibrator.y
    after = bisect_right(x, score)
    if after == 0:
        return y[0]
    if after == len(x):
        return y[-1]
    share = (score - x[after - 1]) / (x[after] - x[after - 1])
    return y[after - 1] + share * (y[after] - y[after - 1])
