"""Source files as bytes: found, hashed, decompressed in memory, and pointed into for errors."""

import csv
import gzip
import hashlib
import importlib.util
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from retrue.config import Source
from retrue.errors import DataError

DELIVER_AGAIN = "deliver the file again"


@dataclass(frozen=True)
class SourceFile:
    """One file read whole: `data` is the CSV text as bytes, `sha256` that of the file on disk."""

    path: Path
    data: bytes
    sha256: str


def source_path(name: str, source: Source, root: Path) -> Path:
    """Absolute path of a source: under `root`, or inside an installed package.

    The package is located and never imported.

    Raises
    ------
    DataError
        If the package is not installed or the file is not there.
    """
    folder = root
    if source.package is not None:
        spec = importlib.util.find_spec(source.package)
        if spec is None or not spec.submodule_search_locations:
            raise DataError(
                f"the installed package {source.package}",
                "no such package",
                f"source {name}",
                f"install {source.package} (the demo extra has it) or correct the name",
            )
        folder = Path(next(iter(spec.submodule_search_locations)))
    path = (folder / source.path).absolute()
    if not path.is_file():
        raise DataError("a CSV file", "no such file", f"source {name} ({path})", "correct the path")
    return path


def read_file(path: Path) -> SourceFile:
    """Read, hash and decompress (`.zip`, `.gz`) a file in memory.

    Raises
    ------
    DataError
        If the archive is damaged or cut, holds not exactly one file, or the content is empty,
        not UTF-8, has NUL bytes, or stops within a row; row and column are named.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(
            "a readable file", str(error.strerror), str(path), "check disk and permissions"
        ) from error
    if not raw:
        raise DataError("a CSV file", "an empty file", str(path), DELIVER_AGAIN)
    data = _decompressed(path, raw)
    _check_text(path, data)
    return SourceFile(path, data, hashlib.sha256(raw).hexdigest())


def _decompressed(path: Path, raw: bytes) -> bytes:
    try:
        if path.suffix == ".gz":
            return gzip.decompress(raw)
        if path.suffix == ".zip":
            with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                names = [n for n in archive.namelist() if not n.endswith("/")]
                if len(names) != 1:
                    raise DataError(
                        "one CSV in the archive", f"{len(names)} files", str(path), DELIVER_AGAIN
                    )
                return archive.read(names[0])
    # A locked archive is a RuntimeError, an exotic method a NotImplementedError (its child).
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error, RuntimeError) as error:
        raise DataError(
            f"a whole {path.suffix[1:]} archive", f"{error}", str(path), DELIVER_AGAIN
        ) from error
    return raw


def _check_text(path: Path, data: bytes) -> None:
    if not data.strip():
        raise DataError("a header and rows", "an empty file", str(path), DELIVER_AGAIN)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            "UTF-8 text",
            f"byte 0x{data[error.start]:02x}",
            at_byte(path, data, error.start),
            "export the file as UTF-8",
        ) from None
    if (nul := data.find(b"\0")) >= 0:
        raise DataError("text", "a NUL byte", at_byte(path, data, nul), DELIVER_AGAIN)
    # A cut inside the last column leaves a row that parses; only the line end tells. Writers
    # (R, pandas, arrow, databases, spreadsheets) end the last row.
    if data[-1:] not in (b"\n", b"\r"):
        raise DataError(
            "a line end after the last row",
            "a file that stops within it (cut short?)",
            at_byte(path, data, len(data)),
            f"{DELIVER_AGAIN} whole, or end its last row if it is whole",
        )
    if data.count(b'"') % 2 and (row := _open_quote(data)):
        raise DataError(
            "every quote closed", "one left open", f"{path} row {row}", f"{DELIVER_AGAIN} whole"
        )


def _open_quote(data: bytes) -> int:
    """Row where a quote opens that never closes; 0 if a lone quote is just a character."""
    reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
    row = 1
    try:
        for _ in reader:
            row = reader.line_num + 1
    except csv.Error as error:
        return row if "unexpected end" in str(error) else 0
    return 0


def at_byte(path: Path, data: bytes, offset: int) -> str:
    """`file row N column C` of a byte; the header is row 1, as editors count."""
    start = data.rfind(b"\n", 0, offset) + 1
    header = data[: data.find(b"\n") + 1 or len(data)].decode("utf-8", "replace")
    names = header.lstrip("\ufeff").rstrip("\r\n").split(",")
    position = data.count(b",", start, offset)
    column = names[position].strip('"') if position < len(names) else f"#{position + 1}"
    row = data.count(b"\n", 0, offset) + 1
    return f"{path} row {row} column {column}"


def file_row(data: bytes, index: int) -> int:
    """Row of the file (header is 1) where data row `index` (from 0) starts.

    Counts what a division by line cannot: blank lines and line ends inside quotes.
    """
    reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""))
    start, seen = 1, -1
    for fields in reader:
        if fields:
            if seen == index:
                return start
            seen += 1
        start = reader.line_num + 1
    return start
