"""The Docker engine: reach it, wait for it with deadlines, say what is wrong. Home of docker."""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from retrue.errors import DeployError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

    Engine: TypeAlias = DockerClient
    EngineContainer: TypeAlias = Container

ENGINE_TIMEOUT_S = 60
_CONNECT_TIMEOUT_S = 3
_DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
START_AGAIN = "start the Docker engine and deploy again, or use serving.target: process"


def engine_or_reason(timeout_s: int = ENGINE_TIMEOUT_S) -> Engine | str:
    """A client of the Docker engine that answered, or in plain words why there is none."""
    address = os.environ.get("DOCKER_HOST", _DEFAULT_ADDRESS)
    if address.startswith("unix://"):
        # Asked first without the library, which takes a third of a second to import.
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_CONNECT_TIMEOUT_S)
            try:
                probe.connect(address.removeprefix("unix://"))
            except OSError as error:
                return f"no Docker engine answers at {address} ({error.strerror or error})"
    import docker
    from docker.errors import DockerException

    try:
        # A dead address must not be waited for as long as a build.
        client = docker.from_env(timeout=_CONNECT_TIMEOUT_S)
        version = client.version()
    except (DockerException, OSError) as error:
        return f"no Docker engine answers ({first_line(error)})"
    if version.get("Os") != "linux":
        return f"the Docker engine runs {version.get('Os')} containers, not Linux ones"
    client.api.timeout = timeout_s
    return client


@contextmanager
def engine_errors(where: str) -> Iterator[None]:
    """Turn what the docker library raises into a DeployError that says what to do."""
    from docker.errors import DockerException

    try:
        yield
    except (DockerException, OSError) as error:
        raise DeployError(
            "a Docker engine that does its work", first_line(error), where, START_AGAIN
        ) from error


def is_missing(error: BaseException) -> bool:
    """Whether the engine says that there is no such image or container."""
    from docker.errors import NotFound

    return isinstance(error, NotFound)


def image_id(client: Engine, name: str) -> str | None:
    """Id of a local image, `sha256:...`; None when the engine has no image of that name."""
    from docker.errors import ImageNotFound

    with engine_errors(name):
        try:
            return str(client.images.get(name).id)
        except ImageNotFound:
            return None


def image_labels(client: Engine, name: str) -> dict[str, str] | None:
    """Labels of a local image; None when the engine has no such image."""
    with engine_errors(name):
        try:
            return dict(client.images.get(name).labels)
        except Exception as error:
            if not is_missing(error):
                raise
            return None


def events(
    start: Callable[[], Iterable[Any]], first_s: float, total_s: float, where: str
) -> Iterator[dict[str, Any]]:
    """Events of a long call to the engine; DeployError when the first or the last comes late.

    The docker library can only limit the time between two bytes, so the call runs in a thread
    of its own, which ends with the connection once nobody waits for it.
    """
    events: queue.Queue[dict[str, Any] | Exception | None] = queue.Queue()
    given_up = threading.Event()

    def read() -> None:
        try:
            for event in start():
                events.put(event)
                if given_up.is_set():
                    return
            events.put(None)
        except Exception as error:  # handed to the caller's thread
            events.put(error)

    threading.Thread(target=read, name=where, daemon=True).start()
    begun = time.monotonic()
    limit_s = first_s
    try:
        while True:
            try:
                event = events.get(timeout=max(0.0, begun + limit_s - time.monotonic()))
            except queue.Empty as error:
                raise DeployError(
                    f"an end within {limit_s:g} s", "none", where, START_AGAIN
                ) from error
            if isinstance(event, Exception):
                raise event
            if event is None:
                return
            limit_s = total_s
            yield event
    finally:
        given_up.set()


def first_line(error: BaseException) -> str:
    """First line of what an error says, at most 300 characters."""
    # The engine's own words, where the library wraps them in an HTTP status and an address.
    said = str(getattr(error, "explanation", None) or error).strip()
    return said.splitlines()[0][:300] if said else type(error).__name__
