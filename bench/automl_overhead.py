"""CPU time of a search over that of the bare LightGBM trainings of its trials."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from retrue import splits, training
from retrue.encoding_frame import categorical_columns, encode_frame, fit_features, matrix_columns
from retrue.search import run
from retrue.search.evaluate import Evaluator
from retrue.search.recipe import apply

if TYPE_CHECKING:
    from retrue.config import Problem
    from retrue.refs import DataRef
    from retrue.search.evaluate import FoldScore
    from retrue.search.recipe import Recipe

_METRIC = {"regression": "l2", "multiclass": "multi_logloss", "binary": "binary_logloss"}


def overhead(problem: Problem, data: DataRef, n_trials: int) -> float:
    """CPU-seconds of the lane over those of LightGBM alone on the same folds, for as many rounds.

    Bare is generous to bare: encoded ahead for nothing, binned once a fold and choice, LightGBM's
    own metric on the same rows after each round.
    """
    told = {"budget_s": 1e5, "max_trials": n_trials, "seed": 99}
    asked = problem.model_copy(update={"search": problem.search.model_copy(update=told)})
    done: list[tuple[Recipe, int, int]] = []
    original = Evaluator.score

    def noted(
        self: Evaluator, recipe: Recipe, k: int, deadline: float, bar: float
    ) -> FoldScore | None:
        score = original(self, recipe, k, deadline, bar)
        if score is not None:
            done.append((recipe, k, int(score.rounds[-1])))
        return score

    begun = run.begin(asked, data)
    run.load(asked, data)
    Evaluator.score = noted  # type: ignore[method-assign,assignment]
    began = time.process_time()
    try:
        run.lane(asked, data, begun, lambda trial, line: None)
    finally:
        Evaluator.score = original  # type: ignore[method-assign]
    searched = time.process_time() - began
    return searched / _bare(asked, data, done)


def _bare(problem: Problem, data: DataRef, done: list[tuple[Recipe, int, int]]) -> float:
    import lightgbm as lgb

    of = run.load(problem, data)
    matrices: dict[Any, Any] = {}
    for recipe, k, _ in done:
        key = (k, repr(recipe.processing), recipe.params.get("max_bin"))
        if key in matrices:
            continue
        fold, applied = of.folds[k], apply(problem, recipe)
        older, newer = of.train.iloc[fold.train], of.train.iloc[fold.valid]
        features = fit_features(older, applied.features, applied.processing)
        matrices[key] = features, encode_frame(older, features), encode_frame(newer, features)
    ages = splits.ages(of.train, problem)
    sets: dict[Any, Any] = {}
    began = time.process_time()
    for recipe, k, n_rounds in done:
        key = (k, repr(recipe.processing), recipe.params.get("max_bin"))
        fold = of.folds[k]
        params = training.parameters(apply(problem, recipe), len(of.classes))
        params |= {"feature_pre_filter": False, "metric": _METRIC[problem.label.task]}
        if key not in sets:
            features, x, x_new = matrices[key]
            dataset = lgb.Dataset(
                x,
                of.y[fold.train],
                feature_name=matrix_columns(features),
                categorical_feature=categorical_columns(features),
                params=params,
            )
            sets[key] = dataset, dataset.create_valid(x_new, of.y[fold.valid], params=params)
        train_set, valid_set = sets[key]
        train_set.set_weight(
            training.row_weights(
                of.y[fold.train],
                ages[fold.train] - ages[fold.train].min(),
                recipe.class_weights,
                recipe.half_life_days,
            )
        )
        lgb.train(params, train_set, n_rounds, valid_sets=[valid_set], keep_training_booster=True)
    return time.process_time() - began
