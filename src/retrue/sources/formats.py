"""Which format a delivered file has: by the ending of its name, or by how its content starts."""

from pathlib import PurePosixPath
from typing import Literal

Format = Literal["csv", "parquet", "jsonl", "excel"]

_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xls": "excel",
}
_PARQUET = b"PAR1"
_ZIP = b"PK\x03\x04"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def format_of_name(name: str) -> Format | None:
    """Format that the ending of a name declares, beneath `.gz` and `.zip`; None when unknown.

    Examples
    --------
    >>> format_of_name("flights.CSV.gz"), format_of_name("flights.dat")
    ('csv', None)
    """
    path = PurePosixPath(name.lower())
    while path.suffix in (".gz", ".zip"):
        path = path.with_suffix("")
    return _ENDINGS.get(path.suffix)


def format_of_content(head: bytes) -> tuple[Format, str]:
    """Format by the first bytes of the unpacked file, and what says so, in plain words."""
    if head.startswith(_PARQUET):
        return "parquet", "the content starts with Parquet's PAR1"
    if head.startswith(_OLD_EXCEL) or (head.startswith(_ZIP) and b"xl/" in head):
        return "excel", "the content is an Excel workbook"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return "jsonl", "the content starts with a JSON object"
    return "csv", "the content is text in lines"
