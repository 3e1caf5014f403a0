"""CSV text to an Arrow table, in parallel; a row of another width is named."""

import contextlib
from collections.abc import Mapping

import pyarrow as pa
from pyarrow import csv

from retrue.errors import DataError
from retrue.sources.archives import DELIVER_AGAIN
from retrue.sources.csv_text import CsvText
from retrue.sources.typed_columns import TEXT, Kind, Parsed, over_long

# pandas' own list without the rare spellings; R writes NA.
_NULLS = ["", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null"]
# Blocks this large parse 20 % cheaper than the default 1 MiB, and still feed all threads.
_BLOCK_BYTES = 1 << 22


def parse_csv(text: CsvText, kinds: Mapping[str, Kind]) -> Parsed:
    """Parse a checked text; columns not of kind text are typed by their content.

    Raises
    ------
    DataError
        If a row has too few or too many fields, or a field is over-long.
    """
    convert = csv.ConvertOptions(
        column_types={c: TEXT for c, kind in kinds.items() if kind == "text"},
        null_values=_NULLS,
        strings_can_be_null=True,
        auto_dict_encode=True,
        auto_dict_max_cardinality=1 << 20,
    )
    parse = csv.ParseOptions(
        delimiter=text.delimiter,
        quote_char=text.quote,
        # A line end inside quotes forces a slower chunker; most files have no quotes at all.
        newlines_in_values=text.quote.encode() in text.data,
    )
    read = csv.ReadOptions(block_size=max(_BLOCK_BYTES, len(text.data) // 256))
    try:
        table = csv.read_csv(
            pa.py_buffer(text.data), read_options=read, parse_options=parse, convert_options=convert
        )
    except pa.ArrowInvalid as error:
        raise (
            _long(text)
            or _ragged(text, parse)
            or DataError("a CSV table", " ".join(str(error).split()), text.where, DELIVER_AGAIN)
        ) from error
    return Parsed(table, text.where, text.file_rows(table.num_rows), "row 1")


def _long(text: CsvText) -> DataError | None:
    """A field larger than a block stops the parser, which cannot say where."""
    where = text.long_field()
    return None if where is None else over_long(where)


def _ragged(text: CsvText, parse: csv.ParseOptions) -> DataError | None:
    """Find the first row with too few or too many fields; only one thread counts rows."""
    rows: list[csv.InvalidRow] = []

    def note(row: csv.InvalidRow) -> str:
        rows.append(row)
        return "skip"

    parse.invalid_row_handler = note
    serial = csv.ReadOptions(use_threads=False)
    with contextlib.suppress(pa.ArrowInvalid):
        csv.read_csv(pa.py_buffer(text.data), read_options=serial, parse_options=parse)
    if not rows:
        return None
    row, header = rows[0], text.header()
    column = header[min(row.actual_columns, len(header) - 1)]
    return DataError(
        f"{row.expected_columns} fields",
        f"{row.actual_columns}",
        f"{text.where} row {text.file_row(row.number - 2)} column {column}",
        DELIVER_AGAIN,
    )
