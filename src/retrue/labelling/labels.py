"""Labels that arrive apart from their rows: when each was known, and when we took it.

A correction is a later row; nothing is ever changed or removed. So what was known at any moment
can be asked again, and training sees no label before the world knew it.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from retrue import delta
from retrue.errors import DataError
from retrue.home import lake_dir
from retrue.labelling.label_entries import Entry, insist_on_key, read_entries, utc
from retrue.labelling.label_expression import LATE_LABEL
from retrue.labelling.label_keys import key_text, key_texts
from retrue.serving.features import category_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrue.config import Problem

_TIME = pa.timestamp("us", "UTC")
LABELS = pa.schema(
    [
        ("key", pa.string()),  # null where a prediction's id led to no key
        ("value", pa.string()),  # JSON, so that a number keeps its digits and its kind
        ("known_at", _TIME),
        ("recorded_at", _TIME),
        ("source", pa.string()),
        ("author", pa.string()),
        ("prediction_id", pa.string()),
        ("batch_sha256", pa.string()),
        ("position", pa.int64()),
    ]
)
# In this order a later row takes the place of an earlier one with the same key.
_PRECEDENCE = ["known_at", "recorded_at", "batch_sha256", "position"]
_SHOWN = ["key", "value", "known_at", "recorded_at", "source", "author", "batch_sha256"]


def add(
    problem: Problem, frame: pd.DataFrame, source: str, author: str | None, now: datetime
) -> int:
    """Append a batch of labels, exactly once however often it is delivered.

    Parameters
    ----------
    problem : Problem
        Its `data.key` says what identifies a row.
    frame : DataFrame
        The key columns, `label` (number or text), and, if wanted, `known_at` (time or ISO 8601;
        without an offset UTC; missing: `now`) and `author`. Errors name its row labels.
    source : str
        Where the batch comes from, such as a file's path.
    author : str or None
        Whose labels these are, where the frame does not say.
    now : datetime
        When we take them; with an offset.

    Returns
    -------
    int
        How many labels were appended: all of them, or 0 if the same batch was taken before.

    Raises
    ------
    DataError
        A column or a key is missing, or a label or a time cannot be one; nothing is appended.
    ConfigError
        The problem has no key.
    """
    entries = read_entries(problem, frame, source, author, now)
    sha256 = batch_sha256(entries)
    return append(problem.name, entries, source, now, batch_id=f"labels:{sha256}", upto=1)


def append(
    problem: str,
    entries: Sequence[Entry],
    source: str,
    now: datetime,
    *,
    batch_id: str,
    upto: int,
    after: int = 0,
) -> int:
    """Append entries in one commit with the watermark `upto` of `batch_id`; see `add`.

    Nothing is appended, and 0 comes out, unless the watermark still is `after`.
    """
    path = lake_dir(problem) / "labels"
    sha256 = batch_sha256(entries)
    columns = {
        "key": [entry.key for entry in entries],
        "value": [json.dumps(entry.value, ensure_ascii=False) for entry in entries],
        "known_at": _times([utc(entry.known_at or now) for entry in entries]),
        "recorded_at": _times([utc(now)] * len(entries)),
        "source": source,
        "author": [entry.author for entry in entries],
        "prediction_id": [entry.prediction_id for entry in entries],
        "batch_sha256": sha256,
        "position": np.arange(len(entries)),
    }
    with delta.locked(path.parent):
        if not entries or watermark(problem, batch_id) != after:
            return 0
        delta.append(path, pd.DataFrame(columns), LABELS, batch_id, upto)
    return len(entries)


def watermark(problem: str, batch_id: str) -> int:
    """How far a source of labels was taken; 0 if it never was."""
    return delta.watermark(lake_dir(problem) / "labels", batch_id)


def as_known_at(
    problem: str, moment: datetime, recorded_before: datetime | None = None
) -> pd.DataFrame:
    """The labels that the world knew at a moment, one row a key.

    Parameters
    ----------
    problem : str
        Name of the problem.
    moment : datetime
        With an offset; labels known at or before it count.
    recorded_before : datetime, optional
        Leave out what we took at this time or later: the answer is the same ever after.

    Returns
    -------
    DataFrame
        By key, the label with the newest `known_at`, of several the one recorded last: columns
        key (JSON text), value (number or text), known_at, recorded_at, source, author and
        batch_sha256. Empty if nothing was known.
    """
    chosen = pc.field("known_at") <= pa.scalar(utc(moment), _TIME)
    if recorded_before is not None:
        chosen &= pc.field("recorded_at") < pa.scalar(utc(recorded_before), _TIME)
    rows = _rows(problem, chosen & pc.field("key").is_valid())
    newest = rows.sort_values(_PRECEDENCE).drop_duplicates("key", keep="last")
    return newest.sort_values("key")[_SHOWN].reset_index(drop=True)


def history(problem: str, key: Mapping[str, Any]) -> pd.DataFrame:
    """Every label a key ever had, in the order we took them; columns as in `as_known_at`.

    The columns of `key` stand in the order of `data.key`.
    """
    rows = _rows(problem, pc.field("key") == pa.scalar(key_text(list(key), key), pa.string()))
    order = ["recorded_at", "known_at", "batch_sha256", "position"]
    return rows.sort_values(order)[_SHOWN].reset_index(drop=True)


def labelled_keys(problem: str) -> set[str]:
    """Keys that have any label."""
    return set(_rows(problem, pc.field("key").is_valid())["key"])


def summary(problem: str) -> dict[str, Any]:
    """Count labels and rows, the corrected ones, and labels for predictions without a known key."""
    rows = _rows(problem, None)
    keyed = rows[rows["key"].notna()]
    values = keyed.assign(value=keyed["value"].astype(str)).groupby("key")["value"].nunique()
    newest = rows["known_at"].max()
    return {
        "labels": len(rows),
        "rows": len(values),
        "corrected": int((values > 1).sum()),
        "without_row": len(rows) - len(keyed),
        "newest_known_at": None if rows.empty else newest.isoformat(),
        "sources": {str(name): int(n) for name, n in rows["source"].value_counts().items()},
    }


def join(
    problem: Problem,
    linked_frame: pd.DataFrame,
    until: date,
    recorded_before: datetime | None = None,
) -> pd.DataFrame:
    """Add the column `late_label` to rows, as it was known at `until`, 00:00 UTC.

    Returns
    -------
    DataFrame
        A new frame, rows as they were. `late_label` is float64, or category as soon as one known
        label is a text; missing where nothing was known.

    Raises
    ------
    ConfigError
        The problem has no key.
    DataError
        A key column is missing, or there is a column `late_label` already.
    """
    insist_on_key(problem)
    wanted = [name for name in problem.data.key if name not in linked_frame.columns]
    if wanted or LATE_LABEL in linked_frame.columns:
        expected = f"the column {wanted[0]}" if wanted else f"no column {LATE_LABEL}"
        found = f"columns {', '.join(map(str, linked_frame.columns))}"
        raise DataError(expected, found, f"linked rows of {problem.name}", "rename the column")
    moment = datetime(until.year, until.month, until.day, tzinfo=UTC)
    known = as_known_at(problem.name, moment, recorded_before)
    keys = pd.Series(key_texts(linked_frame, problem.data.key), linked_frame.index, object)
    values = known["value"]
    if any(isinstance(value, str) for value in values):
        texts = pd.Categorical(values.map(category_text))
        values = pd.Series(texts.reorder_categories(sorted(texts.categories)))
    else:
        values = values.astype(np.float64)
    # By position: the rows' own index may repeat, and a missing key has no position.
    at = pd.Index(known["key"]).get_indexer(keys)
    found_values = values.reindex(at).set_axis(linked_frame.index)
    return linked_frame.assign(**{LATE_LABEL: found_values})


def batch_sha256(entries: Sequence[Entry]) -> str:
    """SHA-256 of what was delivered, in its order; not of when we took it."""
    digest = hashlib.sha256()
    for entry in entries:
        known_at = None if entry.known_at is None else utc(entry.known_at).isoformat()
        parts = [entry.key, entry.value, known_at, entry.author, entry.prediction_id]
        digest.update(json.dumps(parts).encode() + b"\n")
    return digest.hexdigest()


def _rows(problem: str, chosen: pc.Expression | None) -> pd.DataFrame:
    table = delta.read_rows(lake_dir(problem) / "labels", LABELS, chosen)
    frame: pd.DataFrame = table.to_pandas()
    return frame.assign(value=pd.Series(map(json.loads, frame["value"]), frame.index, object))


def _times(moments: list[datetime]) -> pd.Series[Any]:
    # Not pandas' own conversion, which counts nanoseconds and so ends in 1677 and 2262.
    values = np.array([moment.replace(tzinfo=None) for moment in moments], "datetime64[us]")
    return pd.Series(values).dt.tz_localize("UTC")
