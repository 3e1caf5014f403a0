"""What a path or URL holds: its format, delimiter, quote, encoding and sheet, and why."""

import io
from pathlib import Path
from typing import IO

from retrue.config import Source
from retrue.errors import DataError
from retrue.sources.archives import open_inner, read_at_most
from retrue.sources.batches import batch_files
from retrue.sources.dialect import detect_dialect, insist_on_header
from retrue.sources.formats import format_of_content, format_of_name
from retrue.sources.text_encoding import detect_encoding

# The first megabyte says what a table is like; a rare character further on is found on reading.
_HEAD_BYTES = 1 << 20
_MAX_MB = 4096


def detect_source(path: str, root: Path) -> tuple[Source, dict[str, str]]:
    """Describe a file, a folder of files or a URL as a source.

    Parameters
    ----------
    path : str
        A file or a folder (relative to the working directory), `http(s)://` or another URL.
    root : Path
        The project folder: a path within it is written relative to it, another absolute.

    Returns
    -------
    source : Source
        Only the keys that differ from their defaults are set.
    why : dict of str to str
        For each key that was guessed, the guess and what speaks for it, in plain words.

    Raises
    ------
    DataError
        If nothing is there, it is empty or damaged, no table, or a CSV without a header.
    """
    why: dict[str, str] = {}
    if "://" in path:
        place, name, where, raw = _remote(path, root)
    else:
        file, key = Path(path).absolute(), "path"
        if file.is_dir():
            key, folder, files = "folder", file, batch_files(file, str(file))
            if not files:
                raise DataError("files in the folder", "none", str(file), "put the first one in")
            file = files[0]
            why[key] = f"all else was found in {file.name}, the first of {len(files)} by name"
        place = {key: _within(folder if key == "folder" else file, root)}
        name, where, raw = file.name, str(file), _opened(file)
    with raw, open_inner(name, raw, where) as (inner, stream):
        head = stream.read(_HEAD_BYTES)
        if not head.strip():
            raise DataError("a table", "an empty file", where, "deliver the file again")
        found, reason = format_of_content(head)
        why["format"] = f"{found}: {reason}"
        by_name = format_of_name(inner)
        if by_name == found:
            why["format"] = f"{found}: the name ends so and the content agrees"
        keys: dict[str, str] = {} if by_name == found else {"format": found}
        if found == "excel":
            keys |= _sheet(head + read_at_most(stream, _MAX_MB, where), where, why)
        elif found == "csv":
            keys |= _csv(head, where, why, whole=not stream.read(1))
        elif found == "jsonl":
            keys |= _encoding(head, why)
    return Source.model_validate({**place, **keys}), why


def _within(path: Path, root: Path) -> str:
    resolved, top = path.resolve(), root.resolve()
    return str(resolved.relative_to(top)) if resolved.is_relative_to(top) else str(path)


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        found = str(error.strerror).lower()
        raise DataError(
            "a file, a folder or a URL", found, str(path), "correct the path"
        ) from error


def _remote(url: str, root: Path) -> tuple[dict[str, str], str, str, IO[bytes]]:
    from retrue.sources.remote_source import fetch  # httpx and fsspec: only where there is a URL

    fetched = fetch("PATH", Source(url=url))
    return {"url": url}, fetched.name, fetched.where, io.BytesIO(fetched.data)


def _encoding(head: bytes, why: dict[str, str]) -> dict[str, str]:
    encoding, reason = detect_encoding(head)
    why["encoding"] = f"{encoding}: {reason}"
    return {} if encoding == "utf-8" else {"encoding": encoding}


def _csv(head: bytes, where: str, why: dict[str, str], *, whole: bool) -> dict[str, str]:
    keys = _encoding(head, why)
    text = head.decode(keys.get("encoding", "utf-8"), "replace").lstrip("\ufeff")
    if "\0" in text or text.lstrip().startswith(("<", "[")):
        found = "binary data" if "\0" in text else f"{text.lstrip()[:20]!r}"
        remedy = "export the table as CSV, JSON lines (one object a line), Parquet or Excel"
        raise DataError("a table", f"{found} at its start", where, remedy)
    dialect = detect_dialect(text, whole=whole)
    why["delimiter"] = f"{dialect.delimiter!r}: {dialect.why_delimiter}"
    why["quote"] = f"{dialect.quote}: {dialect.why_quote}"
    insist_on_header(dialect.rows, where)
    if dialect.delimiter != ",":
        keys["delimiter"] = dialect.delimiter
    if dialect.quote != '"':
        keys["quote"] = dialect.quote
    return keys


def _sheet(data: bytes, where: str, why: dict[str, str]) -> dict[str, str]:
    from retrue.sources.workbooks import sheet_sizes

    sizes = sheet_sizes(data, where)
    filled = [name for name, n_rows in sizes.items() if n_rows > 0]
    if not filled:
        raise DataError("a sheet with rows", "empty sheets", where, "deliver the file again")
    why["sheet"] = f"{filled[0]}: the first of {len(sizes)} sheets that holds rows"
    return {} if filled[0] == next(iter(sizes)) else {"sheet": filled[0]}
