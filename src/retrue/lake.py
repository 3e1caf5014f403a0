"""The lake of one problem: immutable data versions; quarantine and predictions beside them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from retrue import delta
from retrue.delta_files import Ordered
from retrue.delta_types import fitted, storable_schema
from retrue.errors import DataError
from retrue.hashing import canonical_order, combined, content_sha256
from retrue.home import lake_dir
from retrue.prediction_table import (
    append_predictions,
    predictions_watermark,
    read_predictions,
)
from retrue.quarantine import QUARANTINE, append_quarantine, read_quarantine
from retrue.refs import DataRef, TablePin

__all__ = [
    "QUARANTINE",
    "append_predictions",
    "append_quarantine",
    "latest_version",
    "list_versions",
    "pins",
    "predictions_watermark",
    "read_predictions",
    "read_quarantine",
    "read_version",
    "version_meta",
    "write_parts",
    "write_version",
]


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
    return write_parts(problem, [frame], key, until, lambda: meta or {})


def write_parts(
    problem: str,
    parts: Iterable[pd.DataFrame],
    key: Sequence[str],
    until: str,
    meta: Callable[[], Mapping[str, Any]],
) -> DataRef:
    """Write a table that comes in parts, of which one at a time is in memory; as `write_version`.

    Parameters
    ----------
    parts : iterable of DataFrame
        At least one; each is stored sorted by `key`, and they are read back in this order.
    meta : callable
        Asked when the last part is written.

    Returns
    -------
    DataRef
        The hash of several parts is that of their sorted hashes; of one it is that part's own.
    """
    path = lake_dir(problem) / "data"
    hashes: list[str] = []
    schema: pa.Schema | None = None
    n_rows = 0

    def ordered(frame: pd.DataFrame) -> Ordered:
        nonlocal n_rows, schema
        order = canonical_order(frame, key)
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        here = storable_schema(table.schema)
        schema = schema or here
        n_rows += len(frame)
        if here == schema:
            hashes.append(content_sha256(frame, key, order))
        else:
            # Its hash is that of what is stored and read back: the types of the first part.
            table = fitted(table, schema, path)
            hashes.append(content_sha256(table.to_pandas(), key))
        return Ordered(table, order)

    # Parts may take minutes, so the lock is for the commit alone. `map` keeps none of them.
    with delta.written(path, map(ordered, parts)) as files:
        said, sha256 = meta(), combined(hashes)
        own = {"sha256": sha256, "until": until, "n_rows": n_rows, "key": list(key)}
        with delta.locked(path.parent):
            for ref in list_versions(problem):
                if (ref.sha256, ref.until) == (sha256, until):
                    return ref
            delta.commit(files, {**said, **own})
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


def pins(ref: DataRef) -> dict[str, TablePin]:
    """Source tables that a version was made of, by name."""
    tables = version_meta(ref).get("tables", {})
    return {name: TablePin.model_validate(pin) for name, pin in tables.items()}


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
        parts = list(delta.read_parts(ref.path, ref.version, wanted))
        table = pa.concat_tables(parts).unify_dictionaries()
        if not verify:
            parts.clear()
        # Arrow's columns are let go of one by one: never all of them beside all of the frame's.
        frame: pd.DataFrame = table.to_pandas(self_destruct=True)
        del table
    except DataError:
        raise
    except Exception as error:  # delta-rs and arrow share no base, and name no version
        raise DataError(
            "a readable data version", " ".join(str(error).split()), where, "prepare the data again"
        ) from error
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.CategoricalDtype):
            frame[name] = frame[name].cat.reorder_categories(sorted(frame[name].cat.categories))
    if verify and (found := _content(frame, parts, key)) != ref.sha256:
        raise DataError(f"content {ref.sha256}", found, where, "prepare the data again")
    return frame if columns is None or list(frame) == list(columns) else frame[list(columns)]


def _content(frame: pd.DataFrame, parts: list[pa.Table], key: Sequence[str]) -> str:
    frames = [frame] if len(parts) == 1 else (part.to_pandas() for part in parts)
    return combined(content_sha256(one, key) for one in frames)


def _no_version(ref: DataRef) -> DataError:
    where = f"{ref.path} version {ref.version}"
    return DataError("a data version", "no such version", where, "prepare the data again")
