"""What a search leaves: the recipe and all that its page tells, as one JSON file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from retrue.files import write_atomically
from retrue.search.choice import Choice
from retrue.search.recipe import Recipe
from retrue.search.rivals import Rival
from retrue.search.trials import TrialRecord

if TYPE_CHECKING:
    from pathlib import Path

    from retrue.search.study import StudyRef


class Found(BaseModel):
    """A finished search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem: str
    key: str
    data_version: int
    data_sha256: str
    metric: str
    recipe: Recipe
    choice: Choice | None
    """None when the budget did not reach for a single trial: the recipe is the configured one."""
    n_folds: int
    fold_names: tuple[str, ...]
    trials: tuple[TrialRecord, ...]
    rivals: tuple[Rival, ...]
    importance: dict[str, float]
    seconds: float
    """Of all its trials, side by side ones added up."""

    @property
    def reason(self) -> str:
        """Why this recipe, in a line."""
        if self.choice is None:
            return "no trial was complete within the budget: the configured recipe"
        return self.choice.reason


def path_of(ref: StudyRef) -> Path:
    """Where a finished search is kept."""
    return ref.path.with_suffix(".json")


def read_found(ref: StudyRef) -> Found | None:
    """A finished search, None when there is none."""
    try:
        return Found.model_validate_json(path_of(ref).read_bytes())
    except FileNotFoundError:
        return None


def write_found(ref: StudyRef, found: Found) -> None:
    """Keep a finished search."""
    write_atomically(path_of(ref), found.model_dump_json(indent=1))
