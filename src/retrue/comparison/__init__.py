"""Model versions side by side: as each was judged, and all on the same newest hold-out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from retrue import bundles, ledger, lineage, registry, run_files, tracking
from retrue.comparison.newest import OnNewest, on_newest
from retrue.errors import RetrueError, TrainingError
from retrue.model_card.evidence import Figure, figures
from retrue.model_card.facts import Effect, read_effects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrue.config import Problem
    from retrue.lineage_facts import Lineage

MAX_VERSIONS = 12
"""Newest versions that are compared unless they are named: more do not fit side by side."""


class Side(BaseModel):
    """One version as it was judged, on the hold-out of its own time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    data_version: int
    until: str
    n_rows: int
    holdout: str | None
    metrics: dict[str, dict[str, float | None]]
    """`value`, `lower` and `upper` of each; ends are None where they were not measured."""
    promoted: bool
    reason: str
    against: int | None
    approval: str | None
    serves: bool
    code_commit: str
    registered_at: str


class Comparison(BaseModel):
    """The whole comparison, as `--json` prints it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem: str
    serving: int | None
    versions: tuple[Side, ...]
    parameters: dict[str, dict[int, str]]
    """Those that differ: value by version, `-` where a version has none."""
    newest: OnNewest | None
    why_no_newest: str | None
    """Why there is no common hold-out; None where there is, and where none was asked for."""


@dataclass(frozen=True)
class Compared:
    """The comparison with what a page draws beside it."""

    comparison: Comparison
    curves: dict[int, list[float]]
    curve_name: str
    effects: dict[int, tuple[Effect, ...]]


def compare(problem: Problem, wanted: Sequence[int] | None = None, newest: bool = True) -> Compared:
    """Compare versions, by default the newest twelve and the one that serves.

    Parameters
    ----------
    wanted : sequence of int, optional
        Version numbers.
    newest : bool
        Score all of them on the newest hold-out as well, where there is one.

    Raises
    ------
    TrainingError
        A version does not exist, or there is none.
    """
    serving = ledger.should_serve(ledger.connect(), problem.name)
    now = None if serving is None else serving.model_version
    read = [
        lineage.with_files(problem.name, version, (run_files.EXPLANATION,))
        for version in _chosen(problem.name, wanted, now)
    ]
    origins = [one for one, _ in read]
    found, why = None, None
    if newest:
        try:
            found = on_newest(problem, origins, now)
        except RetrueError as error:
            why = str(error)
    curves = {}
    curve_name = ""
    for one in origins:
        stored = bundles.read_metrics(tracking.find(problem.name, one.version).bundle)["curve"]
        curve_name, curves[one.version] = next(iter(stored.items()))
    return Compared(
        comparison=Comparison(
            problem=problem.name,
            serving=now,
            versions=tuple(_side(one) for one in origins),
            parameters=_differing(origins),
            newest=found,
            why_no_newest=why,
        ),
        curves=curves,
        curve_name=curve_name.removeprefix("holdout_").removesuffix("_by_round").replace("_", " "),
        effects={one.version: read_effects(files) for one, files in read},
    )


def _chosen(problem: str, wanted: Sequence[int] | None, serving: int | None) -> list[int]:
    known = [one.version for one in registry.versions(problem)]
    if not known:
        registry.find_version(problem)
    if wanted is None:
        kept = known[-MAX_VERSIONS:]
        return sorted({*kept, *([serving] if serving in known else [])})
    absent = [version for version in wanted if version not in known]
    if absent:
        raise TrainingError(
            f"model version {absent[0]}",
            f"versions {', '.join(map(str, known))}",
            f"registry of {problem}",
            "name one of these",
        )
    return sorted(set(wanted))


def _side(origin: Lineage) -> Side:
    held = next((fold.span for fold in origin.folds if fold.role == "hold-out"), None)
    return Side(
        version=origin.version,
        data_version=origin.data.version,
        until=origin.data.until,
        n_rows=origin.data.n_rows,
        holdout=held,
        metrics={one.name: _ends(one) for one in figures(origin)},
        promoted=origin.promoted,
        reason=origin.reason,
        against=origin.champion,
        approval=None if origin.approval is None else origin.approval.status,
        serves=origin.serves,
        code_commit=origin.code_commit,
        registered_at=origin.registered_at,
    )


def _ends(one: Figure) -> dict[str, float | None]:
    lower, upper = one.interval or (None, None)
    return {"value": one.ours, "lower": lower, "upper": upper}


def _differing(origins: Sequence[Lineage]) -> dict[str, dict[int, str]]:
    """Parameters of the fit, and hashes of what is too long to show, where they are not all alike.

    `until` follows from the data version.
    """
    sides = {
        one.version: {
            **{name: value for name, value in one.parameters.items() if name != "until"},
            "code commit": one.code_commit,
            "lock": one.lock.sha256,
        }
        for one in origins
    }
    names = dict.fromkeys(name for side in sides.values() for name in side)
    rows = {
        name: {version: side.get(name, "-") for version, side in sides.items()} for name in names
    }
    return {name: row for name, row in rows.items() if len(set(row.values())) > 1}
