"""Folds inside the training part that ask what the model will be asked: the time to come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retrue.errors import TrainingError
from retrue.splits import key_hash

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.config import Problem
    from retrue.search.recipe import Recipe

# A quarter of what `splits.MIN_TRAIN_ROWS` asks of a whole training: the first fold learns from the
# older half, and its losses only rank recipes.
MIN_ROWS = 125


@dataclass(frozen=True)
class Fold:
    """Positions in the training part: `train` is learned from, `valid` scores."""

    train: NDArray[np.intp]
    valid: NDArray[np.intp]


def folds(train: pd.DataFrame, problem: Problem) -> tuple[Fold, ...]:
    """Divide the training part, which is in time order where there is a time column.

    By time: `search.n_folds` windows, each as long as the gate's hold-out (a third of the span at
    most) and predicted from all rows before it whose labels were known when it began (rolling
    origin, Tashman 2000). A recipe is for as long as its model serves, and what wins the next days
    may lose the next months. Windows begin evenly spaced from a third of the span on, so they may
    overlap; the newest comes last and ends with the newest row. Without a time column: k folds by
    the hash of the key, so that rows with one key stay together.

    Raises
    ------
    TrainingError
        Too few rows, or too few different times, for two folds.
    """
    if problem.data.time is None:
        number = np.floor(_rescaled_hash(train, problem) * problem.search.n_folds)
        made = tuple(
            Fold(np.flatnonzero(number != k), np.flatnonzero(number == k))
            for k in range(problem.search.n_folds)
        )
    else:
        made = _by_time(train[problem.data.time], problem)
    good = tuple(fold for fold in made if min(len(fold.train), len(fold.valid)) >= MIN_ROWS)
    if len(good) < 2:
        raise TrainingError(
            f"two folds of at least {MIN_ROWS} rows to learn from and to score",
            f"{len(good)} in {len(train)} training rows",
            f"{problem.name}, search.n_folds {problem.search.n_folds}",
            "widen the span, lower search.n_folds, or train without --search",
        )
    return good


def recipe_share(recipe: Recipe, ages: NDArray[np.float64], fold: Fold) -> float:
    """Rows that a fold learns from, of all rows, each weighing what the recipe leaves of its age.

    1 for a forest and for dart, whose rounds are bounded and do not grow with the rows.
    """
    if recipe.algorithm in ("dart", "rf"):
        return 1.0
    if not recipe.half_life_days:
        return len(fold.train) / len(ages)
    ours = ages[fold.train] - ages[fold.train].min()
    weights, all_weights = (0.5 ** (one / recipe.half_life_days) for one in (ours, ages))
    return float(weights.sum() / all_weights.sum())


def _by_time(times: pd.Series[pd.Timestamp], problem: Problem) -> tuple[Fold, ...]:
    n_folds, ordered = problem.search.n_folds, pd.DatetimeIndex(times)
    first, end = ordered[0], ordered[-1] + pd.Timedelta(microseconds=1)
    span = end - first
    lag = timedelta(days=problem.label.known_after_days)
    horizon = min(pd.Timedelta(days=problem.training.holdout_days), span / 3)
    earliest, latest = first + span / 3, end - horizon
    cuts = [earliest + (latest - earliest) * k / (n_folds - 1) for k in range(n_folds)]
    if horizon >= pd.Timedelta(days=10):
        # Rows of one day stay together: they share weather and outages.
        cuts = [cut.floor("D") for cut in cuts]
    made = []
    for cut in cuts:
        known, start, stop = (
            int(ordered.searchsorted(moment)) for moment in (cut - lag, cut, cut + horizon)
        )
        made.append(Fold(np.arange(known), np.arange(start, stop)))
    # The floor of the day must not cost the newest rows.
    made[-1] = Fold(made[-1].train, np.arange(start, len(ordered)))
    return tuple(made)


def _rescaled_hash(train: pd.DataFrame, problem: Problem) -> NDArray[np.float64]:
    """Hashes below `holdout_share` are held out; what is left fills 0 to 1 again."""
    share = problem.training.holdout_share
    found: NDArray[np.float64] = (key_hash(train, problem) - share) / (1 - share)
    return np.clip(found, 0.0, 1.0 - 1e-12)
