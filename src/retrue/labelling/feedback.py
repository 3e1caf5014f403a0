"""Late labels that the servers took, from their logs into the table of labels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from retrue import prediction_logs
from retrue.labelling import labels
from retrue.labelling.label_entries import Entry
from retrue.labelling.label_keys import canonical
from retrue.prediction_table import logged_keys
from retrue.serving import log_reading
from retrue.serving.log_file import LogError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Waiting:
    """What one log holds above its watermark: rows in the order of FEEDBACK_COLUMNS."""

    log: str
    source: str
    after: int
    rows: list[tuple[Any, ...]]


def waiting(problem: str, damaged: list[LogError]) -> list[Waiting]:
    """Late labels that are in no table yet, one entry a log that has any.

    What is wrong with logs that cannot be read is added to `damaged`.
    """
    found = []
    for log in prediction_logs.files(problem):
        try:
            source = source_id(log)
            after = labels.watermark(problem, source)
            if rows := log_reading.read_feedback_after(log, after):
                found.append(Waiting(log.name, source, after, rows))
        except LogError as error:
            damaged.append(error)
    return found


def take(problem: str, deliveries: Sequence[Waiting], now: datetime) -> int:
    """Append late labels, each exactly once; `now` is when they were recorded.

    A label without a time was known when the service got it. One for a prediction that is not in
    the lake, or that was sent without its key, is kept with its id but without a key: it is no
    label of any row.

    Returns
    -------
    int
        How many were new.
    """
    return sum(
        labels.append(
            problem,
            _entries(problem, delivery.rows),
            f"feedback {delivery.log}",
            now,
            batch_id=delivery.source,
            upto=delivery.rows[-1][0],
            after=delivery.after,
        )
        for delivery in deliveries
    )


def _entries(problem: str, rows: Sequence[tuple[Any, ...]]) -> list[Entry]:
    notes = [dict(zip(log_reading.FEEDBACK_COLUMNS, row, strict=True)) for row in rows]
    ids = {note["prediction_id"] for note in notes} - {None}
    keys = logged_keys(problem, ids) if ids else {}
    return [_entry(note, keys) for note in notes]


def _entry(note: Mapping[str, Any], keys: Mapping[str, str | None]) -> Entry:
    known_at = (
        datetime.fromisoformat(note["known_at"])
        if note["known_at"]
        else _EPOCH + timedelta(microseconds=note["received_at_us"])
    )
    return Entry(
        canonical(note["key"] or keys.get(note["prediction_id"])),
        json.loads(note["label"]),
        known_at,
        prediction_id=note["prediction_id"],
    )


def source_id(log: Path) -> str:
    """Name the late labels of a log for the watermark of the table of labels."""
    return f"feedback:{log_reading.source_id(log)}"
