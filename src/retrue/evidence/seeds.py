"""The luck of the seed: whether a recipe depends on it, and how far it moves a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrue.training import BIN_ROWS, MOST_BIN_ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrue.metrics import Array

# LightGBM's names and aliases for what draws rows, columns, thresholds or trees by chance.
_SHARES = (
    ("feature_fraction", "sub_feature", "colsample_bytree"),
    ("feature_fraction_bynode", "sub_feature_bynode", "colsample_bynode"),
)
_ROW_SHARES = ("bagging_fraction", "sub_row", "subsample", "bagging")
_CLASS_SHARES = (
    ("pos_bagging_fraction", "pos_sub_row", "pos_subsample", "pos_bagging"),
    ("neg_bagging_fraction", "neg_sub_row", "neg_subsample", "neg_bagging"),
)
_ROW_FREQUENCY = ("bagging_freq", "subsample_freq")
_BOOSTING = ("boosting", "boosting_type", "boost")
_BY_CHANCE = ("dart", "rf", "random_forest", "goss")


def is_stochastic(params: Mapping[str, bool | int | float | str], n_rows: int) -> bool:
    """Whether another seed gives another model of the same `n_rows` rows.

    Of more than a million rows, or `bin_construct_sample_cnt`, LightGBM draws those that it makes
    bins from.

    >>> is_stochastic({"learning_rate": 0.05}, 300_000), is_stochastic({}, 2_000_000)
    (False, True)
    """

    def given(names: Sequence[str], default: float) -> float:
        return next((float(params[name]) for name in names if name in params), default)

    def said(*names: str) -> str:
        return next((str(params[name]).lower() for name in names if name in params), "")

    bags = given(_ROW_FREQUENCY, 0) > 0
    shares = [*_SHARES, *((_ROW_SHARES, *_CLASS_SHARES) if bags else ())]
    return (
        n_rows > given(BIN_ROWS, MOST_BIN_ROWS)
        or any(given(names, 1) < 1 for names in shares)
        or said(*_BOOSTING) in _BY_CHANCE
        or said("data_sample_strategy") == "goss"
        or said("extra_trees", "extra_tree") in ("true", "1", "+")
        or said("use_quantized_grad") in ("true", "1", "+")
    )


def with_luck(values: Sequence[Array], rival: Array, sign: int, seed: int) -> Array:
    """Gain of a recipe over a champion under each draw, the luck of both seeds counted in.

    Each draw holds the mean of the seeds' models against the champion and adds a seed's luck by
    chance: Student's t with as many degrees of freedom as seeds tell, times the seeds' standard
    deviation, times sqrt(1 + 1/k) for a champion that is one draw (k models the challenger's).
    That is a normal prediction interval; drawing among a few seeds ends at the luckiest of them,
    and would promote a twin in one case of k + 1 where the seeds' luck is all there is.

    Parameters
    ----------
    values : sequence of ndarray, each of shape (1 + n_resamples,)
        The metric of each seed's model under each draw, the judged model first.
    rival : ndarray, shape (1 + n_resamples,)
        The champion's.
    sign : int
        +1 when higher is better, else -1.

    Returns
    -------
    ndarray, shape (1 + n_resamples,)
        First the judged model's own gain on the sample.
    """
    if len(values) == 1:
        return sign * (values[0] - rival)
    models = np.vstack(values)
    n_seeds = len(models)
    spread = float(models[:, 0].std(ddof=1)) * np.sqrt(1 + 1 / n_seeds)
    luck = np.random.default_rng(seed).standard_t(n_seeds - 1, models.shape[1])
    found = sign * (models.mean(axis=0) - rival) + spread * luck
    found[0] = sign * (values[0][0] - rival[0])
    return np.asarray(found)
