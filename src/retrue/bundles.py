"""Write model bundles: folders named by the hash of their manifest, complete or absent."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from msgspec import convert, to_builtins

from retrue import calibrators
from retrue.alarms.calibration import Calibration
from retrue.alarms.reference import calibrate_reference
from retrue.checkpoint import Checkpoint
from retrue.config import Problem
from retrue.decision_costs import decision_threshold
from retrue.drift import outputs
from retrue.drift import reference as drift_reference
from retrue.errors import BundleError
from retrue.home import bundles_dir
from retrue.refs import BundleRef, DataRef
from retrue.serving.calibration import Calibrator
from retrue.training import Fitted, score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from retrue.config import Features
    from retrue.drift.reference import Reference

N_GOLDEN = 64
"""Golden rows a bundle: enough to meet nulls in most features, few enough for one request."""


def write_bundle(
    problem: Problem,
    data: DataRef,
    fitted: Fitted,
    reference: pd.DataFrame,
    provenance: Mapping[str, object],
) -> BundleRef:
    """Write all that serves, checks and explains one model; no pickle among it.

    Parameters
    ----------
    reference : DataFrame, shape (n_rows, ...)
        Rows the model was made from; a seeded sample of at most `drift.max_rows` of them becomes
        the drift reference, the newest of them the golden requests. All of them are counted for
        the tests of single features.
    provenance : mapping
        `code_commit`, `lock_sha256`, `trained_before` (ISO time, exclusive) and `recipe`, for the
        manifest.

    Returns
    -------
    BundleRef
        The same inputs give the same bundle, byte for byte.
    """
    folder = bundles_dir(problem.name)
    folder.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=folder))
    try:
        _write_files(building, problem, fitted, reference)
        manifest = {
            "format": 1,
            "problem": problem.name,
            "data": data.model_dump(mode="json", exclude={"path"}),
            **provenance,
            "seed": problem.training.seed,
            "files": {path.name: _entry(path) for path in sorted(building.iterdir())},
        }
        payload = _json(manifest)
        (building / "manifest.json").write_bytes(payload)
        sha256 = hashlib.sha256(payload).hexdigest()
        place = folder / sha256[:16]
        if not place.exists():
            building.chmod(0o755)
            os.replace(building, place)
        return BundleRef(problem=problem.name, path=place, sha256=sha256)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def read_manifest(bundle: BundleRef) -> dict[str, Any]:
    """What the bundle was made from."""
    return _load(bundle, "manifest.json")


def read_signature(bundle: BundleRef) -> dict[str, Any]:
    """What a request must hold, and how a score becomes a decision."""
    return _load(bundle, "signature.json")


def read_metrics(bundle: BundleRef) -> dict[str, Any]:
    """Metrics and learning curve that were stored with the model."""
    return _load(bundle, "metrics.json")


def read_model_text(bundle: BundleRef) -> str:
    """The model as LightGBM's text."""
    return _payload(bundle, "model.txt").decode()


def read_checkpoint(bundle: BundleRef) -> Checkpoint:
    """What processing did to the training part, as it was noted when the model was fitted."""
    return Checkpoint.model_validate(_load(bundle, "metrics.json")["checkpoint"])


def read_reference(bundle: BundleRef) -> pd.DataFrame:
    """The drift reference: a sample of the feature columns the model was made from."""
    return pd.read_parquet(io.BytesIO(_payload(bundle, "reference.parquet")))


def read_drift_reference(bundle: BundleRef, features: Features) -> Reference:
    """What was counted of the rows the model was made from.

    A bundle from before this was kept: what its sample of them gives.
    """
    if "reference.msgpack" not in read_manifest(bundle)["files"]:
        return drift_reference.summarise(read_reference(bundle), features)
    return drift_reference.from_bytes(_payload(bundle, "reference.msgpack"))


def read_alarms(bundle: BundleRef) -> Calibration | None:
    """Thresholds of alarms, calibrated on the reference; None in a bundle from before they were."""
    if "alarms.json" not in read_manifest(bundle)["files"]:
        return None
    return Calibration.model_validate(_load(bundle, "alarms.json"))


def score_with(
    bundle: BundleRef, frame: pd.DataFrame, classes: Sequence[str] = ()
) -> NDArray[np.float64]:
    """Scores of the bundle's model for these rows.

    Returns
    -------
    ndarray of float64, shape (n_samples,) or (n_samples, len(classes))
        With `classes`, a column each in that order: 0 for a class that the model does not know.
    """
    signature = _load(bundle, "signature.json")
    found = score(_payload(bundle, "model.txt").decode(), signature["features"], frame)
    found = calibrators.apply(read_calibrator(bundle), found)
    if not classes:
        return found
    known = {name: found[:, i] for i, name in enumerate(signature["classes"])}
    return np.column_stack([known.get(name, np.zeros(len(found))) for name in classes])


def read_calibrator(bundle: BundleRef) -> Calibrator | None:
    """What corrects the scores of the bundle's model, if anything does."""
    return calibrator_of(_load(bundle, "signature.json"))


def calibrator_of(signature: Mapping[str, Any]) -> Calibrator | None:
    """The calibrator that a signature holds."""
    found = signature.get("calibration")
    return None if found is None else convert(found, Calibrator)


def _write_files(building: Path, problem: Problem, fitted: Fitted, reference: pd.DataFrame) -> None:
    columns = [feature["name"] for feature in fitted.features]
    sample = reference.sample(
        n=min(len(reference), problem.drift.max_rows), random_state=problem.drift.seed
    )
    newest = reference[columns].tail(N_GOLDEN - 1).reset_index(drop=True)
    golden = newest.reindex(range(len(newest) + 1))  # the last row knows nothing: all null
    golden_scores = score(fitted.model_text, fitted.features, golden)
    calibration = (
        {} if fitted.calibrator is None else {"calibration": to_builtins(fitted.calibrator)}
    )
    answers = {"label": outputs.labels(problem, reference)}
    if fitted.holdout_scores is not None:
        answers["score"] = outputs.scores(fitted.holdout_scores, fitted.classes)
    kept = drift_reference.summarise(reference, problem.features, answers)
    files: dict[str, bytes] = {
        "reference.msgpack": drift_reference.to_bytes(kept),
        "model.txt": fitted.model_text.encode(),
        "signature.json": _json(
            {
                "problem": problem.name,
                "features": fitted.features,
                "key": list(problem.data.key),
                "time": problem.data.time,
                "task": problem.label.task,
                "classes": list(fitted.classes),
                "threshold": decision_threshold(problem),
                "label": problem.canvas.label,
                **calibration,
            }
        ),
        "golden.json": _json(
            {
                "rows": [_plain(row) for row in golden.to_dict("records")],
                "scores": calibrators.apply(fitted.calibrator, golden_scores).tolist(),
            }
        ),
        "metrics.json": _json(
            {
                "metrics": fitted.metrics,
                "no_skill": fitted.no_skill.tolist(),
                "curve": fitted.curve,
                "checkpoint": fitted.checkpoint.model_dump(mode="json"),
            }
        ),
        "alarms.json": _json(calibrate_reference(problem, sample).model_dump(mode="json")),
        "requirements.txt": resources.files("retrue.serving")
        .joinpath("requirements.txt")
        .read_bytes(),
    }
    for name, payload in files.items():
        (building / name).write_bytes(payload)
    sample[columns].reset_index(drop=True).to_parquet(building / "reference.parquet")


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """JSON has neither NaN nor times: a missing value is null, a time ISO 8601."""
    return {str(name): None if pd.isna(value) else _scalar(value) for name, value in row.items()}


def _scalar(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


def _load(bundle: BundleRef, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_payload(bundle, name))
    return found


def _payload(bundle: BundleRef, name: str) -> bytes:
    """Bytes of one file of the bundle, checked against the hashes before anything parses them."""
    try:
        payload = (bundle.path / name).read_bytes()
        manifest = (bundle.path / "manifest.json").read_bytes()
    except FileNotFoundError as error:
        raise BundleError(
            "a whole bundle",
            f"no {name}",
            str(bundle.path),
            "restore the folder from the MLflow run",
        ) from error
    expected = bundle.sha256
    if name != "manifest.json":
        expected = json.loads(manifest)["files"][name]["sha256"]
    found = hashlib.sha256(payload).hexdigest()
    if found != expected:
        raise BundleError(
            f"SHA-256 {expected}",
            found,
            str(bundle.path / name),
            "remove the folder and train again",
        )
    return payload


def _entry(path: Path) -> dict[str, Any]:
    payload = path.read_bytes()
    return {"sha256": hashlib.sha256(payload).hexdigest(), "size_bytes": len(payload)}


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"
