"""The rows of a SQL query, over SQLAlchemy."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa

from retrue.config import Source
from retrue.errors import DataError
from retrue.sources.archives import too_large
from retrue.sources.source_urls import filled_in, without_secrets
from retrue.sources.typed_columns import Parsed

_CHUNK_ROWS = 50_000
_SHOWN_CHARS = 40


def parse_sql(name: str, source: Source, root: Path) -> Parsed:
    """Run the query of a source and read its rows; nothing is committed.

    Rows are counted from 1, in the order of the result. Relative paths of SQLite start at
    `root`.

    Raises
    ------
    DataError
        If the URL is none, its driver is not installed, the database refuses, a column mixes
        types or holds what is no plain value, or there is more than `max_mb`. No user, password
        or parameter of the URL is in the message.
    """
    import sqlalchemy as sa
    from sqlalchemy import exc

    url = filled_in(source.url or "", f"source {name}")
    try:
        parsed = sa.make_url(url)
    except (exc.ArgumentError, ValueError):
        remedy = "write dialect+driver://user:${NAME}@host:port/database"
        raise DataError("a SQLAlchemy URL", "another text", f"source {name}", remedy) from None
    where = f"source {name} ({_shown(parsed)})"
    if parsed.drivername in ("postgresql", "postgres"):
        # SQLAlchemy means psycopg 2 by that.
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite":
        parsed = _existing(parsed, where, root)
    try:
        engine = sa.create_engine(parsed, hide_parameters=True, poolclass=sa.NullPool)
    except (exc.ArgumentError, exc.NoSuchModuleError, ImportError) as error:
        found = without_secrets(str(error), url)
        remedy = "install the driver (retrue[postgres] has PostgreSQL's)"
        raise DataError("an installed driver", found, where, remedy) from None
    try:
        with engine.connect().execution_options(stream_results=True) as connection:
            result = connection.execute(sa.text(source.query or ""))
            if not result.returns_rows:
                raise DataError("rows", "a statement without", where, "write a SELECT")
            table = _table(list(result.keys()), result.partitions(_CHUNK_ROWS), where, source)
    except (exc.SQLAlchemyError, UnicodeDecodeError) as error:
        found = without_secrets(str(getattr(error, "orig", None) or error), url)
        # The driver's own error can hold the URL: it must not stand in a traceback either.
        raise DataError("the rows of the query", found, where, "correct URL or query") from None
    finally:
        engine.dispose()
    return Parsed(table, where, range(1, table.num_rows + 1))


def _shown(url: Any) -> str:
    port = f":{url.port}" if url.port else ""
    return f"{url.drivername}://{url.host or ''}{port}/{url.database or ''}"


def _existing(url: Any, where: str, root: Path) -> Any:
    """SQLite makes an empty database of a name that is not there."""
    path = (root / (url.database or "")).absolute()
    if not path.is_file():
        raise DataError("a SQLite database", "no such file", f"{where[:-1]})", "correct the path")
    return url.set(database=str(path))


def _table(
    names: Sequence[str], chunks: Iterator[Sequence[Any]], where: str, source: Source
) -> pa.Table:
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise DataError("each column once", f"{twice} twice", where, "give one another name (AS)")
    tables: list[pa.Table] = []
    kinds: dict[str, str] = {}
    start, size_bytes = 0, 0
    for rows in chunks:
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        for name, values in columns.items():
            _insist_on_one_kind(kinds, name, values, start, where)
        tables.append(pa.table({n: _array(values) for n, values in columns.items()}))
        start += len(rows)
        size_bytes += tables[-1].nbytes
        if size_bytes > source.max_mb << 20:
            raise too_large(source.max_mb, where)
    if not tables:
        return pa.table({name: pa.nulls(0) for name in names})
    return pa.concat_tables(tables, promote_options="permissive")


def _array(values: list[Any]) -> pa.Array:
    if any(isinstance(v, Decimal) for v in values):
        values = [None if v is None else float(v) for v in values]
    elif values and _kind(next((v for v in values if v is not None), None)) == "other text":
        values = [None if v is None else str(v) for v in values]
    if any(isinstance(v, datetime) and v.tzinfo for v in values):
        # Arrow takes 30 us for a time of a named zone, which it would carry along besides.
        utc = (v if v is None else v.astimezone(UTC).replace(tzinfo=None) for v in values)
        return pa.array(utc, pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, OverflowError):
        # Whole numbers beyond 64 bits, or whole and broken ones in turn.
        return pa.array([None if v is None else float(v) for v in values])


def _insist_on_one_kind(
    kinds: dict[str, str], name: str, values: list[Any], start: int, where: str
) -> None:
    """SQLite keeps any value in any column; a database's JSON and blobs are no plain values."""
    seen = set(map(type, values)) - {type(None)}
    found = {_kind_of(kind) for kind in seen}
    if found <= {kinds.get(name, "")} and "nothing plain" not in found:
        return
    for index, value in enumerate(values, start=start + 1):
        if value is None:
            continue
        kind = _kind(value)
        place = f"{where} row {index} column {name}"
        if kind == "nothing plain":
            shown = f"{type(value).__name__}"
            raise DataError("one plain value a cell", shown, place, "leave it out of the query")
        if kinds.setdefault(name, kind) != kind:
            found_text = f"{str(value)[:_SHOWN_CHARS]!r} after values of kind {kinds[name]}"
            raise DataError("one type a column", found_text, place, "CAST it in the query")


def _kind(value: object) -> str:
    return _kind_of(type(value))


def _kind_of(kind: type) -> str:
    if issubclass(kind, bool):
        return "boolean"
    if issubclass(kind, int | float | Decimal):
        return "number"
    for kinds, name in (
        (str, "text"),
        (datetime, "time"),
        (date, "date"),
        (time, "time of day"),
        (timedelta, "duration"),
        (UUID, "other text"),
    ):
        if issubclass(kind, kinds):
            return name
    plain = kind.__module__.startswith(("psycopg", "ipaddress"))
    return "other text" if plain else "nothing plain"
