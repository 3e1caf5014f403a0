"""What the prediction log holds: predictions by themselves or many in a batch, and late labels."""

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple, cast

import msgspec

from retrue.serving.features import Scalar

# A batch costs 40 us, whatever it holds: from here on it is cheaper than its rows.
_MANY_ROWS = 16
_NUMBER_DIGITS = 3
# Readers unpack a batch at a time: some 3 MB.
_BATCH_ROWS = 16**_NUMBER_DIGITS
_NUMBERS = tuple(f"{number:0{_NUMBER_DIGITS}x}" for number in range(_BATCH_ROWS))
_ENCODER = msgspec.json.Encoder()
# Of JSON it would take nine times as long: floats go as they are.
_PACKER = msgspec.msgpack.Encoder()


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


class Batch(NamedTuple):
    """Predictions of one request, packed: logged so, a row costs a tenth of a `Record`.

    The ids of its rows are `prediction_id` and the number of the row, in three hex digits.
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


Entry = Record | Batch | Feedback
Entries = list[Record] | list[Batch]
"""What is logged of one request that scores."""


class Logged(NamedTuple):
    """What is logged of scored rows beside their scores.

    `values` are those of the features `names`, a sequence a row, or a column where `by_column`.
    `times` of any kind, one a row, or None where no row has one; a text that is no ISO 8601 time
    counts as none. `keys`, one a row, are None where a part of the key is absent, or in all None.
    """

    names: Sequence[str]
    values: Sequence[Sequence[Scalar]]
    by_column: bool
    times: Sequence[object] | None
    keys: Sequence[dict[str, Scalar] | None] | None


class _Content(msgspec.Struct, array_like=True):
    """A batch's rows by column, as MessagePack; times that are None are those of receipt."""

    names: Sequence[str]
    columns: Sequence[Sequence[Any]]
    event_times: Sequence[str | None] | None
    keys: Sequence[Any] | None
    scores: Sequence[float]
    decisions: Sequence[int]


_UNPACKER = msgspec.msgpack.Decoder(_Content)


def make_entries(
    logged: Logged,
    scores: Sequence[float],
    decisions: Sequence[int],
    received_at_us: int,
    model_version: int,
    bundle_sha256: str,
) -> Entries:
    """Make what is logged of a request: records of few rows, batches of many."""
    # Ids begin with the time, so that the index grows at its end; 60 random bits tell apart.
    prefix = f"{received_at_us:014x}"
    times = None if logged.times is None else [*map(_event_time, logged.times)]
    # The log refuses the record of a score that is NaN, so it must not pass in a batch.
    if len(scores) >= _MANY_ROWS and all(map(isfinite, scores)):
        columns = logged.values if logged.by_column else [*zip(*logged.values, strict=True)]
        content = _Content(logged.names, columns, times, logged.keys, scores, decisions)
        with suppress(OverflowError):  # MessagePack has no integer beyond 64 bits
            return [
                Batch(
                    f"{prefix}{random.getrandbits(60):015x}",
                    received_at_us,
                    len(part.scores),
                    _PACKER.encode(part),
                    model_version,
                    bundle_sha256,
                )
                for part in _parts(content)
            ]
    ids = [f"{prefix}{random.getrandbits(72):018x}" for _ in scores]
    rows = zip(*logged.values, strict=True) if logged.by_column else logged.values
    absent = [None] * len(scores)
    parts = zip(ids, rows, times or absent, logged.keys or absent, scores, decisions, strict=True)
    return [*_records(logged.names, parts, received_at_us, model_version, bundle_sha256)]


def _parts(content: _Content) -> Iterator[_Content]:
    if len(content.scores) <= _BATCH_ROWS:
        yield content
        return
    for start in range(0, len(content.scores), _BATCH_ROWS):
        part = slice(start, start + _BATCH_ROWS)
        yield _Content(
            content.names,
            [column[part] for column in content.columns],
            None if content.event_times is None else content.event_times[part],
            None if content.keys is None else content.keys[part],
            content.scores[part],
            content.decisions[part],
        )


def ids_of(entries: Entries) -> list[str]:
    """Prediction ids of the rows, in their order."""
    ids: list[str] = []
    for entry in entries:
        if type(entry) is Batch:
            ids += map(entry.prediction_id.__add__, _NUMBERS[: entry.n_rows])
        else:
            ids.append(cast("Record", entry).prediction_id)
    return ids


def batch_of(prediction_id: str) -> str:
    """Id of the batch that has the prediction, if any has."""
    return prediction_id[:-_NUMBER_DIGITS]


def count_rows(entries: Sequence[Entry]) -> int:
    """How many rows the entries are about."""
    return sum(entry.n_rows if type(entry) is Batch else 1 for entry in entries)


def unpack(entries: Entries) -> Iterator[Record]:
    """Records of the rows, those of a batch as if they had been logged one by one."""
    for entry in entries:
        if type(entry) is Batch:
            content = _UNPACKER.decode(entry.content)
            absent = [None] * entry.n_rows
            parts = zip(
                ids_of([entry]),
                zip(*content.columns, strict=True),
                content.event_times or absent,
                content.keys or absent,
                content.scores,
                content.decisions,
                strict=True,
            )
            yield from _records(
                content.names,
                parts,
                entry.received_at_us,
                entry.model_version,
                entry.bundle_sha256,
            )
        else:
            yield cast("Record", entry)


def _records(
    names: Sequence[str],
    rows: Iterable[tuple[str, Sequence[Scalar], str | None, Any, float, int]],
    received_at_us: int,
    model_version: int,
    bundle_sha256: str,
) -> Iterator[Record]:
    received_at = _received_time(received_at_us)
    for prediction_id, values, event_time, key, score, decision in rows:
        yield Record(
            prediction_id,
            received_at_us,
            event_time or received_at,
            None if key is None else _text(key),
            _text(dict(zip(names, values, strict=True))),
            score,
            decision,
            model_version,
            bundle_sha256,
        )


def _text(value: dict[str, Scalar]) -> str:
    return _ENCODER.encode(value).decode()


def _event_time(value: object) -> str | None:
    return _parsed_time(value) if isinstance(value, str) else None


@lru_cache(maxsize=4096)
def _parsed_time(text: str) -> str | None:
    try:
        moment = datetime.fromisoformat(text)
        return _utc_text(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def _received_time(at_us: int) -> str:
    seconds, rest_us = divmod(at_us, 10**6)
    return f"{_second_text(seconds)}.{rest_us:06d}Z"


@lru_cache(maxsize=8)
def _second_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _utc_text(moment: datetime) -> str:
    return moment.isoformat().removesuffix("+00:00") + "Z"
