"""A serving image from a base in the engine and two layers, and how its server is to run."""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import retrue
from retrue.engine import START_AGAIN, engine_errors, events, image_id
from retrue.errors import DeployError
from retrue.image_archive import write_archive, write_layer, write_tar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from retrue.engine import Engine
    from retrue.image_archive import Entry, Layer

# What the Dockerfile can say of a server; the engine's other settings are of no image's business.
_SETTINGS = ("Env", "User", "Healthcheck", "Entrypoint")
# An engine that is still removing a layer refuses the same layer for a moment.
_PAUSES_S = (0.2, 0.5, 1, 2)
# What containerd's image store says: the archive must hold the layers of the base too.
_WANTS_ALL_LAYERS = "layer.tar"
_LOADED = re.compile(r"Loaded image ID: (sha256:[0-9a-f]{64})")


def assemble(
    client: Engine,
    base_id: str,
    layers: Sequence[Sequence[Entry]],
    labels: Mapping[str, str],
    deadline_s: float,
    where: str,
) -> str:
    """Make an untagged image; the same input gives the same id, on any day and in any folder.

    Parameters
    ----------
    client : Engine
        The engine.
    base_id : str
        Image that the layers are put on.
    layers : sequence of sequences of Entry
        The lowest first.
    labels : mapping
        The image's.
    deadline_s : float
        Limit of all of it, seconds.
    where : str
        What is built, for errors.

    Returns
    -------
    str
        Image id, `sha256:...`.

    Raises
    ------
    DeployError
        The engine went away or refuses, or it took too long.
    """
    end = time.monotonic() + deadline_s
    server = _server_image(client, base_id, end, where)
    with tempfile.TemporaryDirectory(prefix="retrue-image-") as folder:
        written = [
            write_layer(entries, Path(folder) / f"{number}.tar")
            for number, entries in enumerate(layers)
        ]
        for pause_s in _PAUSES_S:
            try:
                return _load(client, server, written, labels, end, where)
            except DeployError as error:
                if time.monotonic() + pause_s >= end:
                    raise
                if _WANTS_ALL_LAYERS in error.found:
                    break
            time.sleep(pause_s)
    # The builder always takes it, but never gives the same id twice.
    entries = [entry for layer in layers for entry in layer]
    return _build(client, "serving", base_id, entries, labels, end, where)


def _server_image(client: Engine, base_id: str, end: float, where: str) -> str:
    """Name of the base with the settings of the Dockerfile and no file more; built once."""
    key = hashlib.sha256(base_id.encode() + _dockerfile().read_bytes()).hexdigest()[:16]
    name = f"retrue/server:{key}"
    if image_id(client, name) is None:
        found = _build(client, "server", base_id, [], {}, end, where)
        with engine_errors(where):
            client.api.tag(found, "retrue/server", key)
    return name


def _load(
    client: Engine,
    server: str,
    layers: Sequence[Layer],
    labels: Mapping[str, str],
    end: float,
    where: str,
) -> str:
    with engine_errors(where):
        found = client.images.get(server).attrs
    config: dict[str, Any] = {name: found["Config"].get(name) for name in _SETTINGS}
    config["Labels"] = dict(labels)
    with tempfile.TemporaryFile() as archive:
        below = found["RootFS"]["Layers"]
        write_archive(archive, config, found["Architecture"], layers, below=below)
        archive.seek(0)
        api: Any = client.api  # not in the types of docker
        said = _follow(lambda: api.load_image(archive), end, where)
    loaded = _LOADED.search("\n".join(str(event.get("stream", "")) for event in said))
    if loaded is None:
        raise DeployError("an image from the archive", "none", where, START_AGAIN)
    return loaded[1]


def _build(
    client: Engine,
    target: str,
    base_id: str,
    entries: Sequence[Entry],
    labels: Mapping[str, str],
    end: float,
    where: str,
) -> str:
    with tempfile.TemporaryFile() as context:
        # Each name once: layers name the folders they share.
        write_tar([("Dockerfile", _dockerfile()), *dict(entries).items()], context)
        context.seek(0)
        said = _follow(
            lambda: client.api.build(
                fileobj=context,
                custom_context=True,
                target=target,
                buildargs={"BASE_IMAGE": base_id},
                network_mode="none",
                rm=True,
                forcerm=True,
                decode=True,
                labels=dict(labels),
            ),
            end,
            where,
        )
    built = [event["aux"]["ID"] for event in said if "ID" in event.get("aux", {})]
    if not built:
        raise DeployError("an image from the build", "none", where, START_AGAIN)
    return str(built[-1])


def _follow(start: Callable[[], Iterable[Any]], end: float, where: str) -> list[dict[str, Any]]:
    """Events of a call that must end by `end` (monotonic); DeployError at its first error."""
    left_s = max(0.0, end - time.monotonic())
    said = []
    with engine_errors(where):
        for event in events(start, left_s, left_s, where):
            if "error" in event:
                found = str(event["error"]).strip()
                raise DeployError("a build that succeeds", found, where, START_AGAIN)
            said.append(event)
    return said


def _dockerfile() -> Path:
    package = Path(retrue.__path__[0])
    # In a checkout it is at the top; a wheel carries it in the package.
    for place in (package / "Dockerfile", package.parent.parent / "Dockerfile"):
        if place.is_file():
            return place
    raise DeployError("the Dockerfile", "none", str(package), "install Retrue again")
