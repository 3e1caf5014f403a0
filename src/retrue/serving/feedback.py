"""Labels that arrive at the running service: strict JSON to records; no error echoes the body."""

import json
import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import UNSET, UnsetType

from retrue.errors import DataError
from retrue.serving.bodies import TooLargeError
from retrue.serving.bundle import Signature
from retrue.serving.features import Scalar
from retrue.serving.parsing import MAX_ROWS
from retrue.serving.records import Feedback

# How far a sender's clock may be ahead of ours.
_CLOCKS_DIFFER = timedelta(minutes=5)
_TEXT_CHARS = 1000


class Label(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One late label, of a row (by its key) or of an answer (by its id)."""

    label: float | int | str
    key: dict[str, Scalar] | UnsetType = UNSET
    prediction_id: str | UnsetType = UNSET
    known_at: str | UnsetType = UNSET


_DECODER = msgspec.json.Decoder(Label | list[Label])
_ENCODER = msgspec.json.Encoder()


def read_feedback(content: bytes, signature: Signature) -> list[Feedback]:
    """Records of a request body: one label, or a list of them.

    Parameters
    ----------
    content : bytes
        JSON by RFC 8259: `{"key": {...}, "label": 1, "known_at": "2013-01-02T09:00:00Z"}` or
        with `"prediction_id"` for the key. Without `known_at`, or an offset in it: now, UTC.
    signature : Signature
        Its key columns are those that `key` must hold.

    Returns
    -------
    list of Feedback
        At least one, in the order of the body.

    Raises
    ------
    DataError
        Anything else; one bad label refuses them all. TooLargeError for more than `MAX_ROWS`.
    """
    if not signature.key:
        raise DataError("a problem with a key", "none", "body", "labels are joined by data.key")
    received_at_us = time.time_ns() // 1000
    return [
        Feedback(
            received_at_us,
            _key(item, signature.key, number),
            None if isinstance(item.prediction_id, UnsetType) else item.prediction_id,
            _value(item.label, signature.task, number),
            _known_at(item, number, received_at_us),
        )
        for number, item in enumerate(_items(content))
    ]


def _items(content: bytes) -> Sequence[Label]:
    try:
        found = _DECODER.decode(content)
        # msgspec keeps the last of members that are named twice, silently.
        json.loads(content, object_pairs_hook=_once)
    except msgspec.ValidationError as error:
        text = str(error)
        raise _refused(
            "another field" if "unknown field" in text else text.replace("`", "'")
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise _refused("malformed JSON") from None
    items = found if isinstance(found, list) else [found]
    if not items:
        raise _refused("no labels")
    if len(items) > MAX_ROWS:
        expected = f"at most {MAX_ROWS} labels"
        raise TooLargeError(expected, str(len(items)), "body", "send several requests")
    return items


def _once(pairs: list[tuple[str, object]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise _refused("a name given twice in one object")


def _key(item: Label, names: Sequence[str], number: int) -> str | None:
    if isinstance(item.key, UnsetType) == isinstance(item.prediction_id, UnsetType):
        both = "neither" if isinstance(item.key, UnsetType) else "both"
        raise _wrong("a key or a prediction_id", both, number, "key")
    if isinstance(item.key, UnsetType):
        return None
    if set(item.key) != set(names):
        raise _wrong(f"the columns {', '.join(names)}", "other columns", number, "key")
    if None in item.key.values():
        raise _wrong("a value for each column", "null", number, "key")
    return _ENCODER.encode({name: item.key[name] for name in names}).decode()


def _value(label: float | str, task: str, number: int) -> str:
    if isinstance(label, str):
        if task == "regression":
            raise _wrong("a number", "a text", number, "label")
        if not 0 < len(label) <= _TEXT_CHARS:
            raise _wrong(f"a text of 1 to {_TEXT_CHARS} characters", "another", number, "label")
    else:
        try:
            is_number = math.isfinite(label)
        except OverflowError:
            is_number = False
        if not is_number:
            raise _wrong("a number within float64", "one beyond", number, "label")
    return json.dumps(label, ensure_ascii=False)


def _known_at(item: Label, number: int, received_at_us: int) -> str | None:
    if isinstance(item.known_at, UnsetType):
        return None
    try:
        moment = datetime.fromisoformat(item.known_at)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise _wrong("an ISO 8601 time", "another text", number, "known_at") from None
    received_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=received_at_us)
    if moment > received_at + _CLOCKS_DIFFER:
        raise _wrong("a time that has passed", "one to come", number, "known_at")
    return moment.isoformat()


def _wrong(expected: str, found: str, number: int, field: str) -> DataError:
    where = f"label {number}, field {field}"
    return DataError(expected, found, where, "correct it and send all of them again")


def _refused(found: str) -> DataError:
    expected = "a JSON object with label and key or prediction_id, or a list of such"
    return DataError(expected, found, "body", 'send {"key": {...}, "label": 1}')
