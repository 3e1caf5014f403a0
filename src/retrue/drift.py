"""Have the served rows moved away from the training reference: drift, no drift, or cannot tell."""

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from retrue import detectors
from retrue.config import Drift, Features


class FeatureDrift(BaseModel):
    """How one feature moved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Literal["numeric", "categorical"]
    statistic: float | None
    """K-S distance (0 to 1) or chi-squared; None when a side has no values."""
    p_value: float
    """Smallest of the feature's own tests (values, missing rate), times their number."""
    significant: bool
    """Whether it holds after Bonferroni's correction over all features and the joint test."""
    contribution: float
    """Share of the classifier's gain in %; all sum to 100 (to 0 when it learned nothing)."""
    missing_reference: float
    """Fraction of null values, 0 to 1."""
    missing_current: float
    collapsed: str | None
    """What happened when one side alone has no or only one value, in words."""


class DriftReport(BaseModel):
    """The verdict on one window and what it rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Literal["drift", "no drift", "cannot tell"]
    magnitude: float | None = Field(ge=0, le=100)
    """0 % = alike, 100 % = fully told apart; None when it could not be computed."""
    threshold: float
    """In %: drift is a magnitude above it."""
    p_value: float | None
    """Of the joint test: K-S of the classifier's scores on reference and current rows."""
    top_feature: str | None
    features: tuple[FeatureDrift, ...]
    n_reference: int
    n_current: int
    reason: str


def check(
    reference: pd.DataFrame, current: pd.DataFrame, features: Features, drift: Drift
) -> DriftReport:
    """Compare current rows with the training reference.

    The magnitude is 100 * max(0, Matthews correlation) of cross-fitted predictions "reference or
    current": a classifier two-sample test (Lopez-Paz & Oquab 2017); the drift magnitude of Azure
    ML's dataset monitor was such a correlation (its metric `ds_mcc_test`). Tests of single
    features are K-S or chi-squared on their non-null values and chi-squared on their missing
    rate, Bonferroni-corrected together with the joint test.

    Rows that share a day (weather, outages) raise the magnitude of short windows without any
    drift: calibrate `magnitude_above` on windows of `window_days` within the reference.

    Parameters
    ----------
    reference, current : pd.DataFrame
        Rows with the columns of `features`; others are ignored, neither is changed.
    features : Features
        Numeric and categorical columns.
    drift : Drift
        Thresholds, sample sizes and the seed; the same seed gives the same report.

    Returns
    -------
    DriftReport
        "drift" when the magnitude is above the threshold and a corrected test is significant.
        "cannot tell" when rows or columns are missing, a number cannot be read, a detector fails,
        or a column is all null or (significantly) constant on one side alone while the magnitude
        is not above the threshold. Else "no drift". Never raises on data.
    """
    unknown = _unfit(reference, current, features, drift)
    if unknown:
        return _cannot_tell(unknown, reference, current, drift)
    try:
        kinds: dict[str, Literal["numeric", "categorical"]] = {
            **dict.fromkeys(features.numeric, "numeric"),
            **dict.fromkeys(features.categorical, "categorical"),
        }
        rng = np.random.default_rng(drift.seed)
        samples = [
            frame[list(kinds)].iloc[rng.permutation(len(frame))[: drift.max_rows]]
            for frame in (reference, current)
        ]
        ref, cur = detectors.encode(samples[0], samples[1], set(features.categorical))
        magnitude, joint_p, contribution = detectors.joint(
            ref, cur, list(kinds.values()), drift.seed
        )
        limit = drift.alpha / (len(kinds) + 1)
        moved = []
        for i, (name, kind) in enumerate(kinds.items()):
            statistic, p_value, collapsed = detectors.single(ref[:, i], cur[:, i], kind)
            moved.append(
                FeatureDrift(
                    name=name,
                    kind=kind,
                    statistic=statistic,
                    p_value=p_value,
                    significant=p_value < limit,
                    contribution=float(contribution[i]),
                    missing_reference=float(reference[name].isna().mean()),
                    missing_current=float(current[name].isna().mean()),
                    collapsed=collapsed,
                )
            )
    except Exception as error:  # A detector's failure must read as "cannot tell", whatever it is.
        why = f"a detector failed: {type(error).__name__}: {error}"
        return _cannot_tell(why, reference, current, drift)
    verdict, reason = _judge(magnitude, moved, joint_p < limit, drift)
    top = max(moved, key=lambda feature: feature.contribution)
    return DriftReport(
        verdict=verdict,
        magnitude=magnitude,
        threshold=drift.magnitude_above,
        p_value=joint_p,
        top_feature=top.name if top.contribution > 0 else None,
        features=tuple(moved),
        n_reference=len(reference),
        n_current=len(current),
        reason=reason,
    )


def _unfit(
    reference: pd.DataFrame, current: pd.DataFrame, features: Features, drift: Drift
) -> str | None:
    names = features.numeric + features.categorical
    if not names:
        return "no features are named"
    for side, frame in (("reference", reference), ("current", current)):
        absent = [name for name in names if name not in frame.columns]
        if absent:
            return f"the {side} rows lack the columns {', '.join(absent)}"
        if len(frame) < drift.min_rows:
            return f"{len(frame)} {side} rows are fewer than {drift.min_rows}"
    return None


def _cannot_tell(
    why: str, reference: pd.DataFrame, current: pd.DataFrame, drift: Drift
) -> DriftReport:
    return DriftReport(
        verdict="cannot tell",
        magnitude=None,
        threshold=drift.magnitude_above,
        p_value=None,
        top_feature=None,
        features=(),
        n_reference=len(reference),
        n_current=len(current),
        reason=f"cannot tell: {why}",
    )


def _judge(
    magnitude: float, moved: list[FeatureDrift], joint: bool, drift: Drift
) -> tuple[Literal["drift", "no drift", "cannot tell"], str]:
    top = max(moved, key=lambda feature: feature.contribution)
    share = "most" if top.contribution > 50 else "the largest part"
    part = f", {share} of it from {top.name} ({top.contribution:.0f} %)"
    text = f"{magnitude:.0f} %{part if top.contribution > 0 else ''}"
    # A rare value may be absent from a window by chance; a column without any value never is.
    collapsed = [
        f"{feature.name} {feature.collapsed}"
        for feature in moved
        if feature.collapsed and (feature.significant or feature.statistic is None)
    ]
    if magnitude > drift.magnitude_above and (joint or any(f.significant for f in moved)):
        also = f"; {'; '.join(collapsed)}" if collapsed else ""
        return "drift", f"{text}; above {drift.magnitude_above:g} %{also}"
    if collapsed:
        return "cannot tell", f"cannot tell: {'; '.join(collapsed)}; magnitude {text}"
    if magnitude > drift.magnitude_above:
        return "no drift", f"{text}; but no test is significant at alpha {drift.alpha:g}"
    return "no drift", f"{text}; not above {drift.magnitude_above:g} %"
