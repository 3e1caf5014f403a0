"""Files of the disk as delivered: found, read whole without a change meanwhile, and hashed."""

import hashlib
import importlib.util
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from retrue.config import Source
from retrue.errors import DataError
from retrue.sources.archives import DELIVER_AGAIN, too_large


@dataclass(frozen=True)
class SourceFile:
    """One delivery as bytes.

    `name` tells the format; `where` stands in errors and holds no secret; `path` is None for
    what is no file of this machine; `sha256` is that of the bytes as delivered.
    """

    name: str
    where: str
    path: Path | None
    sha256: str
    data: bytes = b""


def source_path(name: str, source: Source, root: Path) -> Path:
    """Absolute path of a source of one file: under `root`, or inside an installed package.

    The package is located and never imported.

    Raises
    ------
    DataError
        If the package is not installed or the file is not there.
    """
    folder = root
    if source.package is not None:
        spec = importlib.util.find_spec(source.package)
        if spec is None or not spec.submodule_search_locations:
            raise DataError(
                f"the installed package {source.package}",
                "no such package",
                f"source {name}",
                f"install {source.package} (the demo extra has it) or correct the name",
            )
        folder = Path(next(iter(spec.submodule_search_locations)))
    path = (folder / (source.path or "")).absolute()
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise DataError("a file", found, f"source {name} ({path})", "correct the path")
    return path


def read_file(path: Path, max_mb: int) -> SourceFile:
    """Read and hash a file.

    Raises
    ------
    DataError
        If it cannot be read, is empty, larger than `max_mb`, or changes while it is read.
    """
    where = str(path)
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise DataError("a file", "a device or pipe", where, "correct the path")
            if before.st_size > max_mb << 20:
                raise too_large(max_mb, where)
            data = file.read(before.st_size)
            # A writer in place changes the open file, a careful one replaces what has its name.
            changed = {_mark(before)} != {_mark(os.fstat(file.fileno())), _mark(path.stat())}
    except OSError as error:
        raise DataError(
            "a readable file", str(error.strerror), where, "check disk and permissions"
        ) from error
    if changed or len(data) != before.st_size:
        raise DataError(
            "a file at rest",
            "one that changed while it was read",
            where,
            "start again when it is written; write under another name and rename at the end",
        )
    if not data:
        raise DataError("a table", "an empty file", where, DELIVER_AGAIN)
    return SourceFile(path.name, where, path, hashlib.sha256(data).hexdigest(), data)


def _mark(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_mtime_ns, found.st_size
