"""The two slots of a problem: start a server in one, check it, stop it; container or process."""

from __future__ import annotations

import secrets
import sys
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from retrue import boots, processes
from retrue.api_keys import keys_file
from retrue.config import Problem
from retrue.config_serving import Serving
from retrue.containers import container_pid, container_state, start_container, stop_container
from retrue.engine import START_AGAIN, engine_or_reason
from retrue.errors import DeployError
from retrue.files import tail
from retrue.home import serving_dir
from retrue.images import build_image, ensure_base_image
from retrue.probes import is_healthy
from retrue.refs import BundleRef, ServingRef

if TYPE_CHECKING:
    from retrue.engine import Engine

CONTAINER, PROCESS = "container", "process"
_POLL_S = 0.05
# Asking the engine costs more than asking the server.
_LOOK_S = 0.5
# The server gives itself 20 s to finish, then ends.
_STOP_TIMEOUT_S = 30


def choose_target(serving: Serving) -> tuple[str, str]:
    """How a model will be served here, and why, in plain words.

    Returns
    -------
    tuple of str
        `container` or `process`, and the reason.

    Raises
    ------
    DeployError
        `serving.target` is `container` and there is no engine or no base image.
    """
    if serving.target == PROCESS:
        return PROCESS, "serving.target says so"
    engine = engine_or_reason()
    if isinstance(engine, str):
        reason = engine
    else:
        try:
            ensure_base_image(engine, serving.base_image)
        except DeployError as error:
            reason = f"no base image: {error.found}"
        else:
            return CONTAINER, "a Docker engine answers and the base image is there"
        finally:
            engine.close()
    if serving.target == CONTAINER:
        raise DeployError("a Docker engine and a base image", reason, "deploy", START_AGAIN)
    return PROCESS, f"{reason}; serving as a process of this machine"


def start_slot(
    problem: Problem,
    slot: str,
    bundle: BundleRef,
    model_version: int,
    target: str,
    *,
    image: str | None = None,
    launching: AbstractContextManager[None] | None = None,
) -> ServingRef:
    """Start a server in a slot that is out of service, and wait until it is ready.

    Parameters
    ----------
    problem : Problem
        Name and serving section are used.
    slot : str
        `a` or `b` (`proxy.free_slot`); a leftover of ours in it is stopped.
    bundle : BundleRef
        The model to serve.
    model_version : int
        Its version in the registry.
    target : str
        `container` or `process` (`choose_target`).
    image : str, optional
        Image id from `build_image`; built here when None and a container is wanted.
    launching : context manager, optional
        What to hold while a leftover is stopped and the server is started (`underway.fenced`); it
        is not held while the server gets ready.

    Returns
    -------
    ServingRef
        It answers /health with the bundle's hash and its own nonce; no request goes there yet.

    Raises
    ------
    DeployError
        It does not become ready in `serving.ready_timeout_s`, or ends; nothing is left of it.
    BundleError
        The bundle is damaged.
    """
    nonce = secrets.token_hex(8)
    port = processes.free_port()
    with launching or nullcontext():
        if target == CONTAINER:
            image, handle = _start_container(
                problem, slot, bundle, model_version, image=image, port=port, nonce=nonce
            )
        else:
            image = None
            handle = _start_process(problem, slot, bundle, model_version, port=port, nonce=nonce)
    ref = ServingRef(
        problem=problem.name,
        slot=slot,
        target=target,
        host="127.0.0.1",
        port=port,
        handle=handle,
        model_version=model_version,
        bundle_sha256=bundle.sha256,
        image_digest=image,
        boot_nonce=nonce,
    )
    try:
        boots.note(ref)
        _wait_ready(ref, problem.serving.ready_timeout_s)
    except BaseException:
        # What went wrong is told; that tidying up fails as well (engine gone) is not.
        with suppress(DeployError):
            stop_slot(ref)
        raise
    return ref


def stop_slot(ref: ServingRef, timeout_s: int = _STOP_TIMEOUT_S) -> None:
    """Stop a server that is out of service, after the requests it has; no error if it is gone.

    One that has not ended after `timeout_s` is killed.

    Raises
    ------
    DeployError
        It runs in a container, and no engine answers.
    """
    if ref.target == CONTAINER:
        engine = _engine()
        try:
            stop_container(engine, ref.handle, timeout_s)
        finally:
            engine.close()
        return
    name = process_name(ref.problem, ref.slot)
    record = processes.read_record(name)
    # The slot may hold a newer server by now.
    if record is not None and str(record.pid) == ref.handle:
        processes.stop(name, timeout_s)


def memory_mb(ref: ServingRef) -> float | None:
    """Resident memory of a server, 10^6 bytes; None where its processes cannot be seen."""
    pid = int(ref.handle) if ref.target == PROCESS else _pid_of_container(ref.handle)
    try:
        return processes.memory_mb(pid)
    except ProcessLookupError:
        return None


def log_path(ref: ServingRef) -> Path:
    """The file that a server writes its predictions to now: the newest of its log."""
    folder, name = predictions_dir(ref.problem), f"{ref.model_version}-{ref.boot_nonce}"
    written = folder.glob(f"{name}.*sqlite")
    return max(written, key=lambda path: path.stat().st_mtime_ns, default=folder / f"{name}.sqlite")


def log_failure_option(serving: Serving) -> list[str]:
    """Option of the server; none where it does by itself what is wanted, also in old images."""
    wanted = serving.on_log_failure
    return [] if wanted == "refuse" else ["--on-log-failure", wanted]


def predictions_dir(problem_name: str) -> Path:
    """Folder of the prediction logs, one SQLite file a boot; made where it is missing."""
    folder = serving_dir(problem_name) / "predictions"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _start_container(
    problem: Problem,
    slot: str,
    bundle: BundleRef,
    model_version: int,
    *,
    image: str | None,
    port: int,
    nonce: str,
) -> tuple[str, str]:
    engine = _engine()
    try:
        if image is None:
            base_id = ensure_base_image(engine, problem.serving.base_image)
            image = build_image(engine, bundle, model_version, base_id)
        handle = start_container(
            engine,
            image,
            bundle,
            model_version,
            slot,
            log_dir=predictions_dir(problem.name),
            keys_dir=keys_file(problem.name).parent,
            memory_mb=problem.serving.memory_mb,
            port=port,
            boot_nonce=nonce,
            options=log_failure_option(problem.serving),
        )
        return image, handle
    finally:
        engine.close()


def _start_process(
    problem: Problem, slot: str, bundle: BundleRef, model_version: int, *, port: int, nonce: str
) -> str:
    name = process_name(problem.name, slot)
    processes.stop(name, _STOP_TIMEOUT_S)
    argv = [sys.executable, "-m", "retrue.serving", "--bundle", str(bundle.path)]
    argv += ["--sha256", bundle.sha256, "--model-version", str(model_version)]
    argv += ["--log-dir", str(predictions_dir(problem.name)), "--boot-nonce", nonce]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--keys", str(keys_file(problem.name))]
    argv += log_failure_option(problem.serving)
    log_path = serving_dir(problem.name) / f"server-{slot}.log"
    return str(processes.start_process(name, argv, port=port, log_path=log_path).pid)


def _wait_ready(ref: ServingRef, timeout_s: float) -> None:
    begun = time.monotonic()
    next_look = begun + _LOOK_S
    while not is_healthy(ref):
        now = time.monotonic()
        if now >= min(next_look, begun + timeout_s):
            next_look = now + _LOOK_S
            is_up, said = _state(ref)
            if not is_up or now >= begun + timeout_s:
                raise DeployError(
                    f"a server that is ready within {timeout_s:g} s",
                    f"none in time, {said}" if is_up else f"it ended, {said}",
                    ref.place,
                    "see what it said; what served before still serves",
                )
        time.sleep(_POLL_S)


def _state(ref: ServingRef) -> tuple[bool, str]:
    if ref.target == CONTAINER:
        engine = _engine()
        try:
            return container_state(engine, ref.handle)
        finally:
            engine.close()
    log_path = serving_dir(ref.problem) / f"server-{ref.slot}.log"
    return processes.alive(process_name(ref.problem, ref.slot)), tail(log_path, 3)


@cache
def _pid_of_container(container_id: str) -> int:
    engine = _engine()
    try:
        return container_pid(engine, container_id)
    finally:
        engine.close()


def _engine() -> Engine:
    engine = engine_or_reason()
    if isinstance(engine, str):
        raise DeployError("a Docker engine", engine, "deploy", START_AGAIN)
    return engine


def process_name(problem_name: str, slot: str) -> str:
    """Name of the process record of a slot."""
    return f"serving-{problem_name}-{slot}"
