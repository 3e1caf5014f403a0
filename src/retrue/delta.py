"""Delta tables: versions, batches and appended rows; `delta_upkeep` removes what is too old.

Each write is one atomic commit: a process killed on the way leaves, at most, files that no
version refers to. It is on disk when it is done (files first, as delta-rs itself syncs nothing).
"""

import fcntl
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import (
    CommitProperties,
    DeltaTable,
    Schema,
    TableFeatures,
    Transaction,
)
from deltalake.transaction import AddAction, create_table_with_add_actions

from retrue.delta_files import Ordered, write_file
from retrue.delta_sync import sync, sync_log
from retrue.delta_types import storable_schema
from retrue.errors import DataError

# delta-rs drops log entries after 30 days by default, and with them the versions' metadata.
_KEEP_LOG = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}


@dataclass
class Written:
    """Files of a table that no version refers to yet, in the order of their rows."""

    path: Path
    schema: pa.Schema
    added: list[AddAction]
    is_kept: bool = False


@contextmanager
def written(path: Path, parts: Iterable[pa.Table | Ordered]) -> Iterator[Written]:
    """Write `parts`, one file each, for `commit`; only one part is in memory at a time.

    Parameters
    ----------
    path : Path
        The table, which need not be there yet. No lock is needed until the commit.
    parts : iterable of Table or Ordered
        At least one, with the columns of the first; rows are read back in this order.

    Yields
    ------
    Written
        What was written. Without a commit it is removed at the end.

    Raises
    ------
    DataError
        If there is no part, or one has other columns.
    """
    version, schema = _next_version(path), pa.schema([])
    files = Written(path, schema, [])
    try:
        for part in parts:
            if not files.added:
                files.schema = storable_schema(part.schema)
            files.added.append(_write(path, version, len(files.added), part, files.schema))
            del part  # before the next one is made
        if not files.added:
            raise DataError("at least one part", "none", str(path), "write an empty table")
        yield files
    finally:
        # Files of a commit that may have happened are never removed.
        for one in () if files.is_kept else files.added:
            (path / one.path).unlink(missing_ok=True)


def commit(files: Written, meta: Mapping[str, Any]) -> None:
    """Make `files` the next version, with `meta` (JSON values); the caller holds `locked`."""
    properties = _properties(meta)
    files.is_kept = True
    _commit("overwrite", files, properties)


def append_batch(path: Path, table: pa.Table, batch_id: str, meta: Mapping[str, Any]) -> bool:
    """Commit a batch, in one file behind the rows that are there, exactly once.

    Parameters
    ----------
    path : Path
        The table, made if it is not there. The caller holds `locked`.
    table : Table
        The batch. Whole numbers may follow numbers and the other way round if no digit is lost.
    batch_id : str
        What makes two deliveries the same, e.g. the SHA-256 of the batch.
    meta : mapping
        JSON values beside the commit.

    Returns
    -------
    bool
        False if this batch was committed before; then nothing is written.

    Raises
    ------
    DataError
        If the batch has other columns than the table.
    """
    if has_batch(path, batch_id):
        return False
    version, properties = _next_version(path), _properties(meta, Transaction(batch_id, 1))
    schema = arrow_schema(path, version - 1) if version else storable_schema(table.schema)
    _commit("append", Written(path, schema, [_write(path, version, 0, table, schema)]), properties)
    return True


def has_batch(path: Path, batch_id: str) -> bool:
    """Whether `append_batch` committed this batch."""
    return watermark(path, batch_id) > 0


def append(
    path: Path, frame: pd.DataFrame, schema: pa.Schema, source_id: str = "", upto: int = 0
) -> None:
    """Commit more rows; with a `source_id`, its watermark `upto` is in the same commit.

    Columns of `schema` that the table lacks are added to it; earlier rows have nulls there.
    """
    rows = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    version = _next_version(path)
    known = column_names(path, version - 1) if version else schema.names
    if added := [field for field in Schema.from_arrow(schema).fields if field.name not in known]:
        DeltaTable(path).alter.add_columns(added)
    file = _write(path, version, 0, rows, schema, has_statistics=True)
    mark = CommitProperties(app_transactions=[Transaction(source_id, upto)] if source_id else None)
    _commit("append", Written(path, schema, [file]), mark)


def watermark(path: Path, source_id: str) -> int:
    """Return the last `upto` committed for a source; 0 if there is none."""
    if not DeltaTable.is_deltatable(str(path)):
        return 0
    return DeltaTable(path).transaction_version(source_id) or 0


def commits(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(version, meta) of each commit that has `meta`, oldest first."""
    if not DeltaTable.is_deltatable(str(path)):
        return []
    # Asked of the newest version only: an older one numbers them wrongly. 0.1 s for 1,000 commits.
    history = DeltaTable(path).history()
    return [(c["version"], json.loads(c["retrue"])) for c in reversed(history) if "retrue" in c]


def commit_times(path: Path) -> dict[int, datetime]:
    """When each version was committed, UTC."""
    history = DeltaTable(path).history()
    return {c["version"]: datetime.fromtimestamp(c["timestamp"] / 1000, UTC) for c in history}


def arrow_schema(path: Path, version: int) -> pa.Schema:
    """Columns of one version with their Arrow types."""
    fields = DeltaTable(path, version=version).schema().to_arrow()
    return storable_schema(pa.schema(fields))


def column_names(path: Path, version: int) -> list[str]:
    """Columns of one version."""
    return [field.name for field in DeltaTable(path, version=version).schema().fields]


def part_rows(path: Path, version: int) -> list[int]:
    """Number of rows of each file of a version, in the order in which they were written."""
    return [pq.read_metadata(uri).num_rows for uri in _files(DeltaTable(path, version=version))]


def read_parts(
    path: Path,
    version: int,
    columns: Sequence[str] | None = None,
    order: Sequence[int] | None = None,
) -> Iterator[pa.Table]:
    """Yield one version file by file; text dictionary-encoded.

    Files come as they were written, or in `order`: positions among them.
    """
    delta = DeltaTable(path, version=version)
    texts = [f.name for f in delta.schema().fields if getattr(f.type, "type", "") == "string"]
    uris = _files(delta)
    for position in range(len(uris)) if order is None else order:
        uri = uris[position]
        yield pq.read_table(uri, columns=columns, read_dictionary=texts, partitioning=None)


def read_table(path: Path, version: int, columns: Sequence[str] | None) -> pa.Table:
    """One version whole, as `read_parts` tells."""
    return pa.concat_tables(read_parts(path, version, columns)).unify_dictionaries()


def read_rows(
    path: Path,
    schema: pa.Schema,
    filters: ds.Expression | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Return the rows of an appended table that pass `filters`; empty if there is no table."""
    if not DeltaTable.is_deltatable(str(path)):
        empty = schema.empty_table()
        return empty if columns is None else empty.select(list(columns))
    wanted = None if columns is None else list(columns)
    return DeltaTable(path).to_pyarrow_table(filters=filters, columns=wanted)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One writer a folder on this host; the system frees the lock of a killed process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _files(delta: DeltaTable) -> list[str]:
    # A name begins with the version and the number of the part; delta-rs lists newest first.
    return sorted(delta.file_uris())


def _next_version(path: Path) -> int:
    return DeltaTable(path).version() + 1 if DeltaTable.is_deltatable(str(path)) else 0


def _write(
    path: Path,
    version: int,
    number: int,
    part: pa.Table | Ordered,
    schema: pa.Schema,
    has_statistics: bool = False,
) -> AddAction:
    path.mkdir(parents=True, exist_ok=True)
    file = path / f"{version:08d}-{number:06d}-{uuid.uuid4().hex}.parquet"
    try:
        write_file(file, part, schema, path, has_statistics)
        sync(file)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    stats = json.dumps({"numRecords": part.num_rows})
    return AddAction(file.name, file.stat().st_size, {}, int(time.time() * 1000), True, stats)


def _properties(
    meta: Mapping[str, Any], transaction: Transaction | None = None
) -> CommitProperties:
    return CommitProperties(
        custom_metadata={"retrue": json.dumps(dict(meta))},
        app_transactions=[transaction] if transaction else None,
    )


def _commit(mode: Any, files: Written, properties: CommitProperties) -> None:
    path, schema = files.path, files.schema
    if not DeltaTable.is_deltatable(str(path)):
        create_table_with_add_actions(
            str(path),
            Schema.from_arrow(schema),
            files.added,
            mode="append",
            configuration=_KEEP_LOG,
            commit_properties=properties,
        )
        sync_log(path, 0)
        return
    delta = DeltaTable(path)
    local = any(pa.types.is_timestamp(field.type) and not field.type.tz for field in schema)
    if local and "timestampNtz" not in (delta.protocol().reader_features or ()):
        feature = TableFeatures.TimestampWithoutTimezone
        delta.alter.add_feature(feature, allow_protocol_versions_increase=True)
    delta.create_write_transaction([*files.added], mode, schema, commit_properties=properties)
    sync_log(path, delta.version())
