"""Delta tables on disk for sure: delta-rs writes its files and leaves the rest to the system."""

import os
from pathlib import Path


def sync_log(path: Path, version: int) -> None:
    """Wait until the commits of a table from `version` on are on disk, with the folders' entries.

    A commit is there when its name is, so the names of all files come last.
    """
    log = path / "_delta_log"
    for file in log.iterdir():
        if file.name[:20] >= f"{version:020d}":  # "_last_checkpoint" is above every number
            sync(file)
    for folder in (path, log, path.parent):
        sync(folder)


def sync(place: Path) -> None:
    """Wait until the content of a file, or the entries of a folder, are on disk."""
    opened = os.open(place, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
