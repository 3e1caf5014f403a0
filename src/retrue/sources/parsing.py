"""The bytes of a delivery to a table, by the format they are in."""

from collections.abc import Mapping

from retrue.config import Source
from retrue.sources.archives import unpacked
from retrue.sources.csv_tables import parse_csv
from retrue.sources.csv_text import checked_text
from retrue.sources.formats import format_of_name
from retrue.sources.source_files import SourceFile
from retrue.sources.typed_columns import Kind, Parsed


def parse_file(file: SourceFile, source: Source, kinds: Mapping[str, Kind]) -> Parsed:
    """Parse bytes by their format: that of the definition, else of the name, else CSV.

    Raises
    ------
    DataError
        If they are damaged, too large unpacked, or no table of that format.
    """
    where, max_mb = file.where, source.max_mb
    name, data = unpacked(file.name, file.data, where, max_mb)
    match source.format or format_of_name(name) or "csv":
        case "parquet":
            from retrue.sources.parquet_tables import parse_parquet

            return parse_parquet(where, data, max_mb, [c for c in kinds if kinds[c] == "text"])
        case "jsonl":
            from retrue.sources.json_lines import parse_json_lines

            return parse_json_lines(where, data, source.encoding, kinds)
        case "excel":
            from retrue.sources.workbooks import parse_workbook

            return parse_workbook(where, data, source.sheet, max_mb, kinds)
        case _:
            text = checked_text(where, data, source.encoding, source.delimiter, source.quote)
            return parse_csv(text, kinds)
