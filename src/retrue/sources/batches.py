"""The files of a folder that batches are added to, and all of them as one table."""

from pathlib import Path

import pyarrow as pa

from retrue.errors import DataError

# What copying tools and browsers call a file that is not whole yet.
_PARTIAL = (".tmp", ".part", ".partial", ".crdownload")


def batch_files(folder: Path, where: str) -> list[Path]:
    """Files of a folder, by name, without hidden and partial ones and folders within it.

    Raises
    ------
    DataError
        If the folder is not there, or a link in it leads out of it.
    """
    try:
        entries = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        found = str(error.strerror).lower()
        raise DataError("a folder of files", found, where, "correct the folder") from error
    top = folder.resolve()
    files = []
    for path in entries:
        if path.name.startswith(".") or path.name.lower().endswith(_PARTIAL):
            continue
        if not path.resolve().is_relative_to(top):
            raise DataError(
                "files inside the folder",
                "a link that leads out of it",
                str(path),
                "put the file itself there",
            )
        if path.is_file():
            files.append(path)
    return files


def as_one_table(tables: list[pa.Table]) -> pa.Table:
    """Batches as one table, each column typed as if all had stood in one file."""
    names = list(dict.fromkeys(name for table in tables for name in table.column_names))
    columns = {}
    for name in names:
        parts = [
            table.column(name) if name in table.column_names else pa.nulls(len(table))
            for table in tables
        ]
        kinds = {part.type for part in parts if part.null_count < len(part)}
        if len(kinds) > 1:
            number = all(pa.types.is_integer(k) or pa.types.is_floating(k) for k in kinds)
            common = pa.float64() if number else pa.string()
        else:
            common = kinds.pop() if kinds else parts[0].type
        columns[name] = _as_one(parts, common)
    return pa.table(columns)


def _as_one(parts: list[pa.ChunkedArray | pa.Array], common: pa.DataType) -> pa.ChunkedArray:
    chunks: list[pa.Array] = []
    for part in parts:
        if part.null_count == len(part):
            chunks.append(pa.nulls(len(part), common))
        else:
            whole = part if part.type == common else part.cast(common)
            chunks.extend(whole.chunks)
    column = pa.chunked_array(chunks, common)
    return column.dictionary_encode() if pa.types.is_string(common) else column.unify_dictionaries()
