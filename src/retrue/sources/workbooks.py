"""Excel workbooks as CSV text: their cells are then typed as those of any CSV are."""

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from retrue.errors import DataError
from retrue.sources.archives import DELIVER_AGAIN, too_large
from retrue.sources.csv_tables import parse_csv
from retrue.sources.csv_text import CsvText
from retrue.sources.typed_columns import Kind, Parsed

_CELL = re.compile(rb'<(?:\w+:)?c [^>]*?\br="([A-Z]{1,3})(\d{1,7})"')
_ZIP = b"PK\x03\x04"
_CHUNK_BYTES = 1 << 20
# A cell reference straddles two chunks: this much of the first is looked at again.
_OVERLAP_BYTES = 256
# The reader lays a sheet out as a full rectangle, 32 bytes a cell.
_CELL_BYTES = 32


def sheet_sizes(data: bytes, where: str, max_mb: int = 4096) -> dict[str, int]:
    """Rows of each sheet of a workbook, in its order.

    Raises
    ------
    DataError
        If it is damaged, locked, or larger than `max_mb` unpacked.
    """
    workbook = _opened(data, where, max_mb)
    return {name: workbook.get_sheet_by_name(name).total_height for name in workbook.sheet_names}


def parse_workbook(
    where: str, data: bytes, sheet: str | None, max_mb: int, kinds: Mapping[str, Kind]
) -> Parsed:
    """Read one sheet; its first row that is not empty holds the names.

    Raises
    ------
    DataError
        If the workbook is damaged, locked or too large, the sheet is not there or empty, or a
        row has values where the header has no name.
    """
    workbook = _opened(data, where, max_mb)
    names = workbook.sheet_names
    if sheet is not None and sheet not in names:
        found = f"the sheets {', '.join(names)}"
        raise DataError(f"the sheet {sheet}", found, where, "correct `sheet`")
    where = f"{where} sheet {sheet or names[0]}"
    cells = workbook.get_sheet_by_name(sheet or names[0]).to_python(skip_empty_area=False)
    rows = [(number, row) for number, row in enumerate(cells, start=1) if any(c != "" for c in row)]
    if not rows:
        raise DataError("a header and rows", "an empty sheet", where, DELIVER_AGAIN)
    used = [i for i in range(len(cells[0])) if any(row[i] != "" for _, row in rows)]
    _insist_on_names(rows, used, where)
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=csv.QUOTE_MINIMAL, lineterminator="\n").writerows(
        [_text(row[i]) for i in used] for _, row in rows
    )
    numbers = [number for number, _ in rows]
    parsed = parse_csv(CsvText(where, buffer.getvalue().encode()), kinds)
    # The text has no blank rows; the sheet may.
    return Parsed(parsed.table, where, numbers[1:], f"row {numbers[0]}")


def _insist_on_names(rows: list[tuple[int, list[Any]]], used: list[int], where: str) -> None:
    number, header = rows[0]
    for i in used:
        if header[i] == "":
            at = next(n for n, row in rows if row[i] != "")
            raise DataError(
                "a name in the header over each value",
                f"none over column {_letters(i)}, which has a value in row {at}",
                f"{where} row {number}",
                "name the column, or clear it; a title above the table has to go",
            )


def _letters(index: int) -> str:
    letters, rest = "", index + 1
    while rest:
        rest, digit = divmod(rest - 1, 26)
        letters = chr(65 + digit) + letters
    return letters


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        # Excel knows no whole numbers: 3 is stored as 3.0.
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1 << 53 else repr(cell)
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return repr(cell.total_seconds())
    return str(cell)


def _opened(data: bytes, where: str, max_mb: int) -> Any:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        if data.startswith(_ZIP):
            _check_size(data, where, max_mb)
        return CalamineWorkbook.from_filelike(io.BytesIO(data))
    except (CalamineError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        found = " ".join(str(error).split())
        raise DataError("an Excel workbook", found, where, DELIVER_AGAIN) from error


def _check_size(data: bytes, where: str, max_mb: int) -> None:
    """Refuse a bomb before the reader sees it: it would end the process, not raise."""
    left = max_mb << 20
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            rows = columns = 0
            tail = b""
            with archive.open(member) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    left -= len(chunk)
                    if left < 0:
                        raise too_large(max_mb, where)
                    if not member.filename.startswith("xl/worksheets/"):
                        continue
                    for letters, number in _CELL.findall(tail + chunk):
                        rows, columns = max(rows, int(number)), max(columns, _number(letters))
                    tail = chunk[-_OVERLAP_BYTES:]
            if rows * columns * _CELL_BYTES > max_mb << 20:
                raise too_large(max_mb, f"{where} ({rows} x {columns} cells)")


def _number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
