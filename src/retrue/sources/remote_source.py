"""Files behind a URL, as bytes: HTTP(S) with every hop checked, and object stores."""

import hashlib
from pathlib import PurePosixPath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from retrue.config import Source
from retrue.errors import DataError
from retrue.sources.archives import DELIVER_AGAIN, read_at_most, too_large
from retrue.sources.source_files import SourceFile
from retrue.sources.source_urls import filled_in, shown, without_secrets

# An allow-list: fsspec also knows schemes that read this machine's files or wrap others.
_STORES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "oss": "ossfs",
    "oci": "ocifs",
    "hdfs": "pyarrow with libhdfs",
    "webhdfs": "requests",
    "memory": "fsspec",
}


def fetch(name: str, source: Source) -> SourceFile:
    """Fetch the file behind a URL whole.

    Raises
    ------
    DataError
        If the scheme is not one of HTTP(S) and object stores, the server refuses, an address
        is not allowed, the answer is cut, empty or larger than `max_mb`, or the object changes
        meanwhile. No user, password or parameter of the URL is in the message.
    """
    configured = source.url or ""
    where = f"source {name} ({shown(configured)})"
    url = filled_in(configured, where)
    scheme = urlsplit(url).scheme.lower()
    if scheme in ("http", "https"):
        from retrue.sources.http_source import fetch_http

        file_name, data = fetch_http(url, where, source.max_mb)
    elif scheme in _STORES and "::" not in url:
        file_name, data = _from_store(url, scheme, where, source.max_mb)
    else:
        raise DataError(
            "a URL of http, https, s3 or another object store",
            f"{scheme}://",
            where,
            "use `path` for a file of this machine, and `query` beside the URL of a database",
        )
    if not data:
        raise DataError("a table", "an empty file", where, DELIVER_AGAIN)
    return SourceFile(file_name, where, None, hashlib.sha256(data).hexdigest(), data)


def _from_store(url: str, scheme: str, where: str, max_mb: int) -> tuple[str, bytes]:
    import fsspec  # type: ignore[import-untyped]

    try:
        # A store remembered from before would answer with listings of then.
        store, path = fsspec.core.url_to_fs(url, skip_instance_cache=True)
        before = _mark(store, path)
        if (before[0] or 0) > max_mb << 20:
            raise too_large(max_mb, where)
        with store.open(path, "rb", cache_type="none") as stream:
            data = _whole(stream, max_mb, where)
        after = _mark(store, path)
    except DataError:
        raise
    except ImportError as error:
        found = without_secrets(str(error), url)
        remedy = f"install {_STORES[scheme]} (retrue[s3] has S3's)"
        raise DataError(f"a driver of {scheme}://", found, where, remedy) from None
    except FileNotFoundError:
        raise DataError("an object", "none of that name", where, "correct the URL") from None
    except Exception as error:  # each store's client has errors of its own, without a base
        found = without_secrets(f"{type(error).__name__}: {error}", url)
        remedy = "check address, credentials and network"
        raise DataError("an object to read", found, where, remedy) from None
    if before != after or before[0] not in (None, len(data)):
        raise DataError(
            "an object at rest", "one that changed while it was read", where, "start again"
        )
    return PurePosixPath(unquote(path)).name, data


def _whole(stream: IO[bytes], max_mb: int, where: str) -> bytes:
    return read_at_most(stream, max_mb, where)


def _mark(store: Any, path: str) -> tuple[int | None, str]:
    """Size and what else a store says of a version: entity tag, time, or nothing."""
    store.invalidate_cache()
    found = store.info(path)
    if found.get("type") == "directory":
        raise FileNotFoundError(path)
    keys = ("ETag", "etag", "LastModified", "last_modified", "mtime", "generation")
    return found.get("size"), repr([found.get(key) for key in keys])
