"""Parquet files to Arrow tables."""

from collections.abc import Collection

import pyarrow as pa

from retrue.errors import DataError
from retrue.sources.archives import DELIVER_AGAIN, too_large
from retrue.sources.typed_columns import Parsed


def parse_parquet(where: str, data: bytes, max_mb: int, as_text: Collection[str]) -> Parsed:
    """Read a whole Parquet file; rows count from 1, since there is no header.

    Parameters
    ----------
    where : str
        For errors.
    data : bytes
        The file.
    max_mb : int
        Largest size, unpacked.
    as_text : collection of str
        Columns that are wanted as text: read as dictionaries, which is faster.

    Raises
    ------
    DataError
        If the file is damaged, cut, or larger than `max_mb` unpacked.
    """
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(pa.BufferReader(data))
        meta, names = file.metadata, file.schema_arrow.names
        groups = (meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
        # A constant column of a billion rows is a few bytes there, and a byte a cell here.
        if max(sum(groups), meta.num_rows * len(names)) > max_mb << 20:
            raise too_large(max_mb, where)
        if len(set(names)) < len(names):
            # Reading them would fail without a name.
            twice = next(n for n in names if names.count(n) > 1)
            raise DataError(
                "each column once", f"{twice} twice", f"{where} columns", "rename one of the two"
            )
        reread = parquet.ParquetFile(
            pa.BufferReader(data), read_dictionary=[c for c in names if c in as_text]
        )
        table = reread.read()
        table.validate(full=True)  # reading does not look whether texts are UTF-8
    except (pa.ArrowException, OSError, ValueError) as error:
        found = " ".join(str(error).split())
        raise DataError("a whole Parquet file", found, where, DELIVER_AGAIN) from error
    return Parsed(table, where, range(1, table.num_rows + 1))
