"""What serves a problem: bring a version in, bring it back after a restart, stop it, tell of it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from retrue import (
    approval_facts,
    approvals,
    containers,
    ledger,
    loop_decisions,
    loop_status,
    next_check,
    probes,
    processes,
    proxy,
    retention,
    slots,
    stack,
    tracking,
)
from retrue.engine import engine_or_reason, image_id
from retrue.errors import DeployError
from retrue.images import build_image, ensure_base_image, image_size_bytes, sbom_path
from retrue.problems import all_problems
from retrue.proxy_config import SLOTS
from retrue.rollout import underway
from retrue.rollout.course import Turn, resume, roll_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from retrue.config import Problem
    from retrue.engine import Engine
    from retrue.refs import BundleRef, ModelRef


def serving_model(problem: str) -> ModelRef:
    """The model version that the ledger says should serve.

    Raises
    ------
    DeployError
        None was ever deployed.
    """
    deployment = ledger.should_serve(ledger.connect(), problem)
    if deployment is None:
        raise DeployError(
            "a version in service",
            "none",
            problem,
            f"run `retrue train {problem}` and `retrue deploy {problem}`",
        )
    return tracking.find(problem, deployment.model_version)


def champion(problem: str) -> ModelRef | None:
    """The version that should serve; None where none was ever deployed."""
    deployment = ledger.should_serve(ledger.connect(), problem)
    return None if deployment is None else tracking.find(problem, deployment.model_version)


def find_model(problem: str, version: int | None) -> ModelRef:
    """A registered version; by default the newest that its gate let pass and nobody rejected."""
    return tracking.find(problem, version, approvals.rejected(problem))


def rival(problem: str, challenger: BundleRef) -> ModelRef | None:
    """The version that a challenger must beat; None when it is the first.

    That is the version that should serve. Where it is the challenger itself, already deployed by a
    retraining that was cut off afterwards, it is the one before: the verdict stays the same.
    """
    book = ledger.connect()
    deployment = ledger.should_serve(book, problem)
    version = None if deployment is None else deployment.model_version
    if deployment is not None and deployment.bundle_sha256 == challenger.sha256:
        version = ledger.previous_version(book, problem)
    return None if version is None else tracking.find(problem, version)


def previous_version(problem: str) -> int:
    """The version to go back to: the one that served before the present one.

    While a deployment is under way that is the champion it is to replace, on trial or watched.

    Raises
    ------
    DeployError
        There is none.
    """
    book = ledger.connect()
    champion = ledger.should_serve(book, problem)
    if champion is not None and underway.under_way(problem) is not None:
        return champion.model_version
    version = ledger.previous_version(book, problem)
    if version is None:
        raise DeployError(
            "a version that served before", "none", problem, "name one: `retrue deploy --version N`"
        )
    return version


def image_for(
    problem: Problem, model: ModelRef, target: str, *, as_before: bool = False
) -> str | None:
    """Build the image of a version (a second when only the model is new); None for a process.

    Its bill of materials is logged to the version's run.

    With `as_before` (a rollback must not wait) the image that it served from, if it is still there.

    Raises
    ------
    DeployError
        No engine answers, the build fails, or the image is larger than `gate.max_image_mb`.
    """
    if target != slots.CONTAINER:
        return None
    engine = engine_or_reason()
    if isinstance(engine, str):
        raise DeployError("a Docker engine", engine, problem.name, "start it and deploy again")
    try:
        if as_before and (image := _image_before(engine, model)):
            return image
        base = ensure_base_image(engine, problem.serving.base_image)
        image = build_image(engine, model.bundle, model.version, base)
        size_mb, limit_mb = image_size_bytes(engine, image) / 1e6, problem.gate.max_image_mb
    finally:
        engine.close()
    if size_mb > limit_mb:
        raise DeployError(
            f"an image of at most {limit_mb:g} MB",
            f"{size_mb:.0f} MB",
            f"image of {problem.name} version {model.version}",
            "use fewer or smaller trees or another base image, or raise gate.max_image_mb",
        )
    bill = sbom_path(model.bundle, model.version)
    tags = {"retrue.image": image, "retrue.sbom_sha256": sha256(bill.read_bytes()).hexdigest()}
    tracking.attach(model, [bill], "sbom", tags)
    return image


def _image_before(engine: Engine, model: ModelRef) -> str | None:
    for one in reversed(ledger.history(ledger.connect(), model.problem)):
        if one.bundle_sha256 == model.bundle.sha256 and one.image_digest:
            return image_id(engine, one.image_digest)
    return None


def restore(root: Path, tell: Callable[[str], None]) -> dict[str, str]:
    """Serve again what the ledger says should serve; give each problem's address."""
    served = {}
    for problem in all_problems(root):
        if ledger.should_serve(ledger.connect(), problem.name) is None:
            continue
        token, is_held = ledger.deployment_turn(ledger.connect(), problem.name)
        if is_held:
            tell(f"{problem.name}: a deployment is under way, which says what serves")
            continue
        model = serving_model(problem.name)
        turn = Turn(token, settled=model.version)
        if resume(problem, model.bundle, model.version, turn) is None:
            target, why = slots.choose_target(problem.serving)
            tell(f"serving {problem.name} version {model.version} by {target}: {why}")
            roll_out(problem, model.bundle, model.version, target, is_trusted=True, turn=turn)
        served[problem.name] = address(problem.name) or ""
        tell(f"{problem.name} version {model.version} answers at {served[problem.name]}")
    return served


def address(problem: str) -> str | None:
    """Where clients send their requests, or None while nothing listens there."""
    record = processes.running(proxy.process_name(problem))
    return None if record is None else f"http://{stack.HOST}:{record.port}"


def stop_all(root: Path, tell: Callable[[str], None]) -> None:
    """Stop proxies, then servers and leftovers; the ledger still knows what should serve."""
    for problem in all_problems(root):
        if address(problem.name) is not None:
            proxy.stop_proxy(problem.name)
            tell(f"stopped the proxy of {problem.name}")
        now = proxy.serving_now(problem.name)
        if now is not None and probes.is_healthy(now):
            # Let it finish its log in peace; what is swept up below is ended at once.
            with suppress(DeployError):
                slots.stop_slot(now)
                tell(f"stopped version {now.model_version} of {problem.name}")
        for slot in SLOTS:
            if processes.alive(name := slots.process_name(problem.name, slot)):
                processes.stop(name, timeout_s=30)
                tell(f"stopped {name}")
    engine = engine_or_reason()
    if not isinstance(engine, str):
        for name in containers.remove_containers(engine):
            tell(f"removed container {name}")
        engine.close()


def status(root: Path) -> dict[str, Any]:
    """What runs, what serves, and the last decisions, for people and machines."""
    book, running, moment = ledger.connect(), stack.status(), datetime.now(UTC)
    found: dict[str, Any] = {"stack": running, "problems": {}}
    for problem in all_problems(root):
        now = proxy.serving_now(problem.name)
        deployment = ledger.should_serve(book, problem.name)
        found["problems"][problem.name] = {
            "address": address(problem.name),
            "model_version": deployment.model_version if deployment else None,
            "since": deployment.finished_at if deployment else None,
            "target": now.target if now else None,
            "healthy": now is not None and probes.is_healthy(now),
            "rollout": _rollout(problem.name),
            "prediction_log": retention.sizes(problem.name),
            **loop_status.of(book, problem.name),
            "undone": loop_decisions.undone(problem),
            "next_check": next_check.find(problem, running, moment),
            "waits_for_approval": {
                f"version {one.model_version}": approval_facts.question(one)
                for one in approvals.waiting(problem.name)
            },
        }
    return found


def _rollout(problem: str) -> dict[str, Any] | None:
    """The rollout under way, or cut off."""
    found = underway.under_way(problem)
    if found is None:
        return None
    return {"stage": found.stage, "model_version": found.new.model_version}
