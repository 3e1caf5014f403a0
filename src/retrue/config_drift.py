"""The configuration of drift checks."""

from typing import Literal

from pydantic import Field

from retrue.config_section import Section

FALLBACK_MAGNITUDE = 60.0
"""In %, where no threshold is given and none could be calibrated: on a year of flights, windows of
30 days without drift reached 42 to 52 %, those with it 80 and more."""


class AlarmWindows(Section):
    """Drift is an alarm when `k` of the last `n` windows show it, the newest among them."""

    k: int = Field(default=2, ge=1, le=30)
    n: int = Field(default=3, ge=1, le=30)


class Drift(Section):
    """When served data has moved too far from the training reference."""

    backend: Literal["alibi-detect", "native"] = "alibi-detect"
    correction: Literal["bonferroni", "fdr"] = "bonferroni"
    """Over features and joint test: rarely any false one, or a small share of the alarms false."""
    schedule: str = "0 6 * * *"
    window_days: int = Field(default=30, ge=1, le=366)
    min_rows: int = Field(default=500, ge=10)
    max_rows: int = Field(default=10_000, ge=100)
    magnitude_above: float | None = Field(default=None, ge=0, le=100)
    """In %; None: calibrated on the reference at training time."""
    effect_above: float = Field(default=0.1, ge=0)
    """PSI that a feature must exceed, beside its calibrated threshold; below .1 a distribution is
    taken for stable (Siddiqi 2006)."""
    false_alarms_per_year: float = Field(default=1, ge=0.1, le=52)
    """That thresholds are calibrated for, in a year of daily checks without drift."""
    alarm_windows: AlarmWindows = AlarmWindows()
    cool_down_days: int = Field(default=7, ge=0, le=366)
    """After the newest day that a retraining has learned from, or was asked for, no alarm."""
    season_days: int | None = Field(default=7, ge=0, le=60)
    """A window is compared with its own days of an earlier year, and so many more on either side,
    where such rows are there; None: always with the training reference."""
    retrain_when_unclear: bool = False
    """Whether rows that cannot be told from broken ones are trained on without asking."""
    performance_drop: float = Field(default=0.1, gt=0, le=10)
    """How much worse than on its hold-out, as a share, a model may do before somebody is asked."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    seed: int = Field(default=7, ge=0, le=2**31 - 1)

    @property
    def magnitude_limit(self) -> float:
        """In %: `magnitude_above`, or 60 where it is left to a calibration that is not there."""
        return FALLBACK_MAGNITUDE if self.magnitude_above is None else self.magnitude_above
