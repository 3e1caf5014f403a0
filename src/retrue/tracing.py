"""From a prediction back to all that made it: server, image, model, data, code, lock, verdict."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from retrue import boots, engine, lineage, prediction_logs, registry, tracking
from retrue.home import bundles_dir, home
from retrue.lineage_facts import Lineage
from retrue.refs import BundleRef, DataRef, ServingRef
from retrue.serving.bundle import read_bundle

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Prediction(_Facts):
    """One prediction as it was logged; `key` and `row` are JSON objects."""

    prediction_id: str
    received_at: str
    event_time: str
    key: str | None
    row: str
    score: float
    decision: int
    """Binary 1 or 0, several classes the number of the likeliest, regression -1."""
    log: str | None
    """The file that held it first; None if it was collected before this was kept."""


class Image(_Facts):
    """The image of the container that answered; `labels` are None where it is no longer there."""

    digest: str
    labels: dict[str, str] | None


class Origin(_Facts):
    """What the bundle's manifest says, which the bundle's hash covers."""

    data: dict[str, Any]
    """Version, SHA-256, number of rows, and the day before which all was known."""
    code_commit: str
    lock_sha256: str
    seed: int


class Rescored(_Facts):
    """The same row scored again."""

    by: str
    """The image that answered it, or the bundle's model on this machine."""
    score: float
    decision: int
    is_same: bool
    """Whether score, to the bit, and decision are those of the log."""


class Trace(_Facts):
    """A prediction and the chain behind it."""

    problem: str
    prediction: Prediction
    model_version: int
    bundle_sha256: str
    server: ServingRef | None
    """None if it was started by hand."""
    image: Image | None
    """None where a process of the machine served."""
    origin: Origin
    flow_run: str | None
    promoted: bool | None
    verdict: str | None
    """Of the gate, in words; this and the flow run are None where no registry knows the bundle."""
    lineage: Lineage | None
    rescored: Rescored | None = None

    @property
    def bundle(self) -> BundleRef:
        """The bundle that gave the score."""
        path = bundles_dir(self.problem) / self.bundle_sha256[:16]
        return BundleRef(problem=self.problem, path=path, sha256=self.bundle_sha256)


def trace(prediction_id: str) -> Trace:
    """Find a prediction in the logs and the lake of any problem, and follow it to its origin.

    Raises
    ------
    DataError
        It was never logged, or is no longer kept.
    BundleError
        Its bundle is damaged, or neither on this disk nor in the registry.
    """
    folders = [*home().glob("serving/*/predictions"), *home().glob("lake/*/predictions")]
    problems = sorted({folder.parent.name for folder in folders})
    for problem in problems:
        if (found := prediction_logs.find(problem, prediction_id)) is not None:
            return _trace(problem, found)
    raise prediction_logs.unknown(prediction_id, ", ".join(problems) or str(home()))


def facts(found: Trace) -> dict[str, Any]:
    """A trace as nested facts, the prediction first and its origin last."""
    data = found.origin.data
    image = found.image
    return {
        "prediction": found.prediction.model_dump(exclude={"prediction_id"}),
        "rescored": None if found.rescored is None else found.rescored.model_dump(),
        "server": None
        if found.server is None
        else {
            "target": found.server.target,
            "boot": found.server.boot_nonce,
            "image": None if image is None else image.digest,
            "labels": None if image is None else image.labels or "(no longer on this engine)",
        },
        "model": {
            "problem": found.problem,
            "version": found.model_version,
            "bundle": found.bundle_sha256,
            "mlflow run": None if found.lineage is None else found.lineage.run_id,
        },
        "data": {
            "version": data.get("version"),
            "sha256": data.get("sha256"),
            "until": data.get("until"),
            "rows": data.get("n_rows"),
        },
        "code": found.origin.code_commit,
        "lock": found.origin.lock_sha256,
        "flow run": found.flow_run,
        "gate": None
        if found.promoted is None
        else {"verdict": "promoted" if found.promoted else "refused", "why": found.verdict},
    }


def _trace(problem: str, found: dict[str, Any]) -> Trace:
    sha256, version, log = found["bundle_sha256"], int(found["model_version"]), found["log"]
    past = _lineage(problem, version, sha256)
    server = None if log is None else boots.find(problem, log)
    return Trace(
        problem=problem,
        prediction=Prediction(
            prediction_id=found["prediction_id"],
            received_at=(_EPOCH + timedelta(microseconds=found["received_at_us"])).isoformat(),
            event_time=_iso(found["event_time"]),
            key=found["key"],
            row=found["row"],
            score=found["score"],
            decision=found["decision"],
            log=log,
        ),
        model_version=version,
        bundle_sha256=sha256,
        server=server,
        image=_image(server),
        origin=_origin(problem, sha256, past),
        flow_run=past and past.flow_run,
        promoted=past and past.promoted,
        verdict=past and past.reason,
        lineage=past,
    )


def _lineage(problem: str, version: int, sha256: str) -> Lineage | None:
    """By number and bundle; a registry that was made anew may count otherwise."""
    known = [one.version for one in registry.versions(problem) if one.bundle_sha256 == sha256]
    if not known:
        return None
    return lineage.of_model(problem, version if version in known else known[-1])


def _origin(problem: str, sha256: str, past: Lineage | None) -> Origin:
    place = bundles_dir(problem) / sha256[:16]
    if past is not None and not place.exists():
        tracking.find(problem, past.version)
    manifest = read_bundle(place, sha256).manifest
    return Origin(
        data={name: manifest.data[name] for name in DataRef.model_fields if name in manifest.data},
        code_commit=manifest.code_commit,
        lock_sha256=manifest.lock_sha256,
        seed=manifest.seed,
    )


def _image(server: ServingRef | None) -> Image | None:
    if server is None or server.image_digest is None:
        return None
    client = engine.engine_or_reason()
    if isinstance(client, str):
        return Image(digest=server.image_digest, labels=None)
    try:
        labels = engine.image_labels(client, server.image_digest)
    finally:
        client.close()
    return Image(digest=server.image_digest, labels=labels)


def _iso(moment: str | datetime) -> str:
    known = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return known.astimezone(UTC).isoformat()
