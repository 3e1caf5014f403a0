"""Images as docker-archives: the same files give the same layers and the same image id."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import IO

# Debian's habit for reproducible files: one fixed time for all of them.
_EPOCH = 0
_CREATED = "1970-01-01T00:00:00Z"

Entry = tuple[str, "Path | None"]
"""Name in the image, and the file, link or folder it is made from; None is an empty folder."""


@dataclass(frozen=True)
class Layer:
    """One layer as an uncompressed tar; `diff_id` is `sha256:...` of it."""

    file: Path
    diff_id: str


def tree_entries(tree: Path, prefix: str = "") -> Iterator[Entry]:
    """All that is below `tree`, in a fixed order."""
    for path in sorted(tree.rglob("*")):
        yield f"{prefix}{path.relative_to(tree).as_posix()}", path


def write_layer(entries: Iterable[Entry], file: Path) -> Layer:
    """Write a layer: owner root, one time, and of a mode only whether it is executable."""
    with file.open("wb") as out:
        write_tar(entries, out)
    with file.open("rb") as content:
        return Layer(file, f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}")


def write_tar(entries: Iterable[Entry], out: IO[bytes]) -> None:
    """Write entries as a tar that says nothing of who made it, when and with which umask."""
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as tar:
        for name, path in entries:
            if path is None:
                info = tarfile.TarInfo(name)
                info.type = tarfile.DIRTYPE
            else:
                info = tar.gettarinfo(str(path), arcname=name)
            info.uid = info.gid = 0
            info.uname = info.gname = "root"
            info.mtime = _EPOCH
            # Hard links depend on the file system: compileall and uv make some, or not.
            if path is not None and info.islnk():
                info.type, info.linkname = tarfile.REGTYPE, ""
                info.size = path.stat().st_size
            if not info.issym():
                info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
            if name == "tmp":
                info.mode = 0o1777
            if path is not None and info.isreg():
                with path.open("rb") as content:
                    tar.addfile(info, content)
            else:
                tar.addfile(info)


def write_archive(
    out: IO[bytes],
    config: Mapping[str, Any],
    architecture: str,
    layers: Sequence[Layer],
    *,
    below: Sequence[str] = (),
    tag: str | None = None,
) -> None:
    """Write an image for `docker load`.

    Parameters
    ----------
    out : binary file
        Where it goes.
    config : mapping
        The engine's `Config`: environment, user, entry point, labels ...
    architecture : str
        The engine's name for it, e.g. `amd64`.
    layers : sequence of Layer
        The lowest first.
    below : sequence of str
        Ids of layers that lie under them and that the engine has already: they are named only.
    tag : str or None
        Name and tag; None gives it none.
    """
    diff_ids = [*below, *(layer.diff_id for layer in layers)]
    content = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "created": _CREATED,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created": _CREATED, "created_by": "retrue"} for _ in diff_ids],
        },
        sort_keys=True,
    ).encode()
    config_name = f"{hashlib.sha256(content).hexdigest()}.json"
    places = [f"{diff_id.removeprefix('sha256:')}/layer.tar" for diff_id in diff_ids]
    manifest = json.dumps(
        [{"Config": config_name, "RepoTags": [tag] if tag else None, "Layers": places}]
    ).encode()
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for name, payload in ((config_name, content), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(payload)
            archive.addfile(info, io.BytesIO(payload))
        for place, layer in zip(places[len(below) :], layers, strict=True):
            archive.add(layer.file, arcname=place)
