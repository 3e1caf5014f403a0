"""All that a card tells, from the registry, the bundle and the ledger; nothing is scored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from retrue import bundles, lineage, registry, run_files, tracking
from retrue.checkpoint import Checkpoint
from retrue.config import Problem
from retrue.model_card.inputs import Input, inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from retrue.lineage_facts import Lineage
    from retrue.refs import ModelRef


class Effect(BaseModel):
    """How much a feature moves the scores, and in which direction its rise does."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    mean_abs_shap: float
    share: float
    """Of the sum over all features, 0 to 1."""
    direction: float | None = None
    """Share of ICE lines that rise less those that fall, -1 to 1; None where it was not told."""


@dataclass(frozen=True)
class Rival:
    """The version that the verdict compares with."""

    lineage: Lineage
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What a card is made of; a part that is None or empty was not measured."""

    problem: Problem
    is_as_was: bool
    """Whether `problem` is the definition that made the version, not the present one."""
    lineage: Lineage
    checkpoint: Checkpoint | None
    curve: dict[str, list[float]]
    threshold: float
    inputs: tuple[Input, ...]
    n_reference: int
    correction: str | None = None
    """Kind of calibrator that corrects the scores, if one does."""
    effects: tuple[Effect, ...] = ()
    rival: Rival | None = None


def gather(problem: Problem, model: ModelRef) -> Facts:
    """Gather the facts of a registered version.

    `problem` is the present definition; the one that made the version is taken where it was kept.
    """
    origin, files = lineage.with_files(problem.name, model.version, (run_files.EXPLANATION,))
    kept = _as_was(origin.definition.problem)
    stored = bundles.read_metrics(model.bundle)
    signature = bundles.read_signature(model.bundle)
    reference = bundles.read_reference(model.bundle)
    return Facts(
        problem=kept or problem,
        is_as_was=kept is not None,
        lineage=origin,
        checkpoint=Checkpoint.model_validate(stored["checkpoint"]),
        curve=stored["curve"],
        threshold=signature["threshold"],
        inputs=inputs(signature["features"], reference),
        n_reference=len(reference),
        correction=signature.get("calibration", {}).get("kind"),
        effects=read_effects(files),
        rival=_rival(origin),
    )


def find(problem: Problem, version: int | None) -> ModelRef:
    """A registered version, by default the newest, whatever its gate said."""
    return tracking.find(problem.name, registry.find_version(problem.name, version).version)


def _rival(origin: Lineage) -> Rival | None:
    if origin.champion is None:
        return None
    theirs, files = lineage.with_files(origin.problem, origin.champion, (run_files.EXPLANATION,))
    return Rival(theirs, read_effects(files))


def read_effects(files: Mapping[str, bytes]) -> tuple[Effect, ...]:
    """What the explanation among a run's files says of features, largest first; empty without."""
    if run_files.EXPLANATION not in files:
        return ()
    found = json.loads(files[run_files.EXPLANATION])["features"]
    effects = (Effect.model_validate(one) for one in found)
    return tuple(sorted(effects, key=lambda one: -one.share))


def _as_was(definition: dict[str, Any] | None) -> Problem | None:
    """A definition of another release may hold what this one does not know."""
    try:
        return None if definition is None else Problem.model_validate(definition)
    except ValidationError:
        return None
