"""The space of recipes: what is asked, what comes of it, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from retrue.config import Processing
from retrue.search.recipe import Recipe, apply, of_manifest, recipe_of
from retrue.search.space import Space
from tests.unit.synthetic import learnable

if TYPE_CHECKING:
    from retrue.config import Problem
    from tests.unit.conftest import Small


class Chance:
    """Answers a trial's questions by chance, and remembers them."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.asked: list[str] = []

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.asked.append(name)
        return choices[self._rng.integers(len(choices))]

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.asked.append(name)
        return float(self._rng.uniform(low, high))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        self.asked.append(name)
        return int(self._rng.integers(low, high + 1))


@pytest.fixture
def problem(small: Small) -> Problem:
    return small.problem


@pytest.fixture
def space(problem: Problem) -> Space:
    return Space(problem, learnable(), 18.0)


@pytest.mark.parametrize("seed", range(20))
def test_choices_of_a_recipe_of_the_space_are_those_it_was_made_of(space: Space, seed: int) -> None:
    choices = space.suggest(Chance(seed))
    assert space.choices(space.recipe(choices)) == choices


def test_a_neighbour_is_of_the_space_repeatable_and_elsewhere(space: Space) -> None:
    moved = 0
    for seed in range(20):
        choices = space.suggest(Chance(seed))
        near = space.neighbour(choices, np.random.default_rng(seed))
        assert space.neighbour(choices, np.random.default_rng(seed)) == near
        assert space.choices(space.recipe(near)) == near
        moved += near != choices
    assert moved > 15


def test_a_recipe_survives_its_json(space: Space) -> None:
    recipe = space.recipe(space.suggest(Chance(1)))
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_the_definitions_own_recipe_changes_nothing(problem: Problem) -> None:
    assert apply(problem, recipe_of(problem)) == problem


def test_a_recipe_is_laid_over_the_definition_and_nothing_else_is_changed(
    problem: Problem,
) -> None:
    recipe = Recipe(
        params={"boosting": "dart"},
        num_boost_round=3,
        processing=Processing(fill={"wind": "median"}),
        half_life_days=9,
    )
    made = apply(problem, recipe)
    assert recipe_of(made) == recipe
    assert made.training.seed == problem.training.seed
    assert made.model_copy(
        update={"training": problem.training, "processing": problem.processing}
    ) == problem  # fmt: skip


def test_only_what_a_problem_has_is_asked(problem: Problem) -> None:
    bare = problem.model_copy(
        update={
            "features": problem.features.model_copy(
                update={"numeric": ("amount",), "categorical": ()}
            )
        }
    )
    chance = Chance(1)
    Space(bare, learnable(), 0.0).suggest(chance)
    assert not {
        "fill", "flag_missing", "rare_below", "text_buckets", "dates", "half_life_days",
        "class_weights", "cat_smooth",
    } & set(chance.asked)  # fmt: skip


def test_weights_of_classes_are_no_choice_under_log_loss_and_one_under_auc(
    problem: Problem,
) -> None:
    assert Space(problem, learnable(), 18.0).options["class_weights"] == ("none",)
    ranked = problem.model_copy(update={"gate": problem.gate.model_copy(update={"metric": "auc"})})
    assert len(Space(ranked, learnable(), 18.0).options["class_weights"]) == 2


def test_a_champions_recipe_of_features_that_are_gone_is_not_guessed(problem: Problem) -> None:
    recipe = recipe_of(problem).model_copy(update={"processing": Processing(fill={"gone": "mean"})})
    manifest = {"recipe": recipe.model_dump(mode="json")}
    assert of_manifest(manifest, problem) is None
    assert of_manifest({}, problem) is None
    kept = recipe_of(problem)
    assert of_manifest({"recipe": kept.model_dump(mode="json")}, problem) == kept
