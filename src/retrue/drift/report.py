"""What a drift check tells: the verdict on one window, and all that it rests on."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from retrue.alarms.verdict import Alarm

Verdict = Literal["drift", "no drift", "cannot tell"]
Kind = Literal["numeric", "categorical"]


class Bin(BaseModel):
    """One of the bins that PSI was taken over, and the share of non-null rows in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    up_to: float | None = None
    """Upper end, inclusive, of a bin of numbers; None for the last and for categories."""
    category: str | None = None
    """None for numbers and for the rest of the categories."""
    reference: float
    current: float


class Shift(BaseModel):
    """How one distribution moved: of the scores, or of the labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    statistic: float
    """K-S distance (0 to 1) or chi-squared."""
    p_value: float
    psi: float
    wasserstein: float | None
    """In standard deviations of the reference; None for categories and a constant reference."""
    n_reference: int
    n_current: int
    bins: tuple[Bin, ...] = ()


class FeatureDrift(BaseModel):
    """How one feature moved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Kind
    statistic: float | None
    """K-S distance (0 to 1) or chi-squared; None when a side has no values."""
    p_value: float
    """Smallest of the feature's own tests (values, missing rate, new categories, a value that
    stands alone), times their number."""
    p_corrected: float | None = None
    """Corrected over all features and the joint test, as `DriftReport.correction` names it."""
    significant: bool
    """Whether `p_corrected` is below alpha."""
    psi: float | None = None
    """Population stability index (Siddiqi 2006), 0 or more; None when a side has no values."""
    wasserstein: float | None = None
    """Wasserstein-1 distance in standard deviations of the reference; None for categories, a
    constant reference, or a value that is infinite."""
    contribution: float
    """Share of the classifier's gain in %; all sum to 100 (to 0 when it learned nothing)."""
    missing_reference: float
    """Fraction of null values, 0 to 1."""
    missing_current: float
    p_missing: float | None = None
    """Of the test of the missing rate alone, uncorrected."""
    new_categories: float | None = None
    """Share of the current non-null rows whose category the reference lacks; None for numbers."""
    p_new_categories: float | None = None
    """Of the test of that share alone, uncorrected."""
    collapsed: str | None
    """What happened when one side alone has no or only one value, in words."""
    bins: tuple[Bin, ...] = ()
    """The bins of `psi`; empty when a side has no values."""


class DriftReport(BaseModel):
    """The verdict on one window and what it rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    magnitude: float | None = Field(ge=0, le=100)
    """0 % = alike, 100 % = fully told apart; None when it could not be computed."""
    magnitude_low: float | None = Field(default=None, ge=0, le=100)
    """Ends of the 95 % interval of `magnitude`, in %."""
    magnitude_high: float | None = Field(default=None, ge=0, le=100)
    threshold: float
    """In %: drift is a magnitude above it."""
    p_value: float | None
    """Of the joint test: K-S of the classifier's scores on reference and current rows."""
    p_corrected: float | None = None
    """The joint test's, corrected together with the features'."""
    top_feature: str | None
    features: tuple[FeatureDrift, ...]
    predictions: Shift | None = None
    """Of the served scores against those of the hold-out; None when either is not known."""
    labels: Shift | None = None
    """Of the window's labels against the reference's; None when either is not known."""
    attributions: float | None = Field(default=None, ge=0, le=1)
    """nDCG of the features ranked by mean |SHAP|: 1 = the reference's order; None when not
    computed."""
    n_reference: int
    n_current: int
    backend: Literal["alibi-detect", "native"] = "alibi-detect"
    correction: Literal["bonferroni", "fdr"] = "bonferroni"
    reason: str
    n_days: int | None = None
    """Days (UTC) that the current rows are on; None where that was not counted."""
    compared_with: str = "the training reference"
    """Which rows the window was held against."""
    alarm: Alarm | None = None
    """What was decided on it, given thresholds and earlier checks; None before that."""
