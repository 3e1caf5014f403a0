"""Experiment tracking and model registry. Home of the mlflow package.

Every write can be repeated: a run is found again by its bundle's hash, a version by its run, so a
flow killed at any line and started again adds nothing twice.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrue.errors import TrainingError
from retrue.home import bundles_dir, home
from retrue.refs import BundleRef, DataRef, ModelRef, TablePin

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mlflow import MlflowClient

BUNDLE = "bundle"
"""Artifact folder of a run; it is a loadable MLflow model as well."""


@cache
def client() -> MlflowClient:
    """Client of the server at MLFLOW_TRACKING_URI, or of `mlflow.db` under RETRUE_HOME."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient

    home().mkdir(parents=True, exist_ok=True)
    return MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{home() / 'mlflow.db'}"))


def log_run(
    bundle: BundleRef,
    data: DataRef,
    tables: Mapping[str, TablePin],
    parameters: Mapping[str, object],
    metrics: Mapping[str, float],
    curve: Mapping[str, list[float]],
    tags: Mapping[str, str],
    files: Mapping[str, bytes] | None = None,
) -> str:
    """Log one training with its inputs, its bundle and `files` beside it; give the run's id.

    A run of the same bundle that was logged to the end is given again; one that was cut off is
    marked KILLED and replaced.
    """
    runs = experiment(bundle.problem)
    for run in client().search_runs([runs], f"tags.`retrue.bundle` = '{bundle.sha256}'"):
        if run.info.status == "FINISHED":
            return str(run.info.run_id)
        if run.info.status == "RUNNING":
            client().set_terminated(run.info.run_id, "KILLED")
    run_id: str = (
        client().create_run(runs, tags={"retrue.bundle": bundle.sha256, **tags}).info.run_id
    )
    _log_batch(run_id, parameters, metrics, curve)
    _log_datasets(run_id, data, tables)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / BUNDLE
        shutil.copytree(bundle.path, model)
        _write_mlmodel(model, run_id)
        for name, content in (files or {}).items():
            (Path(folder) / name).write_bytes(content)
        client().log_artifacts(run_id, folder)
    client().set_terminated(run_id, "FINISHED")
    return run_id


def register(bundle: BundleRef, run_id: str, description: str, tags: Mapping[str, str]) -> ModelRef:
    """Make the run's bundle a version of the problem's registered model, once."""
    from mlflow.exceptions import MlflowException

    try:
        client().create_registered_model(bundle.problem)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    known = client().search_model_versions(f"name = '{bundle.problem}' and run_id = '{run_id}'")
    for name, value in (
        tags.items() if known else ()
    ):  # the newest verdict on it is the one to go by
        client().set_model_version_tag(bundle.problem, known[0].version, name, value)
    version = (
        known[0]
        if known
        else client().create_model_version(
            bundle.problem,
            f"runs:/{run_id}/{BUNDLE}",
            run_id,
            tags={"retrue.bundle": bundle.sha256, **tags},
            description=description,
            await_creation_for=0,
        )
    )
    client().set_registered_model_alias(bundle.problem, "challenger", version.version)
    return ModelRef(
        problem=bundle.problem, version=int(version.version), run_id=run_id, bundle=bundle
    )


def find(
    problem: str, version: int | None = None, without: Collection[tuple[int, str]] = ()
) -> ModelRef:
    """A registered version, its bundle fetched if it is not on this disk.

    By default the newest that its gate did not refuse and that is not among those `without`, given
    by version and bundle.

    Raises
    ------
    TrainingError
        There is no such version.
    """
    versions = {int(v.version): v for v in client().search_model_versions(f"name = '{problem}'")}
    passed = [
        number
        for number, v in versions.items()
        if v.tags.get("retrue.promoted") == "True"
        and (number, v.tags["retrue.bundle"]) not in without
    ]
    wanted = version if version is not None else max(passed, default=0)
    if wanted not in versions:
        known = ", ".join(map(str, sorted(versions))) or "none"
        raise TrainingError(
            f"model version {wanted} of {problem}"
            if wanted
            else "a version its gate let pass and nobody rejected",
            f"versions: {known}",
            "MLflow registry",
            f"run `retrue train {problem}`, or name one of these",
        )
    run_id = str(versions[wanted].run_id)
    sha256 = versions[wanted].tags["retrue.bundle"]
    place = bundles_dir(problem) / sha256[:16]
    if not place.exists():
        _fetch(run_id, place)
    bundle = BundleRef(problem=problem, path=place, sha256=sha256)
    return ModelRef(problem=problem, version=wanted, run_id=run_id, bundle=bundle)


def attach(model: ModelRef, paths: Sequence[Path], folder: str, tags: Mapping[str, str]) -> None:
    """Log files to the run of a model version and tag the version; the same names are replaced."""
    attach_files(model.run_id, paths, folder)
    for name, value in tags.items():
        client().set_model_version_tag(model.problem, str(model.version), name, value)


def attach_files(run_id: str, paths: Sequence[Path], folder: str | None = None) -> None:
    """Log files to a run that may have ended."""
    for path in paths:
        client().log_artifact(run_id, str(path), folder)


def mark_champion(model: ModelRef) -> None:
    """Mirror the ledger's decision: point the `champion` alias at the version that serves."""
    client().set_registered_model_alias(model.problem, "champion", str(model.version))


def doubts(model: ModelRef) -> tuple[str, ...]:
    """Why a person is to look at a version although its figures pass."""
    tags = client().get_model_version(model.problem, str(model.version)).tags
    return tuple(json.loads(tags.get("retrue.doubts", "[]")))


def mark_approval(problem: str, version: int, tags: Mapping[str, str]) -> None:
    """Mirror the ledger's decision on a version in its tags."""
    for name, value in tags.items():
        client().set_model_version_tag(problem, str(version), name, value)


def experiment(problem: str) -> str:
    """Id of the experiment of a problem, made if there is none."""
    from mlflow.exceptions import MlflowException

    found = client().get_experiment_by_name(problem)
    if found is not None:
        return str(found.experiment_id)
    place = None
    if "MLFLOW_TRACKING_URI" not in os.environ:  # else the server keeps the artifacts
        place = (home() / "mlartifacts").as_uri()
    try:
        return str(client().create_experiment(problem, place))
    except MlflowException:  # another process was quicker
        found = client().get_experiment_by_name(problem)
        if found is None:
            raise
        return str(found.experiment_id)


def _log_batch(
    run_id: str,
    parameters: Mapping[str, object],
    metrics: Mapping[str, float],
    curve: Mapping[str, list[float]],
) -> None:
    from mlflow.entities import Metric, Param

    now_ms = int(time.time() * 1000)
    points = [Metric(name, value, now_ms, 0) for name, value in metrics.items()]
    for name, values in curve.items():
        points += [Metric(name, value, now_ms, step) for step, value in enumerate(values)]
    given = [Param(name, str(value)) for name, value in parameters.items()]
    limit = 1000  # MLflow refuses larger batches
    for start in range(0, len(points), limit):
        client().log_batch(run_id, metrics=points[start : start + limit])
    client().log_batch(run_id, params=given)


def _log_datasets(run_id: str, data: DataRef, tables: Mapping[str, TablePin]) -> None:
    """Link the run to its data version and to the source tables that are pinned in it."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    def given(name: str, pin: TablePin | DataRef, context: str) -> DatasetInput:
        dataset = Dataset(
            name=f"{name} v{pin.version}",
            digest=pin.sha256[:36],  # MLflow's field holds no more
            source_type="delta",
            source=pin.model_dump_json(),
            profile=f'{{"n_rows": {pin.n_rows}}}',
        )
        return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])

    sources = [given(f"{data.problem}/{name}", pin, "source") for name, pin in tables.items()]
    client().log_inputs(run_id, [given(data.problem, data, "training"), *sources])


def _write_mlmodel(folder: Path, run_id: str) -> None:
    """Describe the text model so that `mlflow.lightgbm.load_model` reads it, without inference.

    `log_model` would import the model and infer its requirements: seconds of CPU for what is known.
    """
    from importlib.metadata import version

    from mlflow.models import Model

    lightgbm: dict[str, Any] = {
        "data": "model.txt",
        "model_class": "lightgbm.basic.Booster",
        "lgb_version": version("lightgbm"),
        "code": None,
    }
    model = Model(run_id=run_id, artifact_path=BUNDLE)
    model.add_flavor("lightgbm", **lightgbm)
    model.add_flavor("python_function", loader_module="mlflow.lightgbm", data="model.txt")
    model.save(str(folder / "MLmodel"))


def _fetch(run_id: str, place: Path) -> None:
    """Bring a bundle back from the run's artifacts; its hashes are checked by whoever reads it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        got = Path(client().download_artifacts(run_id, BUNDLE, folder))
        (got / "MLmodel").unlink(missing_ok=True)
        os.replace(got, place)
