"""Strict JSON of a request to rows; no error ever repeats what the body said."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar, cast

import msgspec
from msgspec import UNSET, UnsetType

from retrue.errors import DataError
from retrue.serving.bodies import TooLargeError
from retrue.serving.features import Scalar

# Ten thousand rows take some 100 ms and 20 MB; more are better sent in several requests.
MAX_ROWS = 10_000
TEXT_CHARS = 100_000
Value = float | int | Annotated[str, msgspec.Meta(max_length=TEXT_CHARS)] | bool | None
"""What may stand in a column."""
T = TypeVar("T")
Rows = list[dict[str, Value] | list[Value]]

_FORMATS = "one of dataframe_records, dataframe_split, instances, inputs"


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows as lists of values under one list of column names."""

    columns: list[str]
    data: list[list[Value]]
    index: list[Value] | UnsetType = UNSET


class NoParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of a model that has none: MLflow's clients may send an empty object."""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The four formats of MLflow's scoring protocol; `inputs` may also be lists by column."""

    dataframe_records: list[dict[str, Value]] | UnsetType = UNSET
    dataframe_split: Split | UnsetType = UNSET
    instances: Rows | UnsetType = UNSET
    inputs: Rows | dict[str, list[Value]] | UnsetType = UNSET
    params: NoParams | UnsetType | None = UNSET


_DECODER = msgspec.json.Decoder(Body)
_ENCODER = msgspec.json.Encoder()


def parse_rows(content: bytes, names: Sequence[str] = ()) -> list[dict[str, Scalar]]:
    """Rows of a request body.

    Parameters
    ----------
    content : bytes
        JSON text by RFC 8259: no NaN, no Infinity, no number beyond float64, valid UTF-8.
    names : sequence of str
        The model's features in its order, for rows that are lists of values.

    Returns
    -------
    list of dict
        At least one row, column name to value.

    Raises
    ------
    DataError
        Anything else, names given twice included (RFC 8259 leaves their meaning open).
    TooLargeError
        More than `MAX_ROWS` rows, or a text of more than `TEXT_CHARS`.
    """
    try:
        body = _DECODER.decode(content)
    except msgspec.ValidationError as error:
        # The first part names types and a path of our own; an unknown field would be an echo.
        text = str(error)
        if "of length" in text:
            raise long_text() from None
        found = "another field" if "unknown field" in text else text.replace("`", "'")
        raise _refused(found) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        # pandas and numpy write it so; whoever meets this first looks for it in vain.
        found = "NaN, which JSON lacks (null is meant)" if b"NaN" in content else "malformed JSON"
        raise _refused(found) from None
    # Where no colon is left over for a repeated member nor for a text, none is repeated.
    if content.count(b":") != _n_members(body) and repeats_name(content, body):
        raise _refused("a name given twice in one object")
    formats = (body.dataframe_records, body.dataframe_split, body.instances, body.inputs)
    n_given = len(formats) - formats.count(UNSET)
    if n_given != 1:
        raise _refused("several of them" if n_given else "none of them")
    rows = body.dataframe_records
    if isinstance(rows, UnsetType):
        rows = _named(next(one for one in formats if one is not UNSET), names)
    if not rows:
        raise _refused("no rows")
    return bounded(rows)


def bounded(rows: list[T]) -> list[T]:
    """The rows (or a column) themselves; TooLargeError when they are more than `MAX_ROWS`."""
    if len(rows) > MAX_ROWS:
        raise too_large(f"at most {MAX_ROWS} rows", str(len(rows)))
    return rows


def _named(given: Any, names: Sequence[str]) -> list[dict[str, Scalar]]:
    """Rows by name, whichever way they were given."""
    try:
        if type(given) is Split:
            if len(set(given.columns)) != len(given.columns):
                raise _refused("a column named twice")
            return [dict(zip(given.columns, values, strict=True)) for values in given.data]
        if type(given) is dict:
            return rows_of_columns(given)
        if list in set(map(type, given)):
            return [
                row if type(row) is dict else dict(zip(names, row, strict=True)) for row in given
            ]
    except ValueError:
        expected = "as many as there are columns, or features where they have no names"
        raise _refused(f"a row of other than {expected}") from None
    return cast("list[dict[str, Scalar]]", given)


def rows_of_columns(columns: Mapping[str, Sequence[Scalar]]) -> list[dict[str, Scalar]]:
    """Rows of lists by column; ValueError when the lists have different lengths."""
    values = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in values]


def repeats_name(content: bytes, body: msgspec.Struct) -> bool:
    """Whether an object of the text names a member twice (msgspec keeps the last silently).

    The text has one colon a member, plus those inside strings. So has the body encoded again,
    where a repeated member is gone. Equal counts therefore prove that there is none, unless a
    colon was written as an escape; only then, or when they differ, the slow parser decides.
    """
    again = _ENCODER.encode(body)
    if content.count(b":") == again.count(b":") and b"\\u003" not in content:
        return False
    try:
        json.loads(content, object_pairs_hook=_once)
    except _RepeatedNameError:
        return True
    return False


def _n_members(body: Body) -> int:
    """Members of the objects of one format, a repeated one counted once; never more than that."""
    n = 0 if isinstance(body.params, UnsetType) else 1
    if not isinstance(body.dataframe_split, UnsetType):
        return n + (3 if isinstance(body.dataframe_split.index, UnsetType) else 4)
    rows: Any = body.dataframe_records
    for other in (body.instances, body.inputs):
        rows = other if isinstance(rows, UnsetType) else rows
    if isinstance(rows, UnsetType):
        return n
    return (
        n + 1 + (len(rows) if type(rows) is dict else sum(len(r) for r in rows if type(r) is dict))
    )


class _RepeatedNameError(Exception):
    pass


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RepeatedNameError
    return members


def _refused(found: str) -> DataError:
    return DataError(f"a JSON object with {_FORMATS}", found, "body", "see the signature")


def long_text() -> TooLargeError:
    """What to raise of a text above `TEXT_CHARS`."""
    return too_large(f"texts of at most {TEXT_CHARS} characters", "a longer one")


def too_large(expected: str, found: str) -> TooLargeError:
    """What to raise of a body that says too much at once."""
    return TooLargeError(expected, found, "body", "send several requests")
