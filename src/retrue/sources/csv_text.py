"""CSV text: decoded, checked for damage, and pointed into for errors."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from threading import RLock

from retrue.errors import DataError
from retrue.sources.archives import DELIVER_AGAIN
from retrue.sources.text_encoding import detect_encoding, marked_encoding
from retrue.sources.typed_columns import FIELD_CHARS

_HEAD_BYTES = 1 << 20
_field_limit = RLock()


@dataclass(frozen=True)
class CsvText:
    """A CSV as UTF-8 bytes, and how it is written."""

    where: str
    data: bytes
    delimiter: str = ","
    quote: str = '"'

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """File row (the header is 1) and fields of each row that is not blank.

        Blank lines and line ends in quotes count as lines, as they do in editors.
        """
        text = io.StringIO(self.data.decode("utf-8-sig"), newline="")
        reader = csv.reader(text, delimiter=self.delimiter, quotechar=self.quote)
        start = 1
        for fields in reader:
            if fields:
                yield start, fields
            start = reader.line_num + 1

    def header(self) -> list[str]:
        """Names of the columns."""
        with _any_length(len(self.data)):
            return next((fields for _, fields in self.rows()), [])

    def file_row(self, index: int) -> int:
        """Row of the file where data row `index` (from 0) starts."""
        with _any_length(len(self.data)):
            return next((row for row, _ in islice(self.rows(), index + 1, None)), 1)

    def file_rows(self, n_rows: int) -> Sequence[int]:
        """Rows of the file where the `n_rows` data rows start."""
        if self.data.count(b"\n") == n_rows + 1:  # no blank line, and no line end in quotes
            return range(2, n_rows + 2)
        with _any_length(len(self.data)):
            return [row for row, _ in self.rows()][1:]

    def long_field(self) -> str | None:
        """Place of the first field beyond `FIELD_CHARS`; None when all are shorter."""
        with _any_length(len(self.data)):
            header = self.header()
            for row, fields in self.rows():
                for i, field in enumerate(fields):
                    if len(field) > FIELD_CHARS:
                        column = header[i] if i < len(header) else f"#{i + 1}"
                        return f"{self.where} row {row} column {column[:80]}"
        return None

    def at_byte(self, offset: int) -> str:
        """`file row N column C` of a byte."""
        start = self.data.rfind(b"\n", 0, offset) + 1
        names = self.header()
        position = self.data.count(self.delimiter.encode(), start, offset)
        column = names[position] if position < len(names) else f"#{position + 1}"
        row = self.data.count(b"\n", 0, offset) + 1
        return f"{self.where} row {row} column {column}"


@contextmanager
def _any_length(size: int) -> Iterator[None]:
    """Python's field limit is one for the whole process: raised briefly, by one at a time."""
    with _field_limit:
        before = csv.field_size_limit(max(size, FIELD_CHARS))
        try:
            yield
        finally:
            csv.field_size_limit(before)


def checked_text(where: str, data: bytes, encoding: str, delimiter: str, quote: str) -> CsvText:
    """Decode a CSV and look for what a parser would take without a word.

    Raises
    ------
    DataError
        If the text is empty, not in its encoding, has NUL bytes, stops within a row, or leaves
        a quote open; row and column are named.
    """
    if not (delimiter.isascii() and quote.isascii()) or delimiter == quote:
        found = f"{delimiter!r} and {quote!r}"
        raise DataError("two ASCII characters as delimiter and quote", found, where, "change one")
    text = CsvText(where, utf8(where, data, encoding, delimiter), delimiter, quote)
    # A cut inside the last column leaves a row that parses; only the line end tells. Writers
    # (R, pandas, arrow, databases, spreadsheets) end the last row.
    if text.data[-1:] not in (b"\n", b"\r"):
        raise DataError(
            "a line end after the last row",
            "a file that stops within it (cut short?)",
            text.at_byte(len(text.data)),
            f"{DELIVER_AGAIN} whole, or end its last row if it is whole",
        )
    if text.data.count(quote.encode()) % 2 and (row := _open_quote(text)):
        raise DataError(
            "every quote closed", "one left open", f"{where} row {row}", f"{DELIVER_AGAIN} whole"
        )
    return text


def utf8(where: str, data: bytes, encoding: str, delimiter: str = ",") -> bytes:
    """Bytes of a text as UTF-8; a byte order mark goes before `encoding`.

    Raises
    ------
    DataError
        If it is empty, not in its encoding, or has NUL bytes; the remedy names the encoding
        that was found.
    """
    if not data.strip():
        raise DataError("a header and rows", "an empty file", where, DELIVER_AGAIN)
    named = marked_encoding(data) or encoding
    try:
        decoded = data.decode(named)
    except LookupError:
        raise DataError(
            "a known encoding", repr(encoding), where, "write one such as utf-8 or cp949"
        ) from None
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(named, "ignore").encode()
        raise DataError(
            f"{_shown(named)} text",
            f"byte 0x{data[error.start]:02x}",
            CsvText(where, before, delimiter).at_byte(len(before)),
            _other_encoding(data, named),
        ) from None
    is_utf8 = named.lower().replace("_", "-") in ("utf-8", "utf-8-sig", "utf8")
    if not is_utf8 and _is_utf8_after_all(data):
        raise DataError(f"{_shown(named)} text", "UTF-8", f"{where} row 1", "set encoding: utf-8")
    text = data if is_utf8 else decoded.encode()
    if (nul := text.find(b"\0")) >= 0:
        place = CsvText(where, text, delimiter).at_byte(nul)
        raise DataError("text", "a NUL byte", place, _other_encoding(data, named, DELIVER_AGAIN))
    return text


def _shown(encoding: str) -> str:
    return "UTF-8" if encoding in ("utf-8", "utf-8-sig") else encoding


def _is_utf8_after_all(data: bytes) -> bool:
    # Beyond ASCII, bytes of another encoding are valid UTF-8 by hardly any accident.
    if data.isascii():
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in data


def _other_encoding(data: bytes, named: str, otherwise: str = "export the file as UTF-8") -> str:
    found, _ = detect_encoding(data[:_HEAD_BYTES])
    if found == "utf-8":
        # The head may be plain: what stands around the first byte that is not tells more.
        at = next((i for i, byte in enumerate(data) if byte > 127), 0)
        found, _ = detect_encoding(data[data.rfind(b"\n", 0, at) + 1 : at + _HEAD_BYTES])
    return otherwise if found in ("utf-8", named) else f"set encoding: {found}"


def _open_quote(text: CsvText) -> int:
    """Row where a quote opens that never closes; 0 if a lone quote is just a character."""
    stream = io.StringIO(text.data.decode("utf-8-sig"), newline="")
    reader = csv.reader(stream, delimiter=text.delimiter, quotechar=text.quote, strict=True)
    row = 1
    try:
        with _any_length(len(text.data)):
            for _ in reader:
                row = reader.line_num + 1
    except csv.Error as error:
        return row if "unexpected end" in str(error) else 0
    return 0
