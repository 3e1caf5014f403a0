"""What tests of one feature answer, and what both backends are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from retrue.drift.domain import Joint
    from retrue.drift.reference import Reference
    from retrue.drift.report import Kind
    from retrue.drift.window import Window


@dataclass(frozen=True)
class Tested:
    """One feature's own tests."""

    statistic: float | None
    """K-S distance or chi-squared; None when a side has no values."""
    p_value: float | None
    """Of `statistic`."""
    p_missing: float
    """Chi-squared on the missing rate."""
    p_alone: float | None = None
    """Chi-squared on how often the one value of a side occurs, where the other side has more."""
    collapsed: str | None = None
    """What happened when one side alone has no or only one value, in words."""

    def __post_init__(self) -> None:
        """Raise ValueError where a figure is not finite: NaN < alpha is false, and hides drift."""
        figures = [self.statistic, self.p_value, self.p_missing, self.p_alone]
        if not np.isfinite([one for one in figures if one is not None]).all():
            raise ValueError(f"statistic {self.statistic}, p-value {self.p_value}")


@dataclass(frozen=True)
class Sides:
    """Both sides of a check: counts of all rows, and a sample of whole rows of each."""

    reference: Reference
    window: Window
    sample: pd.DataFrame
    """Of the reference; the window has its own."""
    kinds: Mapping[str, Kind]
    seed: int


@dataclass(frozen=True)
class Detected:
    """What a backend answers."""

    features: Mapping[str, Tested]
    joint: Joint


def constant(side: str) -> str:
    """A side that alone has only one value."""
    return f"is constant in the {side} rows alone"


def all_null(side: str) -> str:
    """A side that alone has no value."""
    return f"is all null in the {side} rows alone"
