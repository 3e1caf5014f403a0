"""Where a model version comes from and where it went; and what was made from a data version."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

from pydantic import ValidationError

from retrue import data_versions, delta, lake, ledger, registry, run_files
from retrue.environment import Environment
from retrue.errors import DataError
from retrue.home import lake_dir
from retrue.lineage_facts import (
    Approval,
    Data,
    Definition,
    Deployment,
    Descent,
    Fold,
    Lineage,
    Lock,
    Made,
    Search,
)
from retrue.refs import DataRef, TablePin
from retrue.registry import Run, Version
from retrue.verdicts import Verdict


def of_model(problem: str, version: int | None = None) -> Lineage:
    """The lineage of a model version, by default of the newest.

    Raises
    ------
    TrainingError
        There is no such version.
    """
    return with_files(problem, version)[0]


def with_files(
    problem: str, version: int | None = None, more: tuple[str, ...] = ()
) -> tuple[Lineage, dict[str, bytes]]:
    """As `of_model`, with the content of `more` files of the run that are there."""
    found = registry.find_version(problem, version)
    run = registry.run(found.run_id)
    there = registry.file_names(run)
    names = (run_files.PROBLEM, run_files.VERDICT, run_files.ENVIRONMENT, *more)
    files = registry.read_files(run, names, there)
    return _lineage(found, run, there, files), files


def of_data(problem: str, version: int) -> Descent:
    """All models made from a data version, oldest first.

    Raises
    ------
    DataError
        The lake holds no such version, and no model was made from it.
    """
    condition = f"tags.`retrue.data_version` = '{version}'"
    runs = [run for run in registry.runs(problem, condition) if "retrue.bundle" in run.tags]
    versions = {one.run_id: one for one in registry.versions(problem)} if runs else {}
    whole = [run for run in runs if problem in run.inputs]  # one that was cut off may have none
    if whole:
        data = _data(problem, whole[-1])
    else:
        there = data_versions.find(problem, version)
        data = _with_lake(there, lake.pins(there))
    serving = _serving(problem)
    made = [_made(run, versions.get(run.run_id), serving) for run in runs]
    return Descent(problem=problem, data=data, models=tuple(made))


def _lineage(version: Version, run: Run, there: set[str], files: dict[str, bytes]) -> Lineage:
    definition = _json(files.get(run_files.PROBLEM))
    environment = _json(files.get(run_files.ENVIRONMENT))
    deployed = ledger.history(ledger.connect(), version.problem)
    mine = [one for one in deployed if one.model_version == version.version]
    champion = run.tags.get("retrue.champion")
    return Lineage(
        problem=version.problem,
        version=version.version,
        registered_at=version.registered_at,
        bundle_sha256=version.bundle_sha256,
        run_id=run.run_id,
        flow_run=run.tags.get("retrue.flow_run"),
        data=_data(version.problem, run),
        definition=Definition(
            sha256=run.parameters.get("config_sha256", "unknown"), problem=definition
        ),
        code_commit=run.tags.get("retrue.code_commit", "unknown"),
        lock=Lock(
            sha256=run.tags.get("retrue.lock_sha256", "unknown"),
            file=run_files.LOCK if run_files.LOCK in there else None,
        ),
        environment=None if environment is None else Environment.model_validate(environment),
        parameters=run.parameters,
        folds=_folds(definition, run),
        search=_search(run),
        metrics=run.metrics,
        promoted=version.tags.get("retrue.promoted") == "True",
        verdict=_verdict(files.get(run_files.VERDICT)),
        reason=run.tags.get("retrue.verdict", ""),
        champion=None if champion is None else int(champion),
        approval=_approval(version),
        serves=any(one.status == "serving" for one in mine),
        deployments=tuple(
            Deployment(
                id=one.id,
                status=one.status,
                target=one.target,
                image_digest=one.image_digest,
                started_at=one.started_at,
                finished_at=one.finished_at,
            )
            for one in mine
        ),
    )


def _made(run: Run, version: Version | None, serving: int | None) -> Made:
    return Made(
        version=None if version is None else version.version,
        run_id=run.run_id,
        status=run.status,
        started_at=run.started_at,
        code_commit=run.tags.get("retrue.code_commit", "unknown"),
        definition_sha256=run.parameters.get("config_sha256", "unknown"),
        promoted=version is not None and version.tags.get("retrue.promoted") == "True",
        reason=run.tags.get("retrue.verdict", ""),
        serves=version is not None and version.version == serving,
    )


def _serving(problem: str) -> int | None:
    found = ledger.should_serve(ledger.connect(), problem)
    return None if found is None else found.model_version


def _data(problem: str, run: Run) -> Data:
    """What the run noted of its data version, and what the lake adds to it."""
    noted = DataRef.model_validate_json(run.inputs[problem])
    tables = {
        name.removeprefix(f"{problem}/"): TablePin.model_validate_json(source)
        for name, source in run.inputs.items()
        if name != problem
    }
    return _with_lake(noted, tables)


def _with_lake(noted: DataRef, tables: dict[str, TablePin]) -> Data:
    """Only if it is the same content: a lake that was made anew counts from 0 again."""
    path = lake_dir(noted.problem) / "data"
    meta = dict(delta.commits(path)).get(noted.version, {})
    in_lake = (meta.get("sha256"), meta.get("until")) == (noted.sha256, noted.until)
    facts = {"version", "sha256", "until", "n_rows"}
    found = Data(**noted.model_dump(include=facts), tables=tables, in_lake=in_lake)
    if not in_lake:
        return found
    return found.model_copy(
        update={
            "made_at": delta.commit_times(path)[noted.version].isoformat(timespec="seconds"),
            "n_set_aside": meta.get("n_set_aside"),
            "match_rates": meta.get("match_rates", {}),
        }
    )


def ref(problem: str, data: Data) -> DataRef:
    """The reference by which the lake reads this version.

    Raises
    ------
    DataError
        The lake no longer holds it.
    """
    if not data.in_lake:
        raise DataError(
            f"data version {data.version} ({data.sha256[:16]})",
            "another or none",
            f"lake of {problem}",
            "restore the lake folder",
        )
    return DataRef(
        problem=problem,
        path=lake_dir(problem) / "data",
        version=data.version,
        sha256=data.sha256,
        n_rows=data.n_rows,
        until=data.until,
    )


def _approval(version: Version) -> Approval | None:
    found = ledger.find_approval(
        ledger.connect(), version.problem, version.version, version.bundle_sha256
    )
    if found is None:
        return None
    return Approval(
        status=found.status,
        by=found.decided_by or "",
        at=found.decided_at or "",
        reason=found.reason or "",
    )


def _search(run: Run) -> Search | None:
    """The search that the training says it took its recipe from."""
    if "retrue.search_run" not in run.tags:
        return None
    found = registry.run(run.tags["retrue.search_run"])
    return Search(
        run_id=found.run_id,
        n_trials=int(found.metrics.get("trials", 0)),
        seconds=found.metrics.get("seconds"),
    )


def _folds(definition: dict[str, Any] | None, run: Run) -> tuple[Fold, ...]:
    """The rows of both sides; a definition that was not kept leaves them unknown."""
    if definition is None:
        return ()
    n_train, n_holdout = (
        None if value is None else int(value)
        for value in (run.metrics.get("n_train"), run.metrics.get("n_holdout"))
    )
    training = definition["training"]
    if definition["data"]["time"] is None:
        share = training["holdout_share"]
        spans = (f"{1 - share:.0%} of all rows, by the hash of their key", f"{share:.0%} of them")
    else:
        until = date.fromisoformat(run.tags["retrue.data_until"])
        cut = until - timedelta(days=training["holdout_days"])
        spans = (f"{training['start']} to {cut}", f"{cut} to {until}")
    return (
        Fold(role="train", span=spans[0], n_rows=n_train),
        Fold(role="hold-out", span=spans[1], n_rows=n_holdout),
    )


def _verdict(content: bytes | None) -> Verdict | None:
    """A verdict of a later release with fields that this one does not know is told as unknown."""
    try:
        return None if content is None else Verdict.model_validate_json(content)
    except ValidationError:
        return None


def _json(content: bytes | None) -> dict[str, Any] | None:
    return None if content is None else dict(json.loads(content))
