"""What is inside `.gz` and `.zip`: one file, unpacked in memory and never beyond a limit."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath, PureWindowsPath
from typing import IO, cast

from retrue.errors import DataError

DELIVER_AGAIN = "deliver the file again"
_CHUNK_BYTES = 1 << 20
# A locked archive is a RuntimeError, an exotic method a NotImplementedError (its child).
_DAMAGE = (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error, RuntimeError)


@contextmanager
def open_inner(name: str, raw: IO[bytes], where: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Open the file inside, or the file itself when it is no archive.

    Parameters
    ----------
    name : str
        File name; its ending says whether it is an archive.
    raw : binary file
        Seekable, at its start.
    where : str
        For errors.

    Yields
    ------
    tuple of str and binary file
        The inner name and its unpacked bytes, as a stream.

    Raises
    ------
    DataError
        If the archive is damaged or cut (also while it is read), is locked, holds not exactly
        one file, or a file whose name leads out of a folder.
    """
    kind = PurePosixPath(name).suffix.lower()
    try:
        if kind == ".gz":
            with gzip.GzipFile(fileobj=raw) as stream:
                yield name[: -len(kind)], cast(IO[bytes], stream)
        elif kind == ".zip":
            with zipfile.ZipFile(raw) as archive:
                member = _only_member(archive, where)
                with archive.open(member) as stream:
                    yield member.filename, stream
        else:
            yield name, raw
    except _DAMAGE as error:
        text = " ".join(str(error).split())
        raise DataError(f"a whole {kind[1:]} archive", text, where, DELIVER_AGAIN) from error


def unpacked(name: str, raw: bytes, where: str, max_mb: int) -> tuple[str, bytes]:
    """Inner name and content, at most `max_mb` (2**20 bytes) of it.

    Raises
    ------
    DataError
        As `open_inner`, and if there is more: nothing beyond the limit is unpacked.
    """
    if PurePosixPath(name).suffix.lower() not in (".gz", ".zip"):
        return name, raw
    with open_inner(name, io.BytesIO(raw), where) as (inner, stream):
        return inner, read_at_most(stream, max_mb, where)


def read_at_most(stream: IO[bytes], max_mb: int, where: str) -> bytes:
    """Read a stream to its end.

    Raises
    ------
    DataError
        If it holds more than `max_mb`; reading stops there.
    """
    chunks, size_bytes = [], 0
    # Not one read of all: the buffer would be allocated at the size of the limit.
    while chunk := stream.read(_CHUNK_BYTES):
        chunks.append(chunk)
        size_bytes += len(chunk)
        if size_bytes > max_mb << 20:
            raise too_large(max_mb, where)
    return b"".join(chunks)


def too_large(max_mb: int, where: str) -> DataError:
    """Refuse what is larger than `source.max_mb`."""
    return DataError(
        f"at most {max_mb} MB unpacked", "more", where, "raise max_mb if the size is right"
    )


def _only_member(archive: zipfile.ZipFile, where: str) -> zipfile.ZipInfo:
    members = [m for m in archive.infolist() if not m.is_dir()]
    for member in archive.infolist():
        # Nothing is written under these names, yet whoever packed them meant harm or erred.
        windows = PureWindowsPath(member.filename)
        if ".." in windows.parts or windows.is_absolute() or windows.root or windows.drive:
            raise DataError(
                "member names inside the archive's own folder",
                repr(member.filename[:80]),
                where,
                "pack the file again with a plain name",
            )
    if len(members) != 1:
        raise DataError("one file in the archive", f"{len(members)} files", where, DELIVER_AGAIN)
    return members[0]
