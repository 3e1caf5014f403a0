"""JSON lines to an Arrow table; what does not fit is found again line by line, to name it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from retrue.errors import DataError
from retrue.sources.archives import DELIVER_AGAIN
from retrue.sources.csv_text import utf8
from retrue.sources.typed_columns import FIELD_CHARS, Kind, Parsed, over_long

_BLOCK_BYTES = 1 << 22
_BOM = b"\xef\xbb\xbf"
_SHOWN_CHARS = 40


def parse_json_lines(where: str, data: bytes, encoding: str, kinds: Mapping[str, Kind]) -> Parsed:
    """Parse one JSON object a line.

    Raises
    ------
    DataError
        If a line is no object, holds a nested value, names a key twice, or a column mixes
        types; row and column are named.
    """
    from pyarrow import json as arrow_json

    text = utf8(where, data, encoding).removeprefix(_BOM)
    read = arrow_json.ReadOptions(block_size=max(_BLOCK_BYTES, len(text) // 256))
    as_text = {c for c, kind in kinds.items() if kind == "text"}
    try:
        # Else texts that look like times would be read as times, and written otherwise.
        schema = pa.schema([(c, pa.string()) for c in sorted(as_text)])
        parse = arrow_json.ParseOptions(explicit_schema=schema, newlines_in_values=False)
        table = arrow_json.read_json(pa.py_buffer(text), read_options=read, parse_options=parse)
    except pa.ArrowInvalid as error:
        table = _reread(where, text, as_text, error)
    empty = {c for c in as_text if table.column(c).null_count == table.num_rows}
    if empty:
        seen = {key for _, row in _objects(text) for key in row}
        table = table.drop_columns(sorted(empty - seen))
    return Parsed(table, where, _file_rows(text, table.num_rows), "keys")


def _reread(where: str, text: bytes, as_text: set[str], error: Exception) -> pa.Table:
    """Name the first fault, or build the table by hand where there is none to name.

    Arrow refuses numbers under a text column; codes such as 7 are text all the same.
    """
    columns: dict[str, list[Any]] = {}
    kinds: dict[str, type] = {}
    for n_before, (row, record) in enumerate(_checked(where, text)):
        for key, value in record.items():
            kind = _kind(value)
            if value is not None and kinds.setdefault(key, kind) is not kind:
                found = f"{_shown(value)} after {_NAMES[kinds[key]]}s"
                place = f"{where} row {row} column {key}"
                raise DataError(
                    "one type a column", found, place, "correct the value at its source"
                )
            value_or_text = _as_text(value) if key in as_text else value
            columns.setdefault(key, [None] * n_before).append(value_or_text)
        for values in columns.values():
            values.extend([None] * (n_before + 1 - len(values)))
    try:
        return pa.table(columns)
    except (pa.ArrowInvalid, OverflowError):
        raise DataError("JSON lines", " ".join(str(error).split()), where, DELIVER_AGAIN) from error


_NAMES = {str: "text", float: "number", bool: "boolean"}


def _kind(value: object) -> type:
    return bool if isinstance(value, bool) else str if isinstance(value, str) else float


def _as_text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _shown(value: object) -> str:
    return repr(value)[:_SHOWN_CHARS]


def _objects(text: bytes) -> Iterator[tuple[int, Any]]:
    for row, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield row, json.loads(line)


def _file_rows(text: bytes, n_rows: int) -> Sequence[int]:
    lines = text.splitlines()
    if len(lines) == n_rows:
        return range(1, n_rows + 1)
    return [row for row, line in enumerate(lines, start=1) if line.strip()]


def _checked(where: str, text: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    for row, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        place = f"{where} row {row}"
        try:
            record = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            remedy = f"{DELIVER_AGAIN} whole"
            raise DataError("a JSON object", str(error), place, remedy) from None
        if not isinstance(record, dict):
            raise DataError("a JSON object", _shown(record), place, "write one object a line")
        for key, value in record.items():
            if isinstance(value, dict | list):
                shown = f"a nested value {_shown(value)}"
                remedy = "flatten it, or leave it out"
                raise DataError("one plain value", shown, f"{place} column {key}", remedy)
            if isinstance(value, str) and len(value) > FIELD_CHARS:
                raise over_long(f"{place} column {key[:80]}")
        yield row, record


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [key for key, _ in pairs]
        twice = next(n for n in names if names.count(n) > 1)
        raise ValueError(f"the key {twice} twice")
    return record
