"""Serving containers: started with as few rights as they need, and found again by their labels."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from retrue.base_contents import USER_ID
from retrue.engine import engine_errors, is_missing
from retrue.errors import DeployError
from retrue.home import home
from retrue.refs import BundleRef

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrue.engine import Engine, EngineContainer

_HOME_LABEL = "retrue.home_hash"
# The server has one event loop and one log thread; LightGBM uses a second core on large bodies.
_CPUS = 2
_PIDS = 128
_HOST = "127.0.0.1"
_KEYS = "/run/retrue"
_TMP = "/tmp"  # noqa: S108 - inside the container


def home_hash() -> str:
    """Eight hex digits that tell this state folder's containers from another checkout's."""
    return hashlib.sha256(str(home().resolve()).encode()).hexdigest()[:8]


def start_container(
    client: Engine,
    image: str,
    bundle: BundleRef,
    model_version: int,
    slot: str,
    *,
    log_dir: Path,
    keys_dir: Path,
    memory_mb: int,
    port: int,
    boot_nonce: str,
    options: Sequence[str] = (),
) -> str:
    """Start the serving container of one slot; a leftover of ours in that slot is removed first.

    It runs as no privileged user, without capabilities, on a read-only file system, and listens
    on the loopback address only.

    Parameters
    ----------
    client : Engine
        The engine.
    image : str
        Image id from `build_image`.
    bundle : BundleRef
        Its hash is what the server insists on.
    model_version : int
        Version the server reports.
    slot : str
        `a` or `b`.
    log_dir : Path
        Folder of the prediction logs, on the host; created.
    keys_dir : Path
        Folder with the list of API keys, on the host; the container may only read it.
    memory_mb : int
        Memory limit, MiB, without swap.
    port : int
        Port on 127.0.0.1.
    boot_nonce : str
        Names this boot.
    options : sequence of str
        Further options of the server.

    Returns
    -------
    str
        Container id; the server inside may not be ready yet.

    Raises
    ------
    DeployError
        The engine refuses or went away.
    """
    name = f"retrue-{bundle.problem}-{slot}-{home_hash()}"
    command = ["--sha256", bundle.sha256, "--model-version", str(model_version)]
    command += ["--boot-nonce", boot_nonce, "--keys", f"{_KEYS}/keys.json"]
    command += ["--published-at", _HOST, *options]
    with engine_errors(f"container {name}"):
        _remove_leftover(client, name)
        container = client.containers.create(
            image,
            command,
            name=name,
            init=True,
            user=_owner(log_dir),
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            tmpfs={_TMP: "size=16m,mode=1777,noexec,nosuid,nodev"},
            volumes={
                str(log_dir): {"bind": "/var/lib/retrue", "mode": "rw"},
                str(keys_dir): {"bind": _KEYS, "mode": "ro"},
            },
            ports={"8080/tcp": (_HOST, port)},
            mem_limit=f"{memory_mb}m",
            memswap_limit=f"{memory_mb}m",
            nano_cpus=min(_CPUS, os.cpu_count() or 1) * 10**9,
            pids_limit=_PIDS,
            labels={
                _HOME_LABEL: home_hash(),
                "retrue.problem": bundle.problem,
                "retrue.slot": slot,
            },
        )
        try:
            container.start()
        except BaseException:
            container.remove(force=True)
            raise
        return str(container.id)


def container_state(client: Engine, container_id: str) -> tuple[bool, str]:
    """Whether it runs, and the last lines it wrote, joined by ` | `."""
    with engine_errors(f"container {container_id[:12]}"):
        container = client.containers.get(container_id)
        lines = container.logs(tail=5).decode(errors="replace").strip().splitlines()
        return container.status == "running", " | ".join(lines) or "(no log)"


def container_pid(client: Engine, container_id: str) -> int:
    """Pid of its first process as this host sees it; 0 when it does not run."""
    with engine_errors(f"container {container_id[:12]}"):
        return int(client.containers.get(container_id).attrs["State"]["Pid"])


def stop_container(client: Engine, container_id: str, timeout_s: int = 30) -> None:
    """Let the server finish its requests, then remove its container; ours only.

    Parameters
    ----------
    client : Engine
        The engine.
    container_id : str
        A container that is gone already is no error.
    timeout_s : int
        Seconds between SIGTERM and SIGKILL.

    Raises
    ------
    DeployError
        The container is not one of this state folder, or the engine went away.
    """
    with engine_errors(f"container {container_id[:12]}"):
        try:
            container = client.containers.get(container_id)
            _insist_ours(container)
            container.stop(timeout=timeout_s)
            container.remove(force=True)
        except Exception as error:
            if not is_missing(error):
                raise


def remove_containers(client: Engine) -> list[str]:
    """Remove every serving container of this state folder, running or not; their names."""
    with engine_errors("containers of this state folder"):
        ours = client.containers.list(all=True, filters={"label": f"{_HOME_LABEL}={home_hash()}"})
        for container in ours:
            container.remove(force=True)
        return [str(container.name) for container in ours]


def _remove_leftover(client: Engine, name: str) -> None:
    try:
        container = client.containers.get(name)
        _insist_ours(container)
        container.remove(force=True)
    except Exception as error:
        if not is_missing(error):
            raise


def _insist_ours(container: EngineContainer) -> None:
    found = container.labels.get(_HOME_LABEL)
    if found != home_hash():
        raise DeployError(
            f"a container labelled {_HOME_LABEL}={home_hash()}",
            f"{found or 'no such label'}",
            f"container {container.name}",
            "it belongs to another checkout; remove it there",
        )


def _owner(log_dir: Path) -> str:
    """User and group of the server: the host's user, or an unprivileged one when that is root."""
    log_dir.mkdir(parents=True, exist_ok=True)
    if os.getuid() != 0:
        return f"{os.getuid()}:{os.getgid()}"
    os.chown(log_dir, USER_ID, USER_ID)
    return f"{USER_ID}:{USER_ID}"
