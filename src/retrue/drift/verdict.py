"""From figures to one of three answers, and its reason in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.drift.report import DriftReport, FeatureDrift, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrue.config_drift import Drift


def judge(
    magnitude: float, moved: Sequence[FeatureDrift], joint: bool, drift: Drift
) -> tuple[Verdict, str]:
    """Answer and reason from the magnitude in %, the features, and whether the joint test holds."""
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
    if magnitude > drift.magnitude_limit and (joint or any(f.significant for f in moved)):
        also = f"; {'; '.join(collapsed)}" if collapsed else ""
        return "drift", f"{text}; above {drift.magnitude_limit:g} %{also}"
    if collapsed:
        return "cannot tell", f"cannot tell: {'; '.join(collapsed)}; magnitude {text}"
    if magnitude > drift.magnitude_limit:
        return "no drift", f"{text}; but no test is significant at alpha {drift.alpha:g}"
    return "no drift", f"{text}; not above {drift.magnitude_limit:g} %"


def cannot_tell(why: str, n_reference: int, n_current: int, drift: Drift) -> DriftReport:
    """The answer where figures are missing."""
    return DriftReport(
        verdict="cannot tell",
        magnitude=None,
        threshold=drift.magnitude_limit,
        p_value=None,
        top_feature=None,
        features=(),
        n_reference=n_reference,
        n_current=n_current,
        backend=drift.backend,
        correction=drift.correction,
        reason=f"cannot tell: {why}",
    )
