"""Fit a recipe on a fold and score it: LightGBM, with what can be shared between trials shared."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from retrue import metrics, objectives, splits, training
from retrue.encoding_frame import categorical_columns, encode_frame, fit_features, matrix_columns
from retrue.search.binned import MOST_BYTES, Binned
from retrue.search.folds import Fold, folds, recipe_share
from retrue.search.follow import Follow
from retrue.search.recipe import Recipe, apply

if TYPE_CHECKING:
    import lightgbm as lgb
    import pandas as pd
    from numpy.typing import NDArray

    from retrue.config import Problem
    from retrue.serving.features import Feature
    from retrue.splits import Split

    Encoded = tuple[list[Feature], NDArray[np.float64], NDArray[np.float64]]

MAX_BLOCKS = 60
"""Blocks of rows a fold, or a little more; they say what a difference of two recipes is worth."""
_OF_THE_DATASET = ("max_bin", "min_data_in_bin")


@dataclass(frozen=True)
class Material:
    """What every trial is made of: the training part of a split, and its folds."""

    problem: Problem
    train: pd.DataFrame
    y: NDArray[np.float64]
    classes: tuple[str, ...]
    folds: tuple[Fold, ...]
    blocks: tuple[NDArray[np.intp], ...]
    """Position of each scored row's block in the names of the fold's blocks."""
    block_names: tuple[NDArray[np.intp], ...]
    """A block that two folds score has one name: it is one observation."""

    @property
    def span_days(self) -> float:
        """Days from the oldest training row to the newest; 0 without a time column."""
        return float(splits.ages(self.train, self.problem).max())

    @property
    def objectives(self) -> tuple[str, ...]:
        """What a regression may be fitted to on each fold; empty for a class."""
        if self.problem.label.task != "regression":
            return ()
        return objectives.allowed(self.y[fold.train] for fold in self.folds)


def material(parts: Split, problem: Problem) -> Material:
    """Folds of a split's training part; its hold-out is not looked at.

    Raises
    ------
    TrainingError
        As `retrue.search.folds.folds`.
    """
    made = folds(parts.train, problem)
    names = _blocks(parts.train, problem)
    coded = [np.unique(names[fold.valid], return_inverse=True) for fold in made]
    return Material(
        problem=problem,
        train=parts.train,
        y=splits.target(parts.train, problem, parts.classes),
        classes=parts.classes,
        folds=made,
        blocks=tuple(positions for _, positions in coded),
        block_names=tuple(found for found, _ in coded),
    )


@dataclass(frozen=True)
class FoldScore:
    """What one fold says of a recipe."""

    rounds: NDArray[np.intp] = field(repr=False)
    """Rounds after which the scored rows were looked at, ascending, shape (n_looks,)."""
    curve: NDArray[np.float64] = field(repr=False)
    """Mean loss of the scored rows at each look, shape (n_looks,)."""
    block_sums: NDArray[np.float64] = field(repr=False)
    """Sum of the losses of each block at each look, shape (n_looks, n_blocks)."""
    block_rows: NDArray[np.float64] = field(repr=False)
    """Rows of each block, shape (n_blocks,)."""
    block_names: NDArray[np.intp] = field(repr=False)
    auc: float | None
    """At the fold's own best look; of binary labels with both classes only."""
    seconds: float
    is_behind: bool = False
    """It was stopped because even its steepest hope would not have reached the bar."""
    share: float = 1.0
    """Rows learned from, of those that the model will be, each weighing what its age leaves."""


class Evaluator:
    """Scores recipes fold by fold; keeps what was encoded and binned for the next recipe.

    Not to be shared by threads: the weights of a kept data set are those of its last recipe.
    """

    def __init__(self, of: Material, num_threads: int, n_beside: int = 0) -> None:
        self.of = of
        self._num_threads = num_threads
        self._ages = splits.ages(of.train, of.problem)
        self._kept = Binned(MOST_BYTES // (n_beside + 1))
        self._encoded: dict[int, tuple[str, Encoded]] = {}

    def score(
        self, recipe: Recipe, k: int, deadline: float = np.inf, bar: float = np.inf
    ) -> FoldScore | None:
        """Fit `recipe` on fold `k` and follow its loss, some rounds at a time.

        Stops early when the loss turned, and when it would not come down to `bar` though it fell
        to the last round as it did of late (losses fall ever more slowly). None when `deadline`
        (seconds since the epoch) passed.
        """
        import lightgbm as lgb

        began = time.perf_counter()
        fold, problem = self.of.folds[k], apply(self.of.problem, recipe)
        params = training.parameters(problem, len(self.of.classes))
        params |= {"num_threads": self._num_threads, "feature_pre_filter": False}
        train_set, valid_set = self._datasets(problem, params, k)
        train_set.set_weight(
            training.row_weights(
                self.of.y[fold.train],
                self._ages[fold.train] - self._ages[fold.train].min(),
                recipe.class_weights,
                recipe.half_life_days,
            )
        )
        follow = Follow(
            training.loss_name(problem),
            self.of.y[fold.valid],
            self.of.blocks[k],
            recipe,
            deadline,
            bar,
        )
        lgb.train(
            params,
            train_set,
            recipe.num_boost_round,
            valid_sets=[valid_set],
            callbacks=[follow.follow],
            keep_training_booster=True,  # else it is written out and read again
        )
        if follow.is_late:
            return None
        return FoldScore(
            rounds=np.array(follow.rounds),
            curve=np.array(follow.curve),
            block_sums=np.array(follow.sums),
            block_rows=np.bincount(self.of.blocks[k]).astype(np.float64),
            block_names=self.of.block_names[k],
            auc=_auc(problem, self.of.y[fold.valid], follow.best_scores),
            seconds=time.perf_counter() - began,
            is_behind=follow.is_behind,
            share=recipe_share(recipe, self._ages, fold),
        )

    def _datasets(
        self, problem: Problem, params: dict[str, Any], k: int
    ) -> tuple[lgb.Dataset, lgb.Dataset]:
        import lightgbm as lgb

        of_dataset = {name: params[name] for name in _OF_THE_DATASET if name in params}
        key = (k, f"{problem.processing!r} {problem.features!r} {of_dataset}")
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        fold = self.of.folds[k]
        features, x, x_valid = self._encode(problem, k)
        train_set = lgb.Dataset(
            x,
            self.of.y[fold.train],
            feature_name=matrix_columns(features),
            categorical_feature=categorical_columns(features),
            params=params,
        )
        # A class that LightGBM was not told of is no business of its own; `follow` judges.
        valid_set = train_set.create_valid(
            x_valid,
            self.of.y[fold.valid],
            params=params,
        )
        valid_set.set_reference(train_set)  # takes over which columns are categories
        made = train_set.construct(), valid_set.construct()
        self._kept.keep(key, made, int(params.get("max_bin", 255)))
        return made

    def _encode(self, problem: Problem, k: int) -> Encoded:
        """Features and matrices of a fold; those of its last processing are kept."""
        key = f"{problem.processing!r} {problem.features!r}"
        kept = self._encoded.get(k)
        if kept is not None and kept[0] == key:
            return kept[1]
        fold = self.of.folds[k]
        older = self.of.train.iloc[fold.train]
        features = fit_features(older, problem.features, problem.processing)
        newer = self.of.train.iloc[fold.valid]
        found = features, encode_frame(older, features), encode_frame(newer, features)
        self._encoded[k] = key, found
        return found


def _blocks(train: pd.DataFrame, problem: Problem) -> NDArray[np.intp]:
    """Name of the block of each row: its day, or some days, or one of 60 by chance."""
    if problem.data.time is None:
        by_chance: NDArray[np.intp] = splits.blocks(train, problem) % MAX_BLOCKS
        return by_chance
    days = np.floor(splits.ages(train, problem)).astype(np.intp)
    # A window is at most a third of the span.
    width = max(-(-int(days.max() + 1) // (3 * MAX_BLOCKS)), 1)
    found: NDArray[np.intp] = days // width
    return found


def _auc(problem: Problem, y: NDArray[np.float64], scores: NDArray[np.float64]) -> float | None:
    if problem.label.task != "binary" or y.min() == y.max():
        return None
    return metrics.auc(y, scores)
