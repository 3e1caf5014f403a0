"""Delta tables: the one place that talks to delta-rs.

Each write is one atomic commit: a process killed on the way leaves, at most, files that no
version refers to.
"""

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

# delta-rs drops log entries after 30 days by default, and with them the versions' metadata.
_KEEP_LOG = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}
# One file a version: rows come back in the order they were written.
_ONE_FILE_BYTES = 1 << 40


def overwrite(path: Path, table: pa.Table, meta: Mapping[str, Any]) -> None:
    """Commit `table` as the next version, in one file, with `meta` (JSON values) beside it."""
    write_deltalake(
        path,
        table,
        mode="overwrite",
        schema_mode="overwrite",
        configuration=_KEEP_LOG,
        target_file_size=_ONE_FILE_BYTES,
        commit_properties=CommitProperties(custom_metadata={"retrue": json.dumps(dict(meta))}),
    )


def append(
    path: Path, frame: pd.DataFrame, schema: pa.Schema, source_id: str = "", upto: int = 0
) -> None:
    """Commit more rows; with a `source_id`, its watermark `upto` is in the same commit."""
    transactions = [Transaction(source_id, upto)] if source_id else None
    write_deltalake(
        path,
        pa.Table.from_pandas(frame, schema=schema, preserve_index=False),
        mode="append",
        configuration=_KEEP_LOG,
        commit_properties=CommitProperties(app_transactions=transactions),
    )


def watermark(path: Path, source_id: str) -> int:
    """Return the last `upto` committed for a source; 0 if there is none."""
    if not DeltaTable.is_deltatable(str(path)):
        return 0
    return DeltaTable(path).transaction_version(source_id) or 0


def commits(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(version, meta) of each commit made by `overwrite`, oldest first."""
    if not DeltaTable.is_deltatable(str(path)):
        return []
    # Asked of the newest version only: on an older one `history` numbers the commits wrongly.
    history = DeltaTable(path).history()
    return [(c["version"], json.loads(c["retrue"])) for c in reversed(history) if "retrue" in c]


def column_names(path: Path, version: int) -> list[str]:
    """Columns of one version."""
    return [field.name for field in DeltaTable(path, version=version).schema().fields]


def read_table(path: Path, version: int, columns: Sequence[str] | None) -> pa.Table:
    """One version, text dictionary-encoded; the order of rows is that of its file."""
    delta = DeltaTable(path, version=version)
    texts = [f.name for f in delta.schema().fields if getattr(f.type, "type", "") == "string"]
    parts = [
        pq.read_table(uri, columns=columns, read_dictionary=texts, partitioning=None)
        for uri in delta.file_uris()
    ]
    return pa.concat_tables(parts).unify_dictionaries()


def read_rows(path: Path, schema: pa.Schema, filters: ds.Expression | None = None) -> pa.Table:
    """Return the rows of an appended table that pass `filters`; empty if there is no table."""
    if not DeltaTable.is_deltatable(str(path)):
        return schema.empty_table()
    return DeltaTable(path).to_pyarrow_table(filters=filters)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One writer a folder on this host; the system frees the lock of a killed process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
