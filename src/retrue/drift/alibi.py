"""The tests of alibi-detect, on samples of whole rows. Its home."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from retrue.drift import domain
from retrue.drift.single import Detected, Sides, Tested, all_null, constant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrue.drift.domain import Floats, Joint
    from retrue.drift.report import Kind


def detect(sides: Sides) -> Detected:
    """`TabularDrift` on each feature, `ClassifierDrift` with a LightGBM forest on all jointly."""
    kinds = sides.kinds
    ref, cur = domain.matrices(sides)
    found = _joint(ref, cur, list(kinds.values()), sides.seed)
    features = {
        name: single(ref[:, i], cur[:, i], kind) for i, (name, kind) in enumerate(kinds.items())
    }
    return Detected(features, found)


def single(reference: Floats, current: Floats, kind: Kind) -> Tested:
    """Tests of one column (n_rows,); nulls get a test of their own.

    One NaN handed to K-S makes p NaN, and NaN < alpha is false: drift would hide behind it.
    """
    ref_null, cur_null = np.isnan(reference), np.isnan(current)
    ref, cur = reference[~ref_null], current[~cur_null]
    p_missing = _univariate(ref_null.astype(float), cur_null.astype(float), True)[1]
    if not (len(ref) and len(cur)):
        side = "current" if len(ref) else "reference"
        return Tested(
            None, None, p_missing, collapsed=all_null(side) if len(ref) or len(cur) else None
        )
    statistic, p_value = _univariate(ref, cur, kind == "categorical")
    one = [bool(np.all(side == side[0])) for side in (ref, cur)]
    if one[0] == one[1]:
        return Tested(statistic, p_value, p_missing)
    value = ref[0] if one[0] else cur[0]
    # K-S is blind to a rare value that vanished (a dry month in a rain gauge): compare how often
    # the one value occurs.
    p_alone = _univariate((ref == value) * 1.0, (cur == value) * 1.0, True)[1]
    return Tested(
        statistic, p_value, p_missing, p_alone, constant("reference" if one[0] else "current")
    )


def _univariate(reference: Floats, current: Floats, categorical: bool) -> tuple[float, float]:
    from alibi_detect.cd import TabularDrift

    # An empty mapping means "all numeric"; None would mean the same and warn.
    kinds = {0: None} if categorical else {}
    detector = TabularDrift(reference[:, None], p_val=0.05, categories_per_feature=kinds)
    data = detector.predict(current[:, None], drift_type="feature")["data"]
    return float(data["distance"][0]), float(data["p_val"][0])


def _joint(reference: Floats, current: Floats, kinds: Sequence[Kind], seed: int) -> Joint:
    # alibi-detect imports transformers, which advises on stderr to install PyTorch.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from alibi_detect.cd import ClassifierDrift

    n = min(len(reference), len(current))
    detector = ClassifierDrift(
        reference[:n],
        domain.classifier(n, kinds, seed),
        backend="sklearn",
        preds_type="probs",
        n_folds=domain.FOLDS,
        train_size=None,
        seed=seed,
    )
    data = detector.predict(current[:n])["data"]
    gain = np.asarray(data["model"].booster_.feature_importance("gain"), dtype=np.float64)
    return domain.found(data["probs_ref"], data["probs_test"], gain, float(data["p_val"]), seed)
