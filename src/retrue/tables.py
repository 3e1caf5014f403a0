"""Source tables in the lake, one Delta table each: as they were delivered, nothing set aside."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from retrue import delta
from retrue.hashing import combined, content_sha256
from retrue.home import lake_dir
from retrue.refs import TablePin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pandas as pd

PART_ROWS = 500_000
"""Batches are taken together up to this many rows: a part is what is in memory at a time."""


@contextmanager
def stored(
    problem: str, table: str, frame: pd.DataFrame, key: Sequence[str], delivered: str
) -> Iterator[Callable[[], TablePin]]:
    """Write a whole table, so that it need not be held until it is known to be of use.

    Parameters
    ----------
    delivered : str
        Names the bytes and how they were read: the same again is neither hashed nor written.

    Yields
    ------
    callable
        Pins the table; the version that already holds the same delivery or content is found.
        Without a call nothing remains of what was written.
    """
    path = lake_dir(problem) / "tables" / table
    known = _find(path, delivered)
    sha256 = known.sha256 if known else content_sha256(frame, key)
    known = known or _find(path, delivered, sha256)
    if known is not None:
        del frame
        yield known.model_copy
        return
    meta = {"delivered": delivered, "sha256": sha256, "n_rows": len(frame)}
    with delta.written(path, map(_arrow, [frame])) as files:
        del frame  # nor does `map` hold it: its list is used up

        def pin() -> TablePin:
            with delta.locked(path.parent):
                if meanwhile := _find(path, delivered, sha256):
                    return meanwhile
                delta.commit(files, meta)
                return _pin(*delta.commits(path)[-1])

        yield pin


def append(
    problem: str, table: str, frame: pd.DataFrame, key: Sequence[str], delivered: str, name: str
) -> TablePin:
    """Add a batch to a table, once however often it is delivered.

    The table's hash is that of its batches' sorted hashes: it does not matter in which order they
    came. `name` puts the batches in order when they are read.
    """
    path = _batches(problem, table)
    with delta.locked(path.parent):
        known = delta.commits(path)
        before: dict[str, Any] = known[-1][1] if known else {"batches": {}, "n_rows": 0}
        batch = {"name": name, "sha256": content_sha256(frame, key)}
        batches = {**before["batches"], delivered: batch}
        meta = {
            "batches": batches,
            "sha256": combined(one["sha256"] for one in batches.values()),
            "n_rows": before["n_rows"] + len(frame),
        }
        delta.append_batch(path, _arrow(frame), delivered, meta)
        return _pin(*delta.commits(path)[-1])


def batches(problem: str, table: str) -> frozenset[str]:
    """What was delivered to a table of batches, each by its SHA-256."""
    known = delta.commits(_batches(problem, table))
    return frozenset(known[-1][1]["batches"] if known else ())


def newest(problem: str, table: str) -> TablePin | None:
    """The newest version of a table of batches, if there is any."""
    known = delta.commits(_batches(problem, table))
    return _pin(*known[-1]) if known else None


def parts(problem: str, table: str, pin: TablePin) -> Iterator[pd.DataFrame]:
    """Yield the rows of a table of batches, in order of the batches' names.

    Whole batches come together up to `PART_ROWS` rows, so memory does not grow with their number.
    """
    path = _batches(problem, table)
    names = [one["name"] for one in dict(delta.commits(path))[pin.version]["batches"].values()]
    n_rows = delta.part_rows(path, pin.version)
    group: list[int] = []
    for position in sorted(range(len(names)), key=names.__getitem__):
        if group and sum(n_rows[i] for i in group) + n_rows[position] > PART_ROWS:
            yield _frame(delta.read_parts(path, pin.version, order=group))
            group = []
        group.append(position)
    if group:
        yield _frame(delta.read_parts(path, pin.version, order=group))


def _batches(problem: str, table: str) -> Path:
    return lake_dir(problem) / "batches" / table


def _find(path: Path, delivered: str, sha256: str = "") -> TablePin | None:
    """Newest version of the same delivery, else of the same content."""
    newest_first = delta.commits(path)[::-1]
    for name, value in (("delivered", delivered), ("sha256", sha256)):
        for version, meta in newest_first:
            if meta[name] == value:
                return _pin(version, meta)
    return None


def _pin(version: int, meta: dict[str, object]) -> TablePin:
    return TablePin.model_validate(
        {"version": version, **{k: meta[k] for k in ("sha256", "n_rows")}}
    )


def _arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def _frame(batches: Iterator[pa.Table]) -> pd.DataFrame:
    frame: pd.DataFrame = pa.concat_tables(batches).unify_dictionaries().to_pandas()
    return frame
