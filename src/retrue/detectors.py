"""The drift detectors: each feature by itself, and all jointly. Home of alibi-detect."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
FOLDS = 2
# A small forest on purpose: rows of one hour share their weather, and a larger classifier learns
# the hours by heart. On the New York flights 15 leaves x 50 trees call December 70 % away from
# January to March, 8 leaves x 30 trees about 50 %, while April stays at 80 %.
FOREST: dict[str, Any] = {
    "n_estimators": 30,
    "max_depth": 3,
    "num_leaves": 8,
    "learning_rate": 0.1,
    "n_jobs": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


def encode(
    reference: pd.DataFrame, current: pd.DataFrame, categorical: set[str]
) -> tuple[Floats, Floats]:
    """Float matrices (n_rows, n_features): categories as codes of their union, null as NaN."""
    columns = []
    for name in reference.columns:
        if name in categorical:
            sides = [frame[name].to_numpy(dtype=object) for frame in (reference, current)]
            values = pd.Series(np.concatenate(sides), dtype=object)
            codes, _ = pd.factorize(values.map(_label, na_action="ignore"), sort=True)
            columns.append(np.where(codes < 0, np.nan, codes).astype(np.float64))
        else:
            try:
                numbers = [pd.to_numeric(frame[name]) for frame in (reference, current)]
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name}: {error}") from error
            columns.append(
                np.concatenate([n.to_numpy(np.float64, na_value=np.nan) for n in numbers])
            )
    matrix = np.column_stack(columns)
    return matrix[: len(reference)], matrix[len(reference) :]


def _label(value: object) -> str:
    # One null turns a column of integers into floats: 1 and 1.0 are the same category.
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)  # type: ignore[call-overload]


def single(reference: Floats, current: Floats, kind: str) -> tuple[float | None, float, str | None]:
    """(statistic, p-value, what collapsed) of one column (n_rows,); nulls get a test of their own.

    One NaN handed to K-S makes p NaN, and NaN < alpha is false: drift would hide behind it.
    """
    ref_null, cur_null = np.isnan(reference), np.isnan(current)
    ref, cur = reference[~ref_null], current[~cur_null]
    p_values = [_univariate(ref_null.astype(float), cur_null.astype(float), True)[1]]
    statistic = collapsed = None
    if len(ref) and len(cur):
        statistic, p_value = _univariate(ref, cur, kind == "categorical")
        p_values.append(p_value)
        one = [np.all(side == side[0]) for side in (ref, cur)]
        if one[0] != one[1]:
            constant = ref[0] if one[0] else cur[0]
            # K-S is blind to a rare value that vanished (a dry month in a rain gauge): compare
            # how often the one value occurs.
            rare = _univariate((ref == constant) * 1.0, (cur == constant) * 1.0, True)[1]
            p_values.append(rare)
            collapsed = f"is constant in the {'reference' if one[0] else 'current'} rows alone"
    elif len(ref) or len(cur):
        collapsed = f"is all null in the {'current' if len(ref) else 'reference'} rows alone"
    return statistic, min(1.0, len(p_values) * min(p_values)), collapsed


def _univariate(reference: Floats, current: Floats, categorical: bool) -> tuple[float, float]:
    from alibi_detect.cd import TabularDrift

    # An empty mapping means "all numeric"; None would mean the same and warn.
    kinds = {0: None} if categorical else {}
    detector = TabularDrift(reference[:, None], p_val=0.05, categories_per_feature=kinds)
    data = detector.predict(current[:, None], drift_type="feature")["data"]
    statistic, p_value = float(data["distance"][0]), float(data["p_val"][0])
    if not (np.isfinite(statistic) and np.isfinite(p_value)):
        raise ValueError(f"statistic {statistic}, p-value {p_value}")
    return statistic, p_value


def joint(
    reference: Floats, current: Floats, kinds: list[str], seed: int
) -> tuple[float, float, Floats]:
    """(magnitude in %, p-value, contributions in % (n_features,)) on equally many rows a side."""
    # alibi-detect imports transformers, which advises on stderr to install PyTorch.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from alibi_detect.cd import ClassifierDrift
    from lightgbm import LGBMClassifier

    n = min(len(reference), len(current))
    forest = LGBMClassifier(
        **FOREST,
        random_state=seed,
        # A leaf of less than a twentieth of the rows is noise; at 100 rows it no longer matters.
        min_child_samples=int(np.clip(n // 20, 2, 100)),
        # The alias: the sklearn wrapper warns about, and ignores, `categorical_feature` here.
        cat_feature=[i for i, kind in enumerate(kinds) if kind == "categorical"],
    )
    detector = ClassifierDrift(
        reference[:n],
        forest,
        backend="sklearn",
        preds_type="probs",
        n_folds=FOLDS,
        train_size=None,
        seed=seed,
    )
    data = detector.predict(current[:n])["data"]
    magnitude = 100 * max(0.0, _matthews(data["probs_ref"] > 0.5, data["probs_test"] > 0.5))
    gain = np.asarray(data["model"].booster_.feature_importance("gain"), dtype=np.float64)
    p_value = float(data["p_val"])
    if not (np.isfinite(magnitude) and np.isfinite(p_value)):
        raise ValueError(f"magnitude {magnitude}, p-value {p_value}")
    return magnitude, p_value, 100 * gain / gain.sum() if gain.sum() > 0 else gain


def _matthews(reference: npt.NDArray[np.bool_], current: npt.NDArray[np.bool_]) -> float:
    """Matthews (1975) correlation of "called current" with being current; 0 when one-sided."""
    false, true = int(reference.sum()), int(current.sum())
    rest_ref, rest_cur = len(reference) - false, len(current) - true
    scale = (true + false) * (true + rest_cur) * (rest_ref + false) * (rest_ref + rest_cur)
    return (true * rest_ref - false * rest_cur) / np.sqrt(float(scale)) if scale else 0.0
