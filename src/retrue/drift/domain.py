"""How well a small forest tells reference and current rows apart, all columns taken together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from retrue.drift.categories import label
from retrue.drift.reference import to_floats
from retrue.drift.statistics import one_sided_p_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrue.drift.single import Sides

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
CONFIDENCE = 0.95
_RESAMPLES = 2_000


@dataclass(frozen=True, eq=False)
class Joint:
    """What the forest found."""

    magnitude: float
    """In %."""
    low: float
    high: float
    p_value: float
    contributions: Floats
    """Shape (n_features,), in %."""

    def __post_init__(self) -> None:
        """Raise ValueError where a figure is not finite: it must not read as "no drift"."""
        if not np.isfinite([self.magnitude, self.p_value, *self.contributions]).all():
            raise ValueError(f"magnitude {self.magnitude}, p-value {self.p_value}")


def matrices(sides: Sides) -> tuple[Floats, Floats]:
    """Samples of whole rows of both sides, as `encode` makes them; columns as in `sides.kinds`."""
    columns = list(sides.kinds)
    categorical = {name for name, kind in sides.kinds.items() if kind == "categorical"}
    return encode(sides.sample[columns], sides.window.sample[columns], categorical)


def encode(
    reference: pd.DataFrame, current: pd.DataFrame, categorical: set[str]
) -> tuple[Floats, Floats]:
    """Float matrices (n_rows, n_features): categories as codes of their union, null as NaN."""
    columns = []
    for name in reference.columns:
        if name in categorical:
            sides = [frame[name].to_numpy(dtype=object) for frame in (reference, current)]
            # Each category's text once: a call for each row takes most of the time.
            codes, distinct = pd.factorize(np.concatenate(sides))
            texts = np.array([label(value) for value in distinct], dtype=object)
            places, _ = pd.factorize(texts, sort=True)
            columns.append(np.append(places.astype(np.float64), np.nan)[codes])
        else:
            columns.append(np.concatenate([to_floats(one, name) for one in (reference, current)]))
    matrix = np.column_stack(columns)
    return matrix[: len(reference)], matrix[len(reference) :]


def parameters(n_rows: int, seed: int) -> dict[str, Any]:
    """The forest's, for so many rows a side."""
    # A leaf of less than a twentieth of the rows is noise; at 100 rows it no longer matters.
    leaf = int(np.clip(n_rows // 20, 2, 100))
    return FOREST | {"random_state": seed, "min_child_samples": leaf}


def joint(reference: Floats, current: Floats, kinds: Sequence[str], seed: int) -> Joint:
    """Tell two samples apart, on equally many rows a side, shape (n_rows, n_features).

    The folds, the forest and so the magnitude are those of alibi-detect's `ClassifierDrift`, bit
    for bit; the p-value is exact at any number of rows. A feature's contribution is its share of
    the gain over both folds' forests.
    """
    import lightgbm as lgb
    from sklearn.model_selection import StratifiedKFold

    n = min(len(reference), len(current))
    x = np.concatenate([reference[:n], current[:n]])
    y = np.repeat([0.0, 1.0], n)
    scores, gain = np.empty(2 * n), np.zeros(x.shape[1])
    categorical = [i for i, kind in enumerate(kinds) if kind == "categorical"]
    given = parameters(n, seed)
    n_trees = given.pop("n_estimators")
    for learn, judge in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, y):
        rows = lgb.Dataset(x[learn], y[learn], categorical_feature=categorical, params=given)
        forest = lgb.train(given | {"objective": "binary"}, rows, n_trees)
        scores[judge] = forest.predict(x[judge], num_threads=1)
        gain += forest.feature_importance("gain")
    return found(scores[:n], scores[n:], gain, one_sided_p_value(scores[:n], scores[n:]), seed)


def found(reference: Floats, current: Floats, gain: Floats, p_value: float, seed: int) -> Joint:
    """Figures from cross-fitted chances of being current, shape (n_rows,) a side.

    The magnitude is 100 * max(0, Matthews correlation) of "called current" with being current.
    """
    false, true = int((reference > 0.5).sum()), int((current > 0.5).sum())
    sides = (len(reference), len(current))
    magnitude = 100 * max(0.0, float(matthews(false, true, *sides)))
    low, high = interval(false, true, *sides, seed)
    total = gain.sum()
    shares = 100 * gain / total if total > 0 else np.zeros(len(gain))
    return Joint(magnitude, min(low, magnitude), max(high, magnitude), p_value, shares)


def matthews(
    false: npt.ArrayLike, true: npt.ArrayLike, n_reference: int, n_current: int
) -> npt.NDArray[np.float64]:
    """Matthews (1975) correlation from how many reference and current rows are called current.

    0 where all rows are called the same. `false` and `true` may be arrays of one shape.
    """
    called_ref, called_cur = np.asarray(false, np.float64), np.asarray(true, np.float64)
    called = called_ref + called_cur
    total = n_reference + n_current
    scale = np.sqrt(called * (total - called) * float(n_reference) * float(n_current))
    apart = called_cur * (n_reference - called_ref) - called_ref * (n_current - called_cur)
    return np.divide(apart, scale, out=np.zeros_like(apart), where=scale > 0)


def interval(
    false: int, true: int, n_reference: int, n_current: int, seed: int
) -> tuple[float, float]:
    """95 % percentile interval of the magnitude, in %, from resampled rows (Efron 1979).

    The magnitude hangs on two counts, so drawing a side's rows again is drawing one binomial. It
    tells what other rows of the same days would give with the same forests; rows of a day that move
    together make it too narrow, which thresholds calibrated on blocks of days make up for.
    """
    rng = np.random.default_rng(seed)
    again_false = rng.binomial(n_reference, false / n_reference, _RESAMPLES)
    again_true = rng.binomial(n_current, true / n_current, _RESAMPLES)
    drawn = matthews(again_false, again_true, n_reference, n_current)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.maximum(0.0, drawn), [tail, 1 - tail])
    return 100 * float(low), 100 * float(high)


def classifier(n_rows: int, kinds: Sequence[str], seed: int) -> Any:
    """The forest as a scikit-learn estimator."""
    from lightgbm import LGBMClassifier

    return LGBMClassifier(
        **parameters(n_rows, seed),
        # The alias: the sklearn wrapper warns about, and ignores, `categorical_feature` here.
        cat_feature=[i for i, kind in enumerate(kinds) if kind == "categorical"],
    )
