"""Where the search looks: few choices, in ranges that reach from much held back to hardly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from retrue.config import Processing
from retrue.frame_columns import column
from retrue.search.recipe import Recipe, recipe_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from retrue.config import Problem

Choice = bool | int | float | str
Choices = dict[str, Choice]

ALGORITHMS = ("gbdt", "extra_trees", "dart", "rf")
MAX_ROUNDS = 1000
"""No fold goes beyond; even at the smallest learning rate, 0.02, most have turned long before."""
MAX_ROUNDS_OF = {"dart": 100, "rf": 100}
"""Each round of dart costs as much as all before it; trees of a forest add little after 100."""
MIN_ROWS_A_LEAF = 5
NUMBERS: dict[str, tuple[float, float, bool]] = {
    "learning_rate": (0.02, 0.2, True),
    "num_leaves": (4, 511, True),
    "feature_fraction": (0.2, 1.0, False),
    "bagging_fraction": (0.4, 1.0, False),
    "lambda_l2": (1e-3, 1000.0, True),
    "cat_smooth": (1.0, 200.0, True),
}
BINS = (63, 255, 1023)
OTHER_OPTION = 0.1
"""Chance that a neighbour takes another option, of each choice that has options."""
STEP = 0.2
"""Of a number's range: the standard deviation of a neighbour's step."""
CLIP = (0.001, 0.999)


class Trial(Protocol):
    """What is asked for choices: an Optuna trial is one."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of them."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number between two, both included."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """A whole number between two, both included."""


class Space:
    """The choices there are for one problem, by what its training part holds."""

    def __init__(
        self,
        problem: Problem,
        train: pd.DataFrame,
        span_days: float,
        objectives: Sequence[str] = (),
    ) -> None:
        self._base = recipe_of(problem)
        self._numeric = problem.features.numeric
        self._missing = tuple(n for n in self._numeric if column(train, n).isna().any())
        configured = problem.training.class_weights
        # Under log loss, weights that falsify the probabilities cannot win: not worth a trial.
        of_use = problem.label.task != "regression" and problem.gate.metric == "auc"
        half = problem.training.half_life_days
        lives = [round(span_days / part, 1) for part in (1, 2)] if span_days else []
        # As many distinct leaves of the largest size as leave the tree something to split.
        self.most_rows = max(min(2000, len(train) // 50), MIN_ROWS_A_LEAF + 1)
        rare = problem.processing.rare_below
        self.options: dict[str, tuple[Choice, ...]] = {
            "algorithm": ALGORITHMS,
            "objective": _unique(self._base.objective, *objectives),
            "max_bin": BINS,
            "half_life_days": _unique(0.0, half, *lives),
            "fill": ("as configured", *(("median",) if self._missing else ())),
            "flag_missing": (False, *((True,) if self._missing else ())),
            "clip": (False, *((True,) if self._numeric else ())),
            "rare_below": _unique(rare, *((20, 200) if problem.features.categorical else ())),
            "text_buckets": _unique(
                problem.processing.text_buckets, *((32, 256) if problem.features.text else ())
            ),
            "class_weights": _unique(configured, *(("none", "balanced") if of_use else ())),
            "dates": (True, *((False,) if _can_do_without_dates(problem) else ())),
        }
        self._categorical = bool(problem.features.categorical)

    def suggest(self, trial: Trial) -> Choices:
        """All choices of one trial; what has one option only, or does not apply, is not asked."""
        found: Choices = {}
        for name, options in self.options.items():
            if len(options) > 1:
                found[name] = trial.suggest_categorical(name, options)
        for name, (low, high, log) in self._ranges(str(found["algorithm"])).items():
            if name in ("num_leaves", "min_data_in_leaf"):
                found[name] = trial.suggest_int(name, int(low), int(high), log=log)
            else:
                found[name] = trial.suggest_float(name, low, high, log=log)
        return found

    def recipe(self, choices: Choices) -> Recipe:
        """The recipe that these choices make of the configured one."""
        chosen = {name: options[0] for name, options in self.options.items()} | choices
        algorithm = str(chosen["algorithm"])
        params = {
            k: v for k, v in self._base.params.items() if k not in ("boosting", "extra_trees")
        }
        if len(self.options["objective"]) > 1:
            params["objective"] = chosen["objective"]
        params |= {name: chosen[name] for name in self._ranges(algorithm) if name in chosen}
        params["max_bin"] = chosen["max_bin"]
        if algorithm in ("dart", "rf"):
            params["boosting"] = algorithm
        if algorithm == "extra_trees":
            params["extra_trees"] = True
        params["bagging_freq"] = 1
        return Recipe(
            params=params,
            num_boost_round=MAX_ROUNDS_OF.get(algorithm, MAX_ROUNDS),
            processing=self._processing(chosen),
            class_weights=cast("Any", chosen["class_weights"]),
            half_life_days=float(chosen["half_life_days"]),
            dates=bool(chosen["dates"]),
        )

    def choices(self, recipe: Recipe) -> Choices:
        """The nearest choices to a recipe: what a sampler learns of one from outside the space."""
        params = recipe.params
        of_processing: Choices = {
            "fill": "median"
            if recipe.processing.fill != self._base.processing.fill
            else "as configured",
            "flag_missing": len(recipe.processing.flag_missing)
            > len(self._base.processing.flag_missing),
            "clip": len(recipe.processing.clip) > len(self._base.processing.clip),
            "rare_below": recipe.processing.rare_below,
            "text_buckets": recipe.processing.text_buckets,
        }
        wanted: Choices = {
            **of_processing,
            "algorithm": recipe.algorithm,
            "objective": recipe.objective,
            "max_bin": params.get("max_bin", 255),
            "half_life_days": recipe.half_life_days,
            "class_weights": recipe.class_weights,
            "dates": recipe.dates,
        }
        found: Choices = {
            name: _nearest(wanted[name], options)
            for name, options in self.options.items()
            if len(options) > 1
        }
        # What LightGBM takes where nothing is said (its documentation, "Parameters").
        defaults: Choices = {
            "learning_rate": 0.1, "num_leaves": 31, "feature_fraction": 1.0,
            "bagging_fraction": 1.0, "lambda_l2": 0.0, "cat_smooth": 10.0, "min_data_in_leaf": 20,
        }  # fmt: skip
        for name, (low, high, _) in self._ranges(str(found["algorithm"])).items():
            value = float(np.clip(float(params.get(name, defaults[name])), low, high))
            found[name] = int(value) if name in ("num_leaves", "min_data_in_leaf") else value
        return found

    def neighbour(self, choices: Choices, rng: np.random.Generator) -> Choices:
        """Choices near those given: a step in about half of the numbers, rarely another option."""
        found: Choices = {}
        for name, options in self.options.items():
            if len(options) > 1:
                kept = name in choices and rng.random() > OTHER_OPTION
                found[name] = choices[name] if kept else options[rng.integers(len(options))]
        for name, (low, high, log) in self._ranges(str(found["algorithm"])).items():
            place = _place(float(choices[name]), low, high, log) if name in choices else 0.5
            if rng.random() < 0.5:
                place = float(np.clip(place + rng.normal(scale=STEP), 0.0, 1.0))
            moved = low * (high / low) ** place if log else low + place * (high - low)
            if name in ("num_leaves", "min_data_in_leaf"):
                found[name] = round(moved)
            else:
                found[name] = float(np.clip(moved, low, high))
        return found

    def _ranges(self, algorithm: str) -> dict[str, tuple[float, float, bool]]:
        found = dict(NUMBERS)
        found["min_data_in_leaf"] = (MIN_ROWS_A_LEAF, self.most_rows, True)
        if not self._categorical:
            del found["cat_smooth"]
        if algorithm == "rf":  # trees that do not learn from each other: large, of few rows each
            del found["learning_rate"]
            found["bagging_fraction"] = (0.2, 0.8, False)
            found["num_leaves"] = (16, 512, True)
        return found

    def _processing(self, chosen: Choices) -> Processing:
        base = self._base.processing
        update: dict[str, Any] = {
            "rare_below": chosen["rare_below"],
            "text_buckets": chosen["text_buckets"],
        }
        if chosen["fill"] == "median":
            update["fill"] = dict.fromkeys(self._missing, "median") | base.fill
        if chosen["flag_missing"]:
            update["flag_missing"] = tuple(dict.fromkeys((*base.flag_missing, *self._missing)))
        if chosen["clip"]:
            update["clip"] = dict.fromkeys(self._numeric, CLIP) | base.clip
        return base.model_copy(update=update)


def _place(value: float, low: float, high: float, log: bool) -> float:
    """Where a number lies in its range, 0 to 1."""
    value = float(np.clip(value, low, high))
    if log:
        return float(np.log(value / low) / np.log(high / low))
    return (value - low) / (high - low)


def _unique(*options: Choice) -> tuple[Choice, ...]:
    return tuple(dict.fromkeys(options))


def _can_do_without_dates(problem: Problem) -> bool:
    features = problem.features
    return bool(features.dates and (features.numeric or features.categorical or features.text))


def _nearest(value: Choice, options: tuple[Choice, ...]) -> Choice:
    if value in options or isinstance(value, str | bool):
        return value if value in options else options[0]
    return min(options, key=lambda one: abs(float(one) - float(value)))
