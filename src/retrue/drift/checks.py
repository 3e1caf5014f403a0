"""Hold new rows against the training reference: three answers, and none of them by accident."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from retrue.drift import alibi, native, statistics
from retrue.drift.effects import effect
from retrue.drift.reference import kind_of, summarise
from retrue.drift.report import DriftReport, FeatureDrift
from retrue.drift.single import Sides
from retrue.drift.verdict import cannot_tell, judge
from retrue.drift.window import lacking, tally, tally_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from retrue.config import Features
    from retrue.config_drift import Drift
    from retrue.drift.effects import Effect
    from retrue.drift.reference import Reference
    from retrue.drift.single import Tested
    from retrue.drift.window import Window

_DETECT = {"alibi-detect": alibi.detect, "native": native.detect}


def check(
    reference: pd.DataFrame, current: pd.DataFrame, features: Features, drift: Drift
) -> DriftReport:
    """Compare current rows with reference rows.

    The magnitude is 100 * max(0, Matthews correlation) of cross-fitted predictions "reference or
    current": a classifier two-sample test (Lopez-Paz & Oquab 2017); the drift magnitude of Azure
    ML's dataset monitor was such a correlation (its metric `ds_mcc_test`). Tests of single
    features are K-S or chi-squared on their non-null values, chi-squared on their missing rate and
    a test of new categories, corrected together with the joint test. `alibi-detect` makes them on
    samples of `max_rows` rows, `native` from counts of all rows.

    Rows that share a day (weather, outages) raise the magnitude of short windows without any
    drift: calibrate `magnitude_above` on windows of `window_days` within the reference.

    Parameters
    ----------
    reference, current : pd.DataFrame
        Rows with the columns of `features`; others are ignored, neither is changed.
    features : Features
        Numeric and categorical columns.
    drift : Drift
        Backend, thresholds, sample sizes and the seed; the same seed gives the same report.

    Returns
    -------
    DriftReport
        "drift" when the magnitude is above the threshold and a corrected test is significant.
        "cannot tell" when rows or columns are missing, a number cannot be read, a detector fails,
        or a column is all null or (significantly) constant on one side alone while the magnitude
        is not above the threshold. Else "no drift". Never raises on data.
    """
    absent = lacking(reference, (*features.numeric, *features.categorical))
    if absent:
        why = f"the reference rows lack the columns {', '.join(absent)}"
        return cannot_tell(why, len(reference), len(current), drift)
    try:
        kept = summarise(reference, features)
        sample = tally(kept, reference, drift.max_rows, drift.seed, part=1).sample
    except Exception as error:  # As a detector's failure: see `check_window`.
        return cannot_tell(_failed(error), len(reference), len(current), drift)
    return check_window(kept, sample, [current], drift)


def check_window(
    reference: Reference, sample: pd.DataFrame, batches: Iterable[pd.DataFrame], drift: Drift
) -> DriftReport:
    """Compare rows that come in batches with what was kept of a reference, in one pass.

    Parameters
    ----------
    reference : Reference
        Counts of all reference rows; its columns are compared.
    sample : DataFrame, shape (n_rows, ...)
        Whole rows of the reference, for the joint test.
    batches : iterable of DataFrame
        The window. No more than one batch and `max_rows` rows are held at a time.

    Returns
    -------
    DriftReport
        As of `check`; an error while a batch is read is "cannot tell" as well.
    """
    n_current = 0
    try:
        window = tally_all(reference, batches, drift.max_rows, drift.seed)
        n_current = 0 if window is None else window.n_rows
        unknown = _unfit(reference, n_current, drift)
        if unknown is not None or window is None:
            return cannot_tell(unknown or "no rows came", reference.n_rows, n_current, drift)
        return _compared(reference, sample, window, drift)
    except Exception as error:  # A detector's failure must read as "cannot tell", whatever it is.
        return cannot_tell(_failed(error), reference.n_rows, n_current, drift)


def _compared(
    reference: Reference, sample: pd.DataFrame, window: Window, drift: Drift
) -> DriftReport:
    kinds = {name: kind_of(column) for name, column in reference.columns.items()}
    detected = _DETECT[drift.backend](Sides(reference, window, sample, kinds, drift.seed))
    joint = detected.joint
    effects = {name: effect(reference.columns[name], window.columns[name]) for name in kinds}
    own = {name: _own(detected.features[name], effects[name]) for name in kinds}
    *p_features, p_joint = statistics.corrected([*own.values(), joint.p_value], drift.correction)
    moved = [
        FeatureDrift(
            name=name,
            kind=kinds[name],
            statistic=detected.features[name].statistic,
            p_value=own[name],
            p_corrected=p_value,
            significant=p_value < drift.alpha,
            contribution=float(contribution),
            p_missing=detected.features[name].p_missing,
            collapsed=detected.features[name].collapsed,
            **asdict(effects[name]),
        )
        for name, p_value, contribution in zip(kinds, p_features, joint.contributions, strict=True)
    ]
    verdict, reason = judge(joint.magnitude, moved, p_joint < drift.alpha, drift)
    top = max(moved, key=lambda feature: feature.contribution)
    return DriftReport(
        verdict=verdict,
        magnitude=joint.magnitude,
        magnitude_low=joint.low,
        magnitude_high=joint.high,
        threshold=drift.magnitude_limit,
        p_value=joint.p_value,
        p_corrected=p_joint,
        top_feature=top.name if top.contribution > 0 else None,
        features=tuple(moved),
        n_reference=reference.n_rows,
        n_current=window.n_rows,
        backend=drift.backend,
        correction=drift.correction,
        reason=reason,
    )


def _own(tested: Tested, effect: Effect) -> float:
    """P-value of all of a feature's own tests together: the smallest, times their number."""
    given = (tested.p_value, tested.p_missing, tested.p_alone, effect.p_new_categories)
    p_values = [one for one in given if one is not None]
    return min(1.0, len(p_values) * min(p_values))


def _unfit(reference: Reference, n_current: int, drift: Drift) -> str | None:
    if not reference.columns:
        return "no features are named"
    for side, n in (("reference", reference.n_rows), ("current", n_current)):
        if n < drift.min_rows:
            return f"{n} {side} rows are fewer than {drift.min_rows}"
    return None


def _failed(error: Exception) -> str:
    return f"a detector failed: {type(error).__name__}: {error}"
