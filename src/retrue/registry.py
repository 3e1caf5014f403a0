"""What the registry knows: model versions, their runs, and the files that were logged with them.

The state folder is read the same with and without a server, also what a server logged while it
ran: its database and its artifacts lie there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from retrue.errors import TrainingError
from retrue.home import home
from retrue.tracking import client

if TYPE_CHECKING:
    from collections.abc import Iterable

_MANY = 1000


@dataclass(frozen=True)
class Version:
    """One registered model version."""

    problem: str
    version: int
    run_id: str
    bundle_sha256: str
    registered_at: str
    tags: dict[str, str]


@dataclass(frozen=True)
class Run:
    """One training as it was logged."""

    run_id: str
    status: str
    started_at: str
    parameters: dict[str, str]
    metrics: dict[str, float]
    """The last value of each."""
    tags: dict[str, str]
    experiment_id: str
    artifact_uri: str
    inputs: dict[str, str]
    """Reference (JSON) of each data set by its name: the data version, and its source tables."""


def versions(problem: str) -> list[Version]:
    """All versions of a problem, oldest first; empty if there are none."""
    if "MLFLOW_TRACKING_URI" not in os.environ and not (home() / "mlflow.db").exists():
        return []  # else a mere look would make the database: a second, and 60 tables
    found = [_version(one) for one in client().search_model_versions(f"name = '{problem}'")]
    return sorted(found, key=lambda one: one.version)


def find_version(problem: str, version: int | None = None) -> Version:
    """A version by its number, or the newest one, whatever its gate said.

    Raises
    ------
    TrainingError
        There is no such version.
    """
    known = versions(problem)
    for one in reversed(known):
        if version in (None, one.version):
            return one
    raise TrainingError(
        "a model version" if version is None else f"model version {version}",
        f"versions {', '.join(str(one.version) for one in known)}" if known else "none",
        f"registry of {problem}",
        "name one of these" if known else f"make one with `retrue train {problem}`",
    )


def run(run_id: str) -> Run:
    """One run by its id."""
    return _run(client().get_run(run_id))


def runs(problem: str, condition: str = "") -> list[Run]:
    """All runs of a problem that fulfil a condition in MLflow's search language, oldest first."""
    experiment = client().get_experiment_by_name(problem)
    return [] if experiment is None else runs_of(experiment.experiment_id, condition)


def runs_of(experiment_id: str, condition: str) -> list[Run]:
    """As `runs`, of an experiment that is known."""
    found: list[Run] = []
    token: str | None = ""
    while token is not None:
        page = client().search_runs(
            [experiment_id],
            condition,
            max_results=_MANY,
            order_by=["attributes.start_time"],
            page_token=token or None,
        )
        found += map(_run, page)
        token = page.token or None
    return found


def file_names(of: Run) -> set[str]:
    """Names of the files and folders that were logged with a run."""
    place = _place(of)
    if place is None:
        return {entry.path for entry in client().list_artifacts(of.run_id)}
    return {path.name for path in place.iterdir()} if place.is_dir() else set()


def read_files(of: Run, names: Iterable[str], there: set[str] | None = None) -> dict[str, bytes]:
    """Content of those files of a run that are there; `there` saves asking what is."""
    there = file_names(of) if there is None else there
    place = _place(of)
    if place is not None:
        return {name: (place / name).read_bytes() for name in names if name in there}
    with TemporaryDirectory() as folder:
        return {
            name: Path(client().download_artifacts(of.run_id, name, folder)).read_bytes()
            for name in names
            if name in there
        }


def write_file(of: Run, name: str, content: str) -> None:
    """Add a file to a run, or replace it."""
    place = _place(of)
    if place is None:
        client().log_text(of.run_id, content, name)
        return
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(content, encoding="utf-8")


def _place(of: Run) -> Path | None:
    """The folder of a run's files where this process reaches it, else None: the server has them."""
    uri = urlsplit(of.artifact_uri)
    if uri.scheme == "file":
        return Path(unquote(uri.path))
    if uri.scheme == "mlflow-artifacts" and "MLFLOW_TRACKING_URI" not in os.environ:
        return home() / "mlartifacts" / uri.path.lstrip("/")
    return None


def _version(found: Any) -> Version:
    return Version(
        problem=found.name,
        version=int(found.version),
        run_id=str(found.run_id),
        bundle_sha256=found.tags.get("retrue.bundle", ""),
        registered_at=_iso(found.creation_timestamp),
        tags=dict(found.tags),
    )


def _run(found: Any) -> Run:
    return Run(
        run_id=str(found.info.run_id),
        status=found.info.status,
        started_at=_iso(found.info.start_time),
        parameters=dict(found.data.params),
        metrics=dict(found.data.metrics),
        tags={k: v for k, v in found.data.tags.items() if k.startswith("retrue.")},
        experiment_id=found.info.experiment_id,
        artifact_uri=found.info.artifact_uri,
        inputs={
            one.dataset.name.rpartition(" v")[0]: one.dataset.source
            for one in found.inputs.dataset_inputs
        },
    )


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
