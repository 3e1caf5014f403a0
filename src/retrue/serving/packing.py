"""Scored rows to what is logged of them, and back: by themselves as JSON, in batches packed."""

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple, cast

import msgspec

from retrue.serving.features import Scalar
from retrue.serving.records import (
    BATCH_ROWS,
    SPAN_US,
    TIME_DIGITS,
    Batch,
    Entries,
    Record,
    Row,
    ids_of,
    received_at,
)

# A batch costs 40 us, whatever it holds: from here on it is cheaper than its rows.
_MANY_ROWS = 16
_MANY_IN_A_COMMIT = 8  # where no columns are there that a batch could take
_ENCODER = msgspec.json.Encoder()
# Of JSON it would take nine times as long: floats go as they are.
_PACKER = msgspec.msgpack.Encoder()


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
    ids: Sequence[str] | None = None


_UNPACKER = msgspec.msgpack.Decoder(_Content)


def make_entries(
    logged: Logged,
    scores: Sequence[float],
    decisions: Sequence[int],
    received_at_us: int,
    model_version: int,
    bundle_sha256: str,
) -> Entries:
    """Make what is logged of a request: few rows by themselves, batches of many."""
    # Ids begin with the time, so that the index grows at its end; 60 random bits tell apart.
    prefix = f"{received_at_us:0{TIME_DIGITS}x}"
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
    by_row = zip(*logged.values, strict=True) if logged.by_column else logged.values
    absent = [None] * len(scores)
    rows = zip(by_row, times or absent, logged.keys or absent, scores, decisions, strict=True)
    return [
        Row(
            f"{prefix}{random.getrandbits(72):018x}",
            received_at_us,
            time,
            key,
            logged.names,
            values,
            score,
            decision,
            model_version,
            bundle_sha256,
        )
        for values, time, key, score, decision in rows
    ]


def encode(rows: Sequence[Row]) -> Sequence[Record] | Sequence[Batch]:
    """Encode the rows of one commit, all of one model: few by themselves, many in batches."""
    if len(rows) >= _MANY_IN_A_COMMIT and all(isfinite(row.score) for row in rows):
        with suppress(OverflowError):
            return [*map(_packed, _near(rows))]
    return [*map(_record, rows)]


def _near(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Parts of rows received within `SPAN_US` of their first one, and none before it."""
    start, began_us = 0, rows[0].received_at_us
    for number, row in enumerate(rows):
        if not 0 <= row.received_at_us - began_us < SPAN_US or number - start == BATCH_ROWS:
            yield rows[start:number]
            start, began_us = number, row.received_at_us
    yield rows[start:]


def _packed(rows: Sequence[Row]) -> Batch:
    first = rows[0]
    ids, _, times, keys, _, values, scores, decisions, *_ = zip(*rows, strict=True)
    columns = [*zip(*values, strict=True)]
    content = _Content(first.names, columns, times, keys, scores, decisions, ids)
    return Batch(
        first.prediction_id,
        first.received_at_us,
        len(rows),
        _PACKER.encode(content),
        first.model_version,
        first.bundle_sha256,
    )


def _record(row: Row) -> Record:
    return Record(
        row.prediction_id,
        row.received_at_us,
        row.event_time or _received_time(row.received_at_us),
        None if row.key is None else _text(row.key),
        _text(dict(zip(row.names, row.values, strict=True))),
        row.score,
        row.decision,
        row.model_version,
        row.bundle_sha256,
    )


def _parts(content: _Content) -> Iterator[_Content]:
    if len(content.scores) <= BATCH_ROWS:
        yield content
        return
    for start in range(0, len(content.scores), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        yield _Content(
            content.names,
            [column[part] for column in content.columns],
            None if content.event_times is None else content.event_times[part],
            None if content.keys is None else content.keys[part],
            content.scores[part],
            content.decisions[part],
        )


def unpack(entries: Entries) -> Iterator[Record]:
    """Records of the rows, those of a batch as if they had been logged one by one."""
    for entry in entries:
        if type(entry) is Batch:
            yield from map(_record, _rows(entry))
        else:
            yield _record(cast("Row", entry))


def _rows(batch: Batch) -> Iterator[Row]:
    content = _UNPACKER.decode(batch.content)
    absent = [None] * batch.n_rows
    rows = zip(
        content.ids or ids_of([batch]),
        content.event_times or absent,
        content.keys or absent,
        zip(*content.columns, strict=True),
        content.scores,
        content.decisions,
        strict=True,
    )
    for prediction_id, time, key, values, score, decision in rows:
        yield Row(
            prediction_id,
            received_at(prediction_id),
            time,
            key,
            content.names,
            values,
            score,
            decision,
            batch.model_version,
            batch.bundle_sha256,
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


@lru_cache(maxsize=64)
def _received_time(at_us: int) -> str:
    seconds, rest_us = divmod(at_us, 10**6)
    return f"{_second_text(seconds)}.{rest_us:06d}Z"


@lru_cache(maxsize=8)
def _second_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _utc_text(moment: datetime) -> str:
    return moment.isoformat().removesuffix("+00:00") + "Z"
