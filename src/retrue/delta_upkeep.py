"""Rows and files of an appended Delta table that are too old; never those of data versions."""

from __future__ import annotations

import os
from pathlib import Path

from deltalake import DeltaTable

from retrue.delta_sync import sync, sync_log

# A reader that began before its files were replaced has this long to end.
_READERS_H = 1
# Each collection adds one; a query opens them all, and a hundred take it some 50 ms.
_MANY_FILES = 100


def delete_rows(path: Path, condition: str) -> int:
    """Delete the rows that fulfil a condition in SQL, in one commit; how many they were."""
    done = DeltaTable(path).delete(condition)
    return int(done["num_deleted_rows"] or 0)


def tidy(path: Path) -> None:
    """Join small files where there are many; remove those of earlier versions and killed writers.

    The caller holds `locked`, so nobody is writing a file that no version refers to yet.
    """
    table = DeltaTable(path)
    if len(table.file_uris()) > _MANY_FILES:
        table.optimize.compact()
        table = DeltaTable(path)
    gone = table.vacuum(_READERS_H, enforce_retention_duration=False, full=True)
    if not any(os.path.exists(path / name) for name in gone):
        return  # it would name what is gone already, and each vacuum makes two commits
    for file in table.file_uris():
        sync(Path(file))
    sync_log(path, 0)
    table.vacuum(_READERS_H, dry_run=False, enforce_retention_duration=False, full=True)


def active_bytes(path: Path) -> int:
    """Size of the files of the newest version; 0 without a table."""
    if not DeltaTable.is_deltatable(str(path)):
        return 0
    return sum(os.path.getsize(file) for file in DeltaTable(path).file_uris())
