"""Parquet files of a Delta table, written in the order of their rows without a copy of them all."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from retrue.delta_types import fitted

_GROUP_ROWS = 1 << 16
"""Rows put into order at a time, each group for itself in the file: 20 MB of 40 numbers each."""


@dataclass(frozen=True)
class Ordered:
    """Rows of a table, and their positions in the order in which they are to be stored."""

    table: pa.Table
    order: npt.NDArray[np.intp]

    @property
    def schema(self) -> pa.Schema:
        """Columns of the table."""
        return self.table.schema

    @property
    def num_rows(self) -> int:
        """Rows of the table."""
        return int(self.table.num_rows)


def write_file(
    file: Path, part: pa.Table | Ordered, schema: pa.Schema, path: Path, has_statistics: bool
) -> None:
    """Write rows in the types of a table; `path` is that of the table, for errors.

    Raises
    ------
    DataError
        As `fitted`; the file may be there in part.
    """
    rows = fitted(part.table if isinstance(part, Ordered) else part, schema, path)
    with pq.ParquetWriter(
        file, rows.schema, store_schema=False, write_statistics=has_statistics
    ) as writer:
        if not isinstance(part, Ordered):
            writer.write_table(rows)
            return
        for start in range(0, rows.num_rows, _GROUP_ROWS):
            writer.write_table(rows.take(pa.array(part.order[start : start + _GROUP_ROWS])))
