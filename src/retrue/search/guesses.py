"""Recipes to begin with: three starts, then what to change of the best one so far.

Starting from recipes that were good elsewhere beats starting at random when there is time for a
dozen trials (Feurer et al. 2015). The first leans to a small model. Rows of a day or a customer
resemble each other, so a leaf of 20 rows is soon one day's weather: what keeps such leaves out (few
leaves, many rows a leaf, few columns a tree, coarse bins, random cuts) is what carries over to days
that no row was seen of. Where rows are independent, what holds back costs fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.search.space import MIN_ROWS_A_LEAF, NUMBERS

if TYPE_CHECKING:
    from retrue.search.space import Choices, Space

_HELD_BACK: Choices = {
    "learning_rate": 0.05,
    "num_leaves": 15,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "lambda_l2": 5.0,
    "cat_smooth": 50.0,
    "max_bin": 63,
    # Of a regression whose labels allow it: amounts mostly spread as wide as they are large.
    "objective": "tweedie",
}
_LARGER: Choices = {"num_leaves": 63, "min_data_in_leaf": 20, "max_bin": 255}
_PLAIN: Choices = {
    "num_leaves": 31,
    "feature_fraction": 1.0,
    "bagging_fraction": 1.0,
    "lambda_l2": NUMBERS["lambda_l2"][0],
    "cat_smooth": 10.0,
}


def first_guesses(space: Space) -> list[Choices]:
    """Three starts, from a small model that is much held back to a plain one."""
    common = _HELD_BACK | {"min_data_in_leaf": max(space.most_rows // 4, MIN_ROWS_A_LEAF)}
    found = [_of(space, common | more) for more in ({}, _LARGER, _LARGER | _PLAIN)]
    return [one for i, one in enumerate(found) if one not in found[:i]]


def variations(space: Space, best: Choices) -> list[Choices]:
    """What is worth a trial of the best recipe so far, the most promising first.

    Were they made of one recipe, they would all fail where that one does.
    """
    lives = space.options["half_life_days"]
    changes: list[Choices] = [
        {"half_life_days": lives[-1]},
        {"algorithm": "extra_trees", "num_leaves": 31, "learning_rate": 0.1},
        # Many leaves, none of which may say much: fits what a few trees of few leaves cannot.
        {"num_leaves": 127, "lambda_l2": 100.0, "feature_fraction": 0.7},
        {"num_leaves": 6, "learning_rate": 0.1},
        {"half_life_days": lives[min(1, len(lives) - 1)], "algorithm": "extra_trees"},
    ]
    if "objective" in best:
        other = "regression" if best["objective"] == "tweedie" else "tweedie"
        changes.insert(0, {"objective": other})
    return [_of(space, best | change) for change in changes]


def _of(space: Space, choices: Choices) -> Choices:
    return space.choices(space.recipe(choices))
