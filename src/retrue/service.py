"""What serves a problem: bring a version in, bring it back after a restart, stop it, tell of it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from retrue import (
    approval_facts,
    approvals,
    containers,
    ledger,
    probes,
    processes,
    proxy,
    slots,
    stack,
    tracking,
)
from retrue.engine import engine_or_reason
from retrue.errors import DeployError
from retrue.images import build_image, ensure_base_image, image_size_bytes
from retrue.problems import all_problems
from retrue.proxy_config import SLOTS
from retrue.rollouts import roll_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from retrue.config import Problem
    from retrue.ledger import Deployment
    from retrue.refs import BundleRef, ModelRef, ServingRef


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
    """The version that served before the present one.

    Raises
    ------
    DeployError
        There is none.
    """
    version = ledger.previous_version(ledger.connect(), problem)
    if version is None:
        raise DeployError(
            "a version that served before", "none", problem, "name one: `retrue deploy --version N`"
        )
    return version


def image_for(problem: Problem, model: ModelRef, target: str) -> str | None:
    """Build the image of a version (seconds when only the model is new); None for a process.

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
    return image


def bring_in(
    problem: Problem, model: ModelRef, turn: Deployment, target: str, image: str | None, reason: str
) -> ServingRef:
    """Start, check and switch under a deployment's fencing token, then write it down.

    Raises
    ------
    DeployError
        It did not start or gave other scores than its golden ones; what served before still does.
    LedgerError
        Another deployment took over meanwhile; nothing was switched.
    """
    book = ledger.connect()
    server = roll_out(
        problem,
        model.bundle,
        model.version,
        target,
        image=image,
        before_switch=lambda: ledger.check_token(book, "deployment", turn.id, turn.token),
    )
    ledger.finish_deployment(
        book,
        turn.id,
        turn.token,
        "serving",
        target=target,
        image_digest=image,
        details_json=json.dumps({"reason": reason}),
    )
    tracking.mark_champion(model)
    return server


def give_up(turn: Deployment, error: str) -> None:
    """Write down that a deployment failed; what served before still serves."""
    ledger.finish_deployment(
        ledger.connect(), turn.id, turn.token, "failed", details_json=json.dumps({"error": error})
    )


def restore(root: Path, tell: Callable[[str], None]) -> dict[str, str]:
    """Serve again what the ledger says should serve; give each problem's address."""
    served = {}
    for problem in all_problems(root):
        if ledger.should_serve(ledger.connect(), problem.name) is None:
            continue
        model = serving_model(problem.name)
        proxy.ensure_proxy(problem.name, proxy.choose_port(problem.name, problem.serving.port))
        now = proxy.serving_now(problem.name)
        if now is None or now.model_version != model.version or not probes.is_healthy(now):
            target, why = slots.choose_target(problem.serving)
            tell(f"serving {problem.name} version {model.version} by {target}: {why}")
            roll_out(problem, model.bundle, model.version, target)
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
    book = ledger.connect()
    found: dict[str, Any] = {"stack": stack.status(), "problems": {}}
    for problem in all_problems(root):
        now = proxy.serving_now(problem.name)
        deployment = ledger.should_serve(book, problem.name)
        checks = ledger.checks(book, problem.name)
        retrainings = ledger.retrainings(book, problem.name)
        found["problems"][problem.name] = {
            "address": address(problem.name),
            "model_version": deployment.model_version if deployment else None,
            "since": deployment.finished_at if deployment else None,
            "target": now.target if now else None,
            "healthy": now is not None and probes.is_healthy(now),
            "last_check": _facts(checks[-1], "verdict", "window_start", "window_end", "decided_at")
            if checks
            else None,
            "last_retraining": _facts(retrainings[-1], "status", "trigger_key", "finished_at")
            if retrainings
            else None,
            "waits_for_approval": {
                f"version {one.model_version}": approval_facts.question(one)
                for one in approvals.waiting(problem.name)
            },
        }
    return found


def _facts(row: object, *names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
