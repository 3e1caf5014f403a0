"""The data versions of a problem for people: list them, look at one, take one out."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from retrue import delta
from retrue.errors import DataError
from retrue.lake import list_versions, pins, read_version, version_meta
from retrue.quarantine import keep_released, read_quarantine, released
from retrue.refs import DataRef, TablePin
from retrue.row_json import rows_as_json

_KINDS: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (pa.types.is_boolean, "yes or no"),
    (pa.types.is_integer, "whole number"),
    (pa.types.is_floating, "number"),
    (pa.types.is_timestamp, "time"),
    (pa.types.is_string, "text"),
)


@dataclass(frozen=True)
class Entry:
    """One line of the list of versions."""

    version: int
    until: str
    """ISO date (exclusive) the data were cut at."""
    n_rows: int
    sha256: str
    made_by: str
    """Hash of the problem's configuration; empty if it was not recorded."""
    made_at: str
    """UTC, ISO 8601."""
    n_set_aside: int


@dataclass(frozen=True)
class Shown:
    """One version with all that is known of it."""

    entry: Entry
    key: tuple[str, ...]
    tables: dict[str, TablePin]
    """Source tables it was made of: version, hash and rows of each."""
    match_rates: dict[str, float]
    columns: dict[str, str]
    """Kind of each column: whole number, number, text, time, yes or no."""
    n_faults: int
    """Faults this version was the first to meet."""
    n_released: int
    """Those of them that were let pass since."""
    verified: bool


def entries(problem: str) -> list[Entry]:
    """All data versions of a problem, oldest first; empty if there are none."""
    refs = list_versions(problem)
    if not refs:
        return []
    metas, times = dict(delta.commits(refs[0].path)), delta.commit_times(refs[0].path)
    return [
        Entry(
            ref.version,
            ref.until,
            ref.n_rows,
            ref.sha256,
            metas[ref.version].get("problem_sha256", ""),
            times[ref.version].isoformat(timespec="seconds"),
            metas[ref.version].get("n_set_aside", 0),
        )
        for ref in refs
    ]


def find(problem: str, version: int | None = None) -> DataRef:
    """Return a version by its number, or the newest one.

    Raises
    ------
    DataError
        If there is no such version.
    """
    refs = list_versions(problem)
    for ref in refs[::-1]:
        if version in (None, ref.version):
            return ref
    known = ", ".join(str(ref.version) for ref in refs)
    raise DataError(
        "a data version" if version is None else f"data version {version}",
        f"versions {known}" if refs else "none",
        f"lake of {problem}",
        "choose one of them" if refs else f"make one with `retrue train {problem}`",
    )


def show(ref: DataRef, verify: bool = False) -> Shown:
    """Tell all that is known of a version; with `verify` its content is hashed again.

    Raises
    ------
    DataError
        If there is no such version, or its content is not what its hash says.
    """
    if verify:
        read_version(ref, verify=True)
    meta = version_meta(ref)
    faults = read_quarantine(ref.problem)
    first_met = faults[(faults["data_sha256"] == ref.sha256) & (faults["until"] == ref.until)]
    still = keep_released(first_met, released(ref.problem))
    return Shown(
        entry=next(one for one in entries(ref.problem) if one.version == ref.version),
        key=tuple(meta["key"]),
        tables=pins(ref),
        match_rates=meta.get("match_rates", {}),
        columns=kinds(ref),
        n_faults=len(first_met),
        n_released=len(first_met) - len(still),
        verified=verify,
    )


def kinds(ref: DataRef) -> dict[str, str]:
    """Kind of each column of a version."""
    schema = delta.arrow_schema(ref.path, ref.version)
    return {
        field.name: next((kind for fits, kind in _KINDS if fits(field.type)), str(field.type))
        for field in schema
    }


def export(ref: DataRef, out: Path, force: bool = False) -> int:
    """Write a version, verified, to a file; the ending says how: .csv, .parquet or .jsonl.

    Parameters
    ----------
    ref : DataRef
        Any version, however old.
    out : Path
        Appears whole or not at all.
    force : bool
        Replace a file that is there.

    Returns
    -------
    int
        Its size in bytes. Numbers keep all their digits and times their microseconds; a missing
        value is an empty field in CSV (an empty text is `""`) and null in the others.

    Raises
    ------
    DataError
        If the file is there already, its ending is another, its folder is missing, or the version
        is damaged.
    """
    write = _WRITERS.get(out.suffix.lower())
    if write is None:
        endings = ", ".join(_WRITERS)
        raise DataError(f"a name that ends in {endings}", out.name, str(out), "rename it")
    if out.exists() and not force:
        raise _exists(out)
    if not out.parent.is_dir():
        raise DataError("a folder", "none", str(out.parent), "make it")
    frame = read_version(ref, verify=True)
    fd, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    os.close(fd)
    temporary = Path(name)
    try:
        write(frame, temporary)
        temporary.chmod(0o644)
        size = temporary.stat().st_size
        if force:
            temporary.replace(out)
        else:
            # A link fails where a name is taken, also by somebody else a moment ago.
            os.link(temporary, out)
    except FileExistsError:
        raise _exists(out) from None
    finally:
        temporary.unlink(missing_ok=True)
    return size


def _exists(out: Path) -> DataError:
    return DataError("a new file", "one that is there", str(out), "choose another, or use --force")


def _plain(frame: pd.DataFrame) -> pa.Table:
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    fields = [
        pa.field(f.name, pa.string()) if pa.types.is_dictionary(f.type) else f for f in table.schema
    ]
    return table.cast(pa.schema(fields))


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    pyarrow.csv.write_csv(_plain(frame), path)


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    pq.write_table(_plain(frame), path)


def _write_jsonl(frame: pd.DataFrame, path: Path) -> None:
    with path.open("w", encoding="utf-8") as out:
        out.writelines(f"{row}\n" for row in rows_as_json(frame))


_WRITERS = {".csv": _write_csv, ".parquet": _write_parquet, ".jsonl": _write_jsonl}
