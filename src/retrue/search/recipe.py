"""What a search finds: all that is chosen about a model, laid over the problem's definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from retrue.config import Problem, Processing

if TYPE_CHECKING:
    from collections.abc import Mapping


class Recipe(BaseModel):
    """How to fit; `apply` makes a problem of it that `retrue.experiment.fit_bundle` takes as is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    params: dict[str, bool | int | float | str]
    """Of LightGBM."""
    num_boost_round: int = Field(ge=1)
    processing: Processing
    class_weights: Literal["none", "balanced"] = "none"
    half_life_days: float = Field(default=0, ge=0)
    dates: bool = True
    """Whether date features are used: a tree cannot go on beyond the dates it has seen."""

    @property
    def algorithm(self) -> str:
        """Name of the algorithm: gbdt, dart, rf or extra_trees."""
        boosting = str(self.params.get("boosting", "gbdt"))
        return "extra_trees" if self.params.get("extra_trees") and boosting != "rf" else boosting

    @property
    def objective(self) -> str:
        """Of a regression: what it is fitted to, by default squared error."""
        return str(self.params.get("objective", "regression"))

    @property
    def n_leaves(self) -> int:
        """Leaves of the whole model, the measure of how complex it is."""
        return int(self.params.get("num_leaves", 31)) * self.num_boost_round


def recipe_of(problem: Problem) -> Recipe:
    """The recipe that a problem's definition gives."""
    return Recipe(
        params=problem.training.params,
        num_boost_round=problem.training.num_boost_round,
        processing=problem.processing,
        class_weights=problem.training.class_weights,
        half_life_days=problem.training.half_life_days,
    )


def apply(problem: Problem, recipe: Recipe) -> Problem:
    """The problem with a recipe in the place of its own; the rest is as it was.

    Examples
    --------
    >>> # apply(problem, recipe_of(problem)) == problem
    """
    training = problem.training.model_copy(
        update={
            "params": recipe.params,
            "num_boost_round": recipe.num_boost_round,
            "class_weights": recipe.class_weights,
            "half_life_days": recipe.half_life_days,
        }
    )
    features = problem.features
    if not recipe.dates:
        features = features.model_copy(update={"dates": ()})
    changed = {"training": training, "processing": recipe.processing, "features": features}
    return problem.model_copy(update=changed)


def of_manifest(manifest: Mapping[str, Any], problem: Problem) -> Recipe | None:
    """Recipe of a bundle; None where it has none, or one of features that are gone since."""
    found = manifest.get("recipe")
    if found is None:
        return None
    recipe = Recipe.model_validate(found)
    named = {*recipe.processing.fill, *recipe.processing.flag_missing, *recipe.processing.clip}
    known = {*problem.features.numeric, *problem.features.categorical}
    return recipe if named <= known else None
