"""What the prediction log holds: predictions by themselves or many in a batch, and late labels."""

from collections.abc import Sequence
from typing import NamedTuple, cast

from retrue.serving.features import Scalar

TIME_DIGITS, NUMBER_DIGITS = 14, 3
"""Of an id, hexadecimal: microseconds at its beginning, and a row's number at its end."""
BATCH_ROWS = 16**NUMBER_DIGITS
"""Readers unpack a batch at a time: some 3 MB."""
SPAN_US = 10**6
"""Between the rows of a batch of several requests: who looks for one knows where to look."""
_NUMBERS = tuple(f"{number:0{NUMBER_DIGITS}x}" for number in range(BATCH_ROWS))


class Record(NamedTuple):
    """One prediction; `event_time` is ISO 8601 in UTC, `key` and `row` are JSON objects."""

    prediction_id: str
    received_at_us: int
    event_time: str
    key: str | None
    row: str
    score: float
    decision: int
    model_version: int
    bundle_sha256: str


class Row(NamedTuple):
    """One prediction that is to be logged: what a `Record` says, not yet encoded.

    `event_time` is None where the row has none: then it is when it was received.
    """

    prediction_id: str
    received_at_us: int
    event_time: str | None
    key: dict[str, Scalar] | None
    names: Sequence[str]
    values: Sequence[Scalar]
    score: float
    decision: int
    model_version: int
    bundle_sha256: str


class Batch(NamedTuple):
    """Predictions of one request or commit, packed: so a row costs a tenth of a `Record`.

    Of one request the ids of the rows are `prediction_id` and the number of the row, in three hex
    digits. Rows of several have ids of their own, the first is `prediction_id`.
    """

    prediction_id: str
    received_at_us: int
    n_rows: int
    content: bytes
    model_version: int
    bundle_sha256: str


class Feedback(NamedTuple):
    """One late label, of a key (a JSON object) or of a prediction; `label` is a JSON scalar."""

    received_at_us: int
    key: str | None
    prediction_id: str | None
    label: str
    known_at: str | None


Entry = Record | Row | Batch | Feedback
Entries = list[Row] | list[Batch]
"""What is logged of one request that scores."""


def ids_of(entries: Entries) -> list[str]:
    """Prediction ids of the rows, in their order."""
    ids: list[str] = []
    for entry in entries:
        if type(entry) is Batch:
            ids += map(entry.prediction_id.__add__, _NUMBERS[: entry.n_rows])
        else:
            ids.append(cast("Row", entry).prediction_id)
    return ids


def batches_of(prediction_id: str) -> tuple[str, str]:
    """Bounds of the id that the batch of a prediction has; none has one that is not of ours."""
    try:
        at_us = received_at(prediction_id)
    except ValueError:
        return prediction_id, prediction_id
    # Of rows received at once the first one's id may be the greater one.
    return f"{max(at_us - SPAN_US, 0):0{TIME_DIGITS}x}", f"{at_us + 1:0{TIME_DIGITS}x}"


def received_at(prediction_id: str) -> int:
    """Microseconds since 1970, as the id says; ValueError of what is no id of ours."""
    return int(prediction_id[:TIME_DIGITS], 16)


def count_rows(entries: Sequence[Entry]) -> int:
    """How many rows the entries are about."""
    return sum(entry.n_rows if type(entry) is Batch else 1 for entry in entries)
