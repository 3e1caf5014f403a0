"""Sources of any format to typed frames, whole or delivery by delivery."""

import dataclasses
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from retrue.config import Problem, Source
from retrue.errors import DataError
from retrue.hashing import content_sha256
from retrue.sources.batches import as_one_table, batch_files
from retrue.sources.column_kinds import column_kinds
from retrue.sources.parsing import parse_file
from retrue.sources.source_files import SourceFile, read_file, source_path
from retrue.sources.typed_columns import Kind, Parsed, typed_table

__all__ = [
    "Delivery",
    "Kind",
    "Sources",
    "column_kinds",
    "deliveries",
    "read_source",
    "read_sources",
]


@dataclass(frozen=True)
class Sources:
    """All tables of a problem as delivered, with the SHA-256 of each and its path if it has one.

    `where` names each in errors, without secrets.
    """

    tables: dict[str, pd.DataFrame]
    sha256: dict[str, str]
    paths: dict[str, Path | None]
    where: dict[str, str] = dataclasses.field(default_factory=dict)


Located = tuple[pa.Table, Sequence[int]]
"""A table, and the row of the file in which each of its rows begins."""


@dataclass(frozen=True)
class Delivery:
    """One delivery of a source.

    `sha256` is that of the bytes as delivered, for SQL and served rows of their content;
    `where` names it in errors; `path` is None for what is no file of this machine. A row's label
    is its row in the file less 2, so that the first one below a header is 0.
    """

    table: str
    frame: pd.DataFrame
    sha256: str
    where: str
    path: Path | None


def read_sources(problem: Problem, root: Path) -> Sources:
    """Read every source of a problem.

    Raises
    ------
    DataError
        As `read_source`, for the first source that cannot be taken.
    """
    kinds = column_kinds(problem)
    sources = Sources({}, {}, {}, {})
    for name, source in problem.data.sources.items():
        frame, file = read_source(name, source, root, kinds[name], problem=problem.name)
        sources.tables[name], sources.sha256[name] = frame, file.sha256
        sources.paths[name], sources.where[name] = file.path, file.where
    return sources


def read_source(
    name: str, source: Source, root: Path, kinds: Mapping[str, Kind], *, problem: str = ""
) -> tuple[pd.DataFrame, SourceFile]:
    """Read one source whole.

    Parameters
    ----------
    name : str
        The source's name, for errors.
    source : Source
        Where the rows are.
    root : Path
        Folder that relative paths start from.
    kinds : mapping of str to Kind
        Columns that must be there and what they must hold; other columns are read and typed
        by their content.
    problem : str
        Name of the problem, for rows that its service answered.

    Returns
    -------
    frame : DataFrame
        One row a data row in order of the file, all columns; of a folder all its files, in order
        of their names, each content once. Whole numbers and booleans are int64 (float64 where
        one is missing), numbers float64, text category, times datetime64[us]; times of kind
        "time" are UTC, and text without an offset is taken as UTC.
    file : SourceFile
        What it came from, without its bytes; the SHA-256 of a folder is that of its files'.

    Raises
    ------
    DataError
        If the source is missing, empty, cut short, damaged, ragged, not in its encoding, too
        large, changes while it is read, lacks a column, or a column holds a value of another
        kind.
    """
    if source.folder is None:
        (table, _), file = _single(name, source, root, kinds, problem)
        return _frame(table), dataclasses.replace(file, data=b"")
    folder = _folder(source, root)
    tables, digests = [], []
    for file, (table, _) in _batches(name, source, root, kinds, frozenset()):
        tables.append(table)
        digests.append(file.sha256)
    if not tables:
        raise DataError("files in the folder", "none", f"source {name} ({folder})", "add one")
    digest = hashlib.sha256("".join(digests).encode()).hexdigest()
    return _frame(as_one_table(tables)), SourceFile(folder.name, str(folder), folder, digest)


def deliveries(
    name: str,
    source: Source,
    root: Path,
    kinds: Mapping[str, Kind],
    known: Collection[str] = frozenset(),
    *,
    problem: str = "",
) -> Iterator[Delivery]:
    """Read a source delivery by delivery; at most one is in memory at a time.

    Parameters
    ----------
    name, source, root, kinds, problem
        As for `read_source`.
    known : collection of str
        SHA-256 of files of a folder that were taken before: they are not parsed again.

    Yields
    ------
    Delivery
        One for a file, URL, query or the served rows; for a folder one a file, in order of
        their names, each content once. Hidden and partial files are left out.

    Raises
    ------
    DataError
        As `read_source`, when the delivery at fault comes up.
    """
    if source.folder is None:
        found, file = _single(name, source, root, kinds, problem)
        yield Delivery(name, _labelled(*found), file.sha256, file.where, file.path)
        return
    for file, found in _batches(name, source, root, kinds, frozenset(known)):
        yield Delivery(name, _labelled(*found), file.sha256, file.where, file.path)


def _single(
    name: str, source: Source, root: Path, kinds: Mapping[str, Kind], problem: str
) -> tuple[Located, SourceFile]:
    if source.served or source.query is not None:
        if source.served:
            parsed = _served(name, problem)
        else:
            from retrue.sources.sql_source import parse_sql

            parsed = parse_sql(name, source, root)
        table = typed_table(parsed, kinds)
        digest = content_sha256(_frame(table), [])
        return (table, parsed.file_rows), SourceFile(name, parsed.where, None, digest)
    if source.url is not None:
        from retrue.sources.remote_source import fetch

        file = fetch(name, source)
    else:
        file = read_file(source_path(name, source, root), source.max_mb)
    return _typed(file, source, kinds), file


def _served(name: str, problem: str) -> Parsed:
    from retrue.labelling.served_rows import served_rows

    table = pa.Table.from_pandas(served_rows(problem), preserve_index=False)
    return Parsed(table, f"source {name} (served rows of {problem})", range(1, table.num_rows + 1))


def _batches(
    name: str, source: Source, root: Path, kinds: Mapping[str, Kind], known: frozenset[str]
) -> Iterator[tuple[SourceFile, Located]]:
    seen = set(known)
    folder = _folder(source, root)
    for path in batch_files(folder, f"source {name} ({folder})"):
        file = read_file(path, source.max_mb)
        if file.sha256 not in seen:
            seen.add(file.sha256)
            yield file, _typed(file, source, kinds)


def _folder(source: Source, root: Path) -> Path:
    return (root / (source.folder or "")).absolute()


def _typed(file: SourceFile, source: Source, kinds: Mapping[str, Kind]) -> Located:
    parsed = parse_file(file, source, kinds)
    return typed_table(parsed, kinds), parsed.file_rows


def _labelled(table: pa.Table, file_rows: Sequence[int]) -> pd.DataFrame:
    return _frame(table).set_axis(pd.Index(file_rows) - 2)


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    return frame
