"""Strict JSON of a request to rows; no error ever repeats what the body said."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from retrue.errors import DataError
from retrue.serving.encoding import Scalar

_FORMATS = "one of dataframe_records, dataframe_split, instances"


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows as lists of values under one list of column names."""

    columns: list[str]
    data: list[list[Scalar]]
    index: list[Scalar] | UnsetType = UNSET


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The three formats of MLflow's scoring protocol that carry named columns."""

    dataframe_records: list[dict[str, Scalar]] | UnsetType = UNSET
    dataframe_split: Split | UnsetType = UNSET
    instances: list[dict[str, Scalar]] | UnsetType = UNSET


_DECODER = msgspec.json.Decoder(Body)
_ENCODER = msgspec.json.Encoder()


def parse_rows(content: bytes) -> list[dict[str, Scalar]]:
    """Rows of a request body.

    Parameters
    ----------
    content : bytes
        JSON text by RFC 8259: no NaN, no Infinity, no number beyond float64, valid UTF-8.

    Returns
    -------
    list of dict
        At least one row, column name to value.

    Raises
    ------
    DataError
        Anything else, names given twice included (RFC 8259 leaves their meaning open).
    """
    try:
        body = _DECODER.decode(content)
    except msgspec.ValidationError as error:
        # The first part names types and a path of our own; an unknown field would be an echo.
        text = str(error)
        found = "another field" if "unknown field" in text else text.replace("`", "'")
        raise _refused(found) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise _refused("malformed JSON") from None
    if _repeats_name(content, body):
        raise _refused("a name given twice in one object")
    lists = (body.dataframe_records, body.instances)
    given = [rows for rows in lists if not isinstance(rows, UnsetType)]
    if not isinstance(body.dataframe_split, UnsetType):
        given.append(_split_rows(body.dataframe_split))
    if len(given) != 1:
        raise _refused("none of them" if not given else "several of them")
    if not given[0]:
        raise _refused("no rows")
    return given[0]


def _split_rows(split: Split) -> list[dict[str, Scalar]]:
    columns = split.columns
    if len(set(columns)) != len(columns):
        raise _refused("a column named twice")
    try:
        return [dict(zip(columns, values, strict=True)) for values in split.data]
    except ValueError:
        raise _refused("a row of another length than columns") from None


def _repeats_name(content: bytes, body: Body) -> bool:
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


class _RepeatedNameError(Exception):
    pass


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RepeatedNameError
    return members


def _refused(found: str) -> DataError:
    return DataError(f"a JSON object with {_FORMATS}", found, "body", "see the signature")
