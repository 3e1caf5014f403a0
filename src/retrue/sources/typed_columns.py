"""Columns of any format as the four kinds of the house: whole, number, text, time."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from retrue.errors import DataError
from retrue.sources.archives import DELIVER_AGAIN

Kind = Literal["number", "text", "time", "optional_time", "any"]
"""What a column must hold; only of kind `time` no value may be missing."""

TEXT = pa.dictionary(pa.int32(), pa.string())
# Python's csv and several databases stop here; more is a quote left open, or no table.
FIELD_CHARS = 131_072
_SHOWN_CHARS = 40
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf(inity)?", re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d(:?\d\d){0,2}(\.\d+)?(Z|[-+]\d\d:?\d\d)?)?")


@dataclass(frozen=True)
class Parsed:
    """A table as its format gives it, and where its data rows stand in the file."""

    table: pa.Table
    where: str
    file_rows: Sequence[int]
    """Row of the file, from 1, in which each data row begins."""
    header: str = "columns"
    """Where in the file the names stand."""

    def place(self, column: str, index: int | None = None) -> str:
        """`file row N column C`, without the row when it is the column as a whole."""
        row = "" if index is None else f" row {self.file_rows[index]}"
        return f"{self.where}{row} column {column}"


def typed_table(parsed: Parsed, kinds: Mapping[str, Kind]) -> pa.Table:
    """Check and convert all columns.

    Returns
    -------
    Table
        int64, double, dictionary of text, or timestamp[us]; times that a kind asks for are
        UTC, and a time without an offset is taken as UTC.

    Raises
    ------
    DataError
        If a column is missing or there twice, there are no rows, or a column holds a value of
        another kind; file, row and column are named.
    """
    _check_columns(parsed, kinds)
    names = parsed.table.column_names
    columns = {}
    for name in names:
        try:
            columns[name] = _typed(parsed, name, kinds.get(name, "any"))
        except pa.ArrowInvalid as error:
            found = " ".join(str(error).split())
            remedy = "correct the values at their source"
            raise DataError("values in range", found, parsed.place(name), remedy) from error
    return pa.table(columns)


def over_long(where: str) -> DataError:
    """Refuse a field beyond `FIELD_CHARS`."""
    return DataError(
        f"fields of at most {FIELD_CHARS:,} characters",
        "a longer one (a quote left open?)",
        where,
        "shorten it, or leave its column out",
    )


def _check_columns(parsed: Parsed, kinds: Mapping[str, Kind]) -> None:
    names = parsed.table.column_names
    where = f"{parsed.where} {parsed.header}"
    if any(len(name) > FIELD_CHARS for name in names):
        raise over_long(where)
    if doubled := sorted({n for n in names if names.count(n) > 1}):
        raise DataError("each column once", f"{doubled[0]} twice", where, "rename one of the two")
    if missing := [c for c in kinds if c not in names]:
        raise DataError(
            f"the column{'s' * (len(missing) > 1)} {', '.join(missing)}",
            f"columns {', '.join(names)}",
            where,
            "deliver the missing columns, or correct the problem's YAML",
        )
    if parsed.table.num_rows == 0:
        raise DataError("rows", "a header alone", parsed.where, DELIVER_AGAIN)


def _typed(parsed: Parsed, name: str, kind: Kind) -> pa.ChunkedArray:
    column = _plain(parsed, name, kind)
    if pa.types.is_null(column.type):
        empty = pa.timestamp("us", "UTC") if kind == "optional_time" else pa.float64()
        column = column.cast(TEXT if kind == "text" else empty)
    if pa.types.is_string(column.type):
        column = column.dictionary_encode()
    if pa.types.is_dictionary(column.type):
        _insist_on_length(parsed, name, column)
    if kind not in ("text", "number") and pa.types.is_dictionary(column.type):
        column = _times_in_text(column)
    if pa.types.is_timestamp(column.type) and kind != "text":
        zone = "UTC" if column.type.tz or kind in ("time", "optional_time") else None
        column = column.cast(pa.timestamp("us", zone), safe=False)
    if kind == "text" and not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    if kind == "number" and not _is_number(column.type):
        raise _first_bad(parsed, name, column, "a number", _NUMBER.fullmatch)
    if kind in ("time", "optional_time") and not pa.types.is_timestamp(column.type):
        raise _first_bad(parsed, name, column, "an ISO 8601 time", _is_time)
    if kind == "time" and column.null_count:
        where = parsed.place(name, int(pc.index(column.is_null(), True).as_py()))
        raise DataError("an ISO 8601 time", "a missing value", where, DELIVER_AGAIN)
    return column


def _plain(parsed: Parsed, name: str, kind: Kind) -> pa.ChunkedArray:
    """Of the formats' many types the few that remain; what is no value is refused."""
    column = parsed.table.column(name)
    found = column.type
    if pa.types.is_dictionary(found) and not pa.types.is_string(found.value_type):
        column = column.cast(found.value_type)
        found = column.type
    if pa.types.is_nested(found) or pa.types.is_binary(found) or pa.types.is_large_binary(found):
        index = int(pc.index(column.is_valid(), True).as_py())
        shape = "a nested value" if pa.types.is_nested(found) else "binary data"
        where = parsed.place(name, max(index, 0))
        raise DataError("one plain value a cell", shape, where, "flatten it, or leave it out")
    if kind != "text" and (pa.types.is_boolean(found) or pa.types.is_integer(found)):
        # Booleans as 0 and 1: with a missing value pandas would make them objects.
        # In 64 bits with a sign, or as near as a number comes.
        fits = found != pa.uint64() or (pc.max(column).as_py() or 0) < 1 << 63
        return column.cast(pa.int64() if fits else pa.float64(), safe=fits)
    if pa.types.is_duration(found):
        us = column.cast(pa.duration("us"), safe=False).cast(pa.int64())
        return pc.divide(us.cast(pa.float64()), 1e6)
    if kind != "text" and (pa.types.is_floating(found) or pa.types.is_decimal(found)):
        return column.cast(pa.float64())
    if pa.types.is_date(found):
        return column.cast(pa.timestamp("us"))
    if pa.types.is_time(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found):
        return column.cast(pa.string())
    return column


def _insist_on_length(parsed: Parsed, name: str, column: pa.ChunkedArray) -> None:
    """Look at each distinct text once; only bytes are counted until one may be too long."""
    start = 0
    for chunk in column.chunks:
        texts = chunk.dictionary
        if (pc.max(pc.binary_length(texts)).as_py() or 0) > FIELD_CHARS:
            long = pc.greater(pc.utf8_length(texts), FIELD_CHARS).take(chunk.indices)
            if (index := int(pc.index(long, True).as_py())) >= 0:
                raise over_long(parsed.place(name, start + index))
        start += len(chunk)


def _times_in_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """ISO 8601 texts as times when all are; formats without times of their own carry them so."""
    column = column.unify_dictionaries()
    texts = column.chunk(0).dictionary if column.num_chunks else pa.array([], pa.string())
    if not len(texts) or not _TIME.fullmatch(texts[0].as_py() or ""):
        return column
    try:
        # An offset in one text and none in the next is no one kind of time: it stays text.
        zone = "UTC" if _has_offset(texts[0].as_py()) else None
        times = texts.cast(pa.timestamp("us", zone))
    except pa.ArrowInvalid:
        return column
    chunks = [times.take(chunk.indices) for chunk in column.chunks]
    return pa.chunked_array(chunks, times.type)


def _has_offset(text: str) -> bool:
    return text.endswith("Z") or bool(re.search(r"[T ].*[-+]\d\d:?\d\d$", text))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False  # of another form, or the 30th of February
    return bool(_TIME.fullmatch(text))


def _first_bad(
    parsed: Parsed,
    name: str,
    column: pa.ChunkedArray,
    expected: str,
    is_good: Callable[[str], object],
) -> DataError:
    found, where = f"{column.type} throughout", parsed.place(name)
    if pa.types.is_dictionary(column.type):
        for index, value in enumerate(column.to_pylist()):
            if value is not None and not is_good(value.strip()):
                shown = repr(value[:_SHOWN_CHARS])
                where = parsed.place(name, index)
                return DataError(expected, shown, where, "correct the value at its source")
        found = "values of several forms"
    return DataError(expected, found, where, "correct the values at their source")
