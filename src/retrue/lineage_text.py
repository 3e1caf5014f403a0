"""Lineage as nested facts for a tree in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrue.lineage_facts import Data, Descent, Lineage, Made


def model_facts(found: Lineage) -> dict[str, Any]:
    """A version's origin first, then the evidence, then what became of it."""
    environment = found.environment
    return {
        "data": _data(found.data),
        "definition": f"{found.definition.sha256}"
        + (" (problem.json)" if found.definition.problem else " (its text was not kept)"),
        "code": found.code_commit,
        "lock": found.lock.sha256 + (f" ({found.lock.file})" if found.lock.file else ""),
        "environment": None
        if environment is None
        else {
            "python": environment.python,
            "platform": f"{environment.platform}, {environment.cpus} CPUs",
            "packages": ", ".join(f"{k} {v}" for k, v in environment.main_packages.items())
            + f"; {len(environment.packages)} in all",
        },
        "folds": {fold.role: f"{fold.span}, {_count(fold.n_rows)} rows" for fold in found.folds},
        "parameters": found.parameters,
        "metrics": {name: f"{value:.6g}" for name, value in sorted(found.metrics.items())},
        "gate": {
            "verdict": "promoted" if found.promoted else "refused",
            "against": "no skill" if found.champion is None else f"version {found.champion}",
            "why": found.reason,
        },
        "approval": None if found.approval is None else found.approval.model_dump(),
        "run": {
            "mlflow run": found.run_id,
            "flow run": found.flow_run,
            "search": None
            if found.search is None
            else f"{found.search.n_trials} trials, run {found.search.run_id}",
            "registered": found.registered_at,
            "bundle": found.bundle_sha256,
        },
        "deployments": {
            f"{one.id}": f"{one.status}, {one.started_at[:19]}, {one.target or 'no target'},"
            f" {one.image_digest or 'no image'}"
            for one in found.deployments
        },
    }


def data_facts(found: Descent) -> dict[str, Any]:
    """The data version, then the models that were made from it."""
    return {
        **_data(found.data),
        "models": {_name(one): _model(one) for one in found.models},
    }


def _data(data: Data) -> dict[str, Any]:
    return {
        "version": f"{data.version}, {data.n_rows:,} rows until {data.until}"
        + ("" if data.in_lake else " (no longer in this lake)"),
        "sha256": data.sha256,
        "made at": data.made_at,
        "rows set aside": _count(data.n_set_aside),
        "tables": {
            name: f"version {pin.version}, {pin.n_rows:,} rows, {pin.sha256}"
            for name, pin in data.tables.items()
        },
    }


def _name(made: Made) -> str:
    return f"run {made.run_id}" if made.version is None else f"version {made.version}"


def _model(made: Made) -> dict[str, Any]:
    if made.version is None:
        return {"status": f"{made.status}, never registered", "run started": made.started_at}
    state = "promoted" if made.promoted else "refused"
    return {
        "state": f"{state}, serves" if made.serves else state,
        "why": made.reason,
        "run": f"{made.run_id}, {made.started_at}",
        "code": made.code_commit,
        "definition": made.definition_sha256,
    }


def _count(n: int | None) -> str:
    return "-" if n is None else f"{n:,}"
