"""Arrow types that a Delta table stores exactly, and tables brought into them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from retrue.errors import DataError


def storable_schema(schema: pa.Schema) -> pa.Schema:
    """Types that Delta stores exactly: text as strings, times in microseconds."""
    return pa.schema([pa.field(field.name, _storable(field.type)) for field in schema])


def fitted(part: pa.Table, schema: pa.Schema, path: Path) -> pa.Table:
    """Columns of a part in the order and types of a table.

    Text stays dictionary-encoded: written so it costs a third less CPU time than as strings.

    Raises
    ------
    DataError
        If its columns are others, or values would not survive the change of type; `path` is told.
    """
    if sorted(part.column_names) != sorted(schema.names):
        raise DataError(
            f"the columns {', '.join(schema.names)}",
            ", ".join(part.column_names),
            str(path),
            "deliver the same columns, or write a new version",
        )
    columns = [_cast(part[field.name], field, path) for field in schema]
    return pa.table(columns, names=schema.names)


def _storable(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz and "UTC")
    if pa.types.is_unsigned_integer(kind):
        return pa.int64()
    texts = (pa.types.is_dictionary, pa.types.is_null, pa.types.is_large_string)
    return pa.string() if any(is_text(kind) for is_text in texts) else kind


def _cast(column: pa.ChunkedArray, field: pa.Field, path: Path) -> pa.ChunkedArray:
    kind = column.type
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), field.type)])
    if pa.types.is_dictionary(kind) and field.type == pa.string() and _is_all_used(column):
        return column
    # To microseconds without asking: no reader makes finer times.
    safe = not (pa.types.is_timestamp(kind) and pa.types.is_timestamp(field.type))
    if pa.types.is_string(field.type) and _storable(kind) != pa.string():
        raise _other_kind(field, kind, "numbers do not become text", path)
    try:
        return column.cast(field.type, safe=safe)
    except pa.ArrowException as error:
        raise _other_kind(field, kind, " ".join(str(error).split()), path) from error


def _is_all_used(column: pa.ChunkedArray) -> bool:
    """Whether each text of the dictionary occurs: those of other rows have no place in a file."""
    if column.num_chunks != 1 or column.type.value_type != pa.string():
        return False
    chunk = column.chunk(0)
    return len(pc.unique(chunk.indices.drop_null())) == len(chunk.dictionary)


def _other_kind(field: pa.Field, kind: pa.DataType, why: str, path: Path) -> DataError:
    return DataError(
        str(field.type),
        f"{kind} ({why})",
        f"{path} column {field.name}",
        "deliver the same kind of values, or write a new version",
    )
