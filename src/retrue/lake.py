"""The lake of one problem: immutable data versions, and the rows that were set aside."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from retrue import delta
from retrue.errors import DataError
from retrue.hashing import canonical_order, content_sha256
from retrue.home import lake_dir
from retrue.prediction_table import (
    append_predictions,
    predictions_watermark,
    read_predictions,
)
from retrue.refs import DataRef

__all__ = [
    "append_predictions",
    "append_quarantine",
    "latest_version",
    "list_versions",
    "predictions_watermark",
    "read_predictions",
    "read_quarantine",
    "read_version",
    "version_meta",
    "write_version",
]

QUARANTINE = pa.schema(
    [
        ("fault_id", pa.string()),
        ("table", pa.string()),
        ("key", pa.string()),
        ("rule", pa.string()),
        ("column", pa.string()),
        ("value", pa.string()),
        ("reason", pa.string()),
        ("source_row", pa.int64()),
        ("row", pa.string()),
        ("until", pa.string()),
        ("data_sha256", pa.string()),
    ]
)


def write_version(
    problem: str,
    frame: pd.DataFrame,
    key: Sequence[str],
    until: str,
    meta: Mapping[str, Any] | None = None,
) -> DataRef:
    """Write a table as a new immutable version, or return the version that already holds it.

    Parameters
    ----------
    problem : str
        Name of the problem.
    frame : DataFrame, shape (n_rows, n_columns)
        The whole table; stored sorted by `key`.
    key : sequence of str
        Columns that identify a row.
    until : str
        ISO date (exclusive) the table was cut at.
    meta : mapping, optional
        JSON values to record in the commit beside the hash, e.g. hashes of the sources.

    Returns
    -------
    DataRef
        With version number and content SHA-256. The same content with the same `until` gives
        the same version again, also after a kill between any two steps.

    Raises
    ------
    DataError
        If a column cannot be stored exactly.
    """
    table = frame.take(canonical_order(frame, key))
    sha256 = content_sha256(table, key)
    path = lake_dir(problem) / "data"
    with delta.locked(path.parent):
        for ref in list_versions(problem):
            if (ref.sha256, ref.until) == (sha256, until):
                return ref
        own = {"sha256": sha256, "until": until, "n_rows": len(table), "key": list(key)}
        delta.overwrite(path, _storable(table), {**(meta or {}), **own})
        return list_versions(problem)[-1]


def list_versions(problem: str) -> list[DataRef]:
    """All data versions of a problem, oldest first; empty if there are none."""
    path = lake_dir(problem) / "data"
    return [
        DataRef(
            problem=problem,
            path=path,
            version=version,
            sha256=meta["sha256"],
            n_rows=meta["n_rows"],
            until=meta["until"],
        )
        for version, meta in delta.commits(path)
    ]


def latest_version(problem: str) -> DataRef | None:
    """Return the newest data version of a problem, if there is one."""
    return next(reversed(list_versions(problem)), None)


def version_meta(ref: DataRef) -> dict[str, Any]:
    """Return what was recorded with a version: its hash, until, n_rows, key and `meta`.

    Raises
    ------
    DataError
        If there is no such version.
    """
    for version, meta in delta.commits(ref.path):
        if version == ref.version:
            return meta
    raise _no_version(ref)


def read_version(
    ref: DataRef, columns: Sequence[str] | None = None, verify: bool = False
) -> pd.DataFrame:
    """Read a data version.

    Parameters
    ----------
    ref : DataRef
        Which version.
    columns : sequence of str, optional
        Only these columns, in this order.
    verify : bool
        Read all columns and compare the content with `ref.sha256`.

    Returns
    -------
    DataFrame
        Rows in order of the key; text as category with sorted categories.

    Raises
    ------
    DataError
        If the version or a column does not exist, a file is damaged, or the hash differs.
    """
    where = f"{ref.path} version {ref.version}"
    key = version_meta(ref)["key"]
    try:
        names = delta.column_names(ref.path, ref.version)
        if missing := [c for c in columns or () if c not in names]:
            found = f"columns {', '.join(names)}"
            raise DataError(f"the column {missing[0]}", found, where, "correct the name")
        wanted = None if verify or columns is None else list(columns)
        frame: pd.DataFrame = delta.read_table(ref.path, ref.version, wanted).to_pandas()
    except DataError:
        raise
    except Exception as error:  # delta-rs and arrow share no base, and name no version
        raise DataError(
            "a readable data version", " ".join(str(error).split()), where, "prepare the data again"
        ) from error
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.CategoricalDtype):
            frame[name] = frame[name].cat.reorder_categories(sorted(frame[name].cat.categories))
    if verify and (found := content_sha256(frame, key)) != ref.sha256:
        raise DataError(f"content {ref.sha256}", found, where, "prepare the data again")
    return frame if columns is None else frame[list(columns)]


def append_quarantine(problem: str, rows: pd.DataFrame) -> int:
    """Append rows that were set aside; a fault that is already there is not added again.

    Parameters
    ----------
    problem : str
        Name of the problem.
    rows : DataFrame
        Columns as in `QUARANTINE`; `fault_id` says what makes two faults the same.

    Returns
    -------
    int
        How many were new.
    """
    path = lake_dir(problem) / "quarantine"
    with delta.locked(path.parent):
        known = set(read_quarantine(problem)["fault_id"])
        fresh = rows[~rows["fault_id"].isin(known)].drop_duplicates("fault_id")
        if len(fresh):
            delta.append(path, fresh, QUARANTINE)
        return len(fresh)


def read_quarantine(problem: str) -> pd.DataFrame:
    """All rows ever set aside, one a fault, with the data version that first met it."""
    path = lake_dir(problem) / "quarantine"
    frame: pd.DataFrame = delta.read_rows(path, QUARANTINE).to_pandas()
    return frame


def _storable(frame: pd.DataFrame) -> pa.Table:
    """Arrow columns that Delta stores exactly: text as strings, times in microseconds."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    fields = []
    for field in table.schema:
        kind = field.type
        if pa.types.is_dictionary(kind) or pa.types.is_null(kind):
            kind = pa.string()
        elif pa.types.is_timestamp(kind):
            kind = pa.timestamp("us", kind.tz and "UTC")
        fields.append(pa.field(field.name, kind))
    return table.cast(pa.schema(fields), safe=False)


def _no_version(ref: DataRef) -> DataError:
    where = f"{ref.path} version {ref.version}"
    return DataError("a data version", "no such version", where, "prepare the data again")
