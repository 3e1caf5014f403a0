"""CSV sources to typed frames: every fault is refused with file, row and column."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from retrue.config import Problem, Source
from retrue.errors import DataError
from retrue.source_files import DELIVER_AGAIN, SourceFile, file_row, read_file, source_path

Kind = Literal["number", "text", "time", "any"]

# pandas' own list without the rare spellings; R writes NA.
_NULLS = ["", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null"]
# Blocks this large parse 20 % cheaper than the default 1 MiB, and still feed all threads.
_BLOCK_BYTES = 1 << 22
_SHOWN_CHARS = 40
_TEXT = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class Sources:
    """All tables of a problem as delivered, with the SHA-256 and path of each file."""

    tables: dict[str, pd.DataFrame]
    sha256: dict[str, str]
    paths: dict[str, Path]


def column_kinds(problem: Problem) -> dict[str, dict[str, Kind]]:
    """Columns the definition needs of each source, and what kind each must be."""
    data = problem.data
    kinds: dict[str, dict[str, Kind]] = {name: {} for name in data.sources}
    origin = {t: (link.table, c) for link in data.links for c, t in link.columns.items()}

    def need(column: str, kind: Kind) -> None:
        table, name = origin.get(column, (data.main, column))
        if kinds[table].get(name, "any") == "any":
            kinds[table][name] = kind

    need(data.time, "time")
    need(problem.label.column, "number")
    for column in problem.features.numeric:
        need(column, "number")
    for column in problem.features.categorical:
        need(column, "text")
    for column in data.key:
        need(column, "any")
    for link in data.links:
        for left, right in link.on.items():
            need(left, "any")
            kinds[link.table][right] = "time" if left == data.time else "any"
        for column in link.columns:
            kinds[link.table].setdefault(column, "any")
    return kinds


def read_sources(problem: Problem, root: Path) -> Sources:
    """Read every source of a problem.

    Raises
    ------
    DataError
        As `read_source`, for the first source that cannot be taken.
    """
    kinds = column_kinds(problem)
    tables, sha256, paths = {}, {}, {}
    for name, source in problem.data.sources.items():
        tables[name], file = read_source(name, source, root, kinds[name])
        sha256[name], paths[name] = file.sha256, file.path
    return Sources(tables, sha256, paths)


def read_source(
    name: str, source: Source, root: Path, kinds: Mapping[str, Kind]
) -> tuple[pd.DataFrame, SourceFile]:
    """Read one CSV whole.

    Parameters
    ----------
    name : str
        The source's name, for errors.
    source : Source
        Where the file is.
    root : Path
        Folder that relative paths start from.
    kinds : mapping of str to Kind
        Columns that must be there and what they must hold; other columns are read and typed
        by their content.

    Returns
    -------
    frame : DataFrame
        One row a data row in file order, all columns. Whole numbers are int64 (float64 where
        one is missing), numbers float64, text category, times datetime64[us]; times of kind
        "time" are UTC, and text without an offset is taken as UTC.
    file : SourceFile
        The bytes it came from.

    Raises
    ------
    DataError
        If the file is missing, empty, cut short, damaged, not UTF-8, ragged, lacks a column,
        or a column holds a value of another kind.
    """
    file = read_file(source_path(name, source, root))
    table = _parse(file, {c: _TEXT for c, kind in kinds.items() if kind == "text"})
    _check_columns(file, table, kinds)
    columns = {c: _typed(file, c, table.column(c), kinds.get(c, "any")) for c in table.column_names}
    return pa.table(columns).to_pandas(), file


def _parse(file: SourceFile, types: Mapping[str, pa.DataType]) -> pa.Table:
    convert = csv.ConvertOptions(
        column_types=types,
        null_values=_NULLS,
        strings_can_be_null=True,
        auto_dict_encode=True,
        auto_dict_max_cardinality=1 << 20,
    )
    # A line end inside quotes forces a slower chunker; most files have no quotes at all.
    parse = csv.ParseOptions(newlines_in_values=b'"' in file.data)
    read = csv.ReadOptions(block_size=max(_BLOCK_BYTES, len(file.data) // 256))
    try:
        return csv.read_csv(
            pa.py_buffer(file.data), read_options=read, parse_options=parse, convert_options=convert
        )
    except pa.ArrowInvalid as error:
        raise _ragged(file, parse) or DataError(
            "a CSV table", " ".join(str(error).split()), str(file.path), DELIVER_AGAIN
        ) from error


def _ragged(file: SourceFile, parse: csv.ParseOptions) -> DataError | None:
    """Find the first row with too few or too many fields; only one thread counts rows."""
    rows: list[csv.InvalidRow] = []

    def note(row: csv.InvalidRow) -> str:
        rows.append(row)
        return "skip"

    parse.invalid_row_handler = note
    serial = csv.ReadOptions(use_threads=False)
    with contextlib.suppress(pa.ArrowInvalid):
        csv.read_csv(pa.py_buffer(file.data), read_options=serial, parse_options=parse)
    if not rows:
        return None
    row = rows[0]
    header = file.data.split(b"\n", 1)[0].decode().lstrip("\ufeff").rstrip("\r").split(",")
    at = min(row.actual_columns, len(header) - 1)
    return DataError(
        f"{row.expected_columns} fields",
        f"{row.actual_columns}",
        f"{file.path} row {file_row(file.data, row.number - 2)} column {header[at].strip(chr(34))}",
        DELIVER_AGAIN,
    )


def _check_columns(file: SourceFile, table: pa.Table, kinds: Mapping[str, Kind]) -> None:
    names = table.column_names
    where = f"{file.path} row 1"
    if doubled := sorted({n for n in names if names.count(n) > 1}):
        raise DataError("each column once", f"{doubled[0]} twice", where, "rename one of the two")
    if missing := [c for c in kinds if c not in names]:
        raise DataError(
            f"the column{'s' * (len(missing) > 1)} {', '.join(missing)}",
            f"columns {', '.join(names)}",
            where,
            "deliver the missing columns, or correct the problem's YAML",
        )
    if table.num_rows == 0:
        raise DataError("rows", "a header alone", str(file.path), DELIVER_AGAIN)


def _typed(file: SourceFile, name: str, column: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    """One column as one of: int64, double, dictionary of text, timestamp[us]."""
    if pa.types.is_null(column.type):
        column = column.cast(pa.string() if kind == "text" else pa.float64())
    if pa.types.is_boolean(column.type) or pa.types.is_integer(column.type):
        # Booleans as 0 and 1: with a missing value pandas would make them objects.
        column = column.cast(pa.int64())
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us"))
    if pa.types.is_timestamp(column.type):
        zone = "UTC" if kind == "time" else column.type.tz
        column = column.cast(pa.timestamp("us", zone), safe=False)
    if pa.types.is_time(column.type):
        column = column.cast(pa.string())
    if pa.types.is_string(column.type):
        column = column.dictionary_encode()
    if kind == "number" and not _is_number(column.type):
        raise _first_bad(file, name, column, "a number", _NUMBER)
    if kind == "time":
        if not pa.types.is_timestamp(column.type):
            raise _first_bad(file, name, column, "an ISO 8601 time", _TIME)
        if column.null_count:
            row = file_row(file.data, int(pc.index(column.is_null(), True).as_py()))
            where = f"{file.path} row {row} column {name}"
            raise DataError("an ISO 8601 time", "a missing value", where, DELIVER_AGAIN)
    return column


_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf(inity)?", re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d(:?\d\d){0,2}(\.\d+)?(Z|[-+]\d\d:?\d\d)?)?")


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _first_bad(
    file: SourceFile, name: str, column: pa.ChunkedArray, expected: str, good: re.Pattern[str]
) -> DataError:
    found, where = f"{column.type} throughout", f"{file.path} column {name}"
    if pa.types.is_dictionary(column.type):
        for index, value in enumerate(column.to_pylist()):
            if value is not None and not good.fullmatch(value.strip()):
                shown = repr(value[:_SHOWN_CHARS])
                where = f"{file.path} row {file_row(file.data, index)} column {name}"
                return DataError(expected, shown, where, "correct the value at its source")
        found = "values of several forms"
    return DataError(expected, found, where, "correct the values at their source")
