"""Rows of JSON values to the model's matrix: the one encoding, used wherever a row is scored."""

import struct
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import nan
from operator import itemgetter
from typing import Any, NamedTuple, cast

import msgspec

from retrue.errors import DataError
from retrue.serving.features import (
    Codes,
    Feature,
    Scalar,
    Step,
    number,
    other_code,
    value_codes,
    width,
)

Row = Mapping[str, Any]

# 128 MiB: a body of 8 MiB may hold a million short texts, each of them many columns wide.
MAX_CELLS = 2**24
# With fewer, turning rows into columns takes longer than it saves.
_MANY_ROWS = 16


class Plan(NamedTuple):
    """Features made ready for many calls: names, a selector, and the width of the matrix.

    `codes` has one entry a feature: None for a number as it is, the codes of categories, or a
    step for all that is more than a look-up.
    """

    names: tuple[str, ...]
    select: Callable[[Row], tuple[Any, ...]]
    codes: tuple[Codes | Step | None, ...]
    n_columns: int


def plan(features: Sequence[Feature]) -> Plan:
    """Make `features` ready for `encode_values`, in their order (the order of the model)."""
    names = tuple(feature["name"] for feature in features)
    # itemgetter of one name answers the bare value, not a tuple of one.
    select = cast(
        "Callable[[Row], tuple[Any, ...]]",
        itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],),
    )
    return Plan(names, select, tuple(map(value_codes, features)), n_columns(features))


def n_columns(features: Sequence[Feature]) -> int:
    """Width of the matrix that `encode` gives.

    Examples
    --------
    >>> n_columns([{"name": "x", "kind": "numeric", "flag": True}, {"name": "t", "kind": "date"}])
    9
    """
    return sum(map(width, features))


def encode(rows: Sequence[Row], features: Sequence[Feature]) -> "array[float]":
    """Encode rows for the model.

    Parameters
    ----------
    rows : sequence of mappings
        Column name to JSON value; columns that are no feature are ignored.
    features : sequence of Feature
        The model's inputs, in its order.

    Returns
    -------
    array of float64
        Row-major, shape (len(rows), n_columns(features)); empty for no rows. Null is NaN in each
        column unless the feature has a `fill`.
        Numeric: the value; it is flagged, filled and clipped in this order.
        Categorical: the position in `categories`; unseen is NaN, or len(categories) with `other`.
        Date: the parts of an ISO 8601 time. Text: counts of hashed character n-grams.

    Raises
    ------
    DataError
        A column is missing; a text, a truth value or a number beyond float64 stands where a
        number is wanted, or anything but an ISO 8601 text where a time is; names row and column,
        never the value. Or the matrix would have more than `MAX_CELLS` values.

    Examples
    --------
    >>> features = [{"name": "temp", "kind": "numeric"},
    ...             {"name": "origin", "kind": "categorical", "categories": ["EWR", "JFK"]}]
    >>> encode([{"temp": 39, "origin": "JFK"}, {"temp": None, "origin": "LGA"}], features)
    array('d', [39.0, 1.0, nan, nan])
    """
    ready = plan(features)
    return encode_values(select_values(rows, ready), ready)


def select_values(rows: Sequence[Row], ready: Plan) -> list[tuple[Any, ...]]:
    """Select the feature values of each row, in the plan's order; DataError names a missing one."""
    try:
        return [ready.select(row) for row in rows]
    except KeyError:
        number, name = next(
            (number, name)
            for number, row in enumerate(rows)
            for name in ready.names
            if name not in row
        )
        raise _missing(number, name) from None


def _missing(row: int, name: str) -> DataError:
    return DataError(
        "every feature of the model",
        "no such column",
        f"row {row}, column {name!r}",
        "send the column; null where the value is not known",
    )


def select_columns(columns: Mapping[str, Sequence[Scalar]], ready: Plan) -> list[Sequence[Scalar]]:
    """Select the features' columns, in the plan's order; DataError names a missing one."""
    for name in ready.names:
        if name not in columns:
            raise _missing(0, name)
    return [columns[name] for name in ready.names]


def encode_columns(columns: Sequence[Sequence[Any]], ready: Plan) -> "array[float]":
    """Encode columns that `select_columns` chose; shape and errors as in `encode`."""
    n_rows = len(columns[0])
    if n_rows >= _MANY_ROWS and _is_by_column(ready):
        _insist_few(n_rows, ready)
        return _encode_columns(columns, n_rows, ready)
    return encode_values(list(zip(*columns, strict=True)), ready)


def encode_values(values: Sequence[tuple[Any, ...]], ready: Plan) -> "array[float]":
    """Encode values that `select_values` chose; shape and errors as in `encode`."""
    _insist_few(len(values), ready)
    if len(values) >= _MANY_ROWS and _is_by_column(ready):
        return _encode_columns(zip(*values, strict=True), len(values), ready)
    tables, names = ready.codes, ready.names
    matrix = array("d")
    append = matrix.append
    for at, row in enumerate(values):
        for value, codes, name in zip(row, tables, names, strict=True):
            if codes is None:
                if type(value) is float:
                    append(value)
                elif value is None:
                    append(nan)
                else:
                    append(number(value, at, name))
            elif type(codes) is dict:
                code = codes.get(value)
                append(other_code(value, codes) if code is None else code)
            else:
                matrix.extend(cast("Step", codes)(value, at))
    return matrix


def _insist_few(n_rows: int, ready: Plan) -> None:
    if n_rows * ready.n_columns > MAX_CELLS:
        most = f"at most {MAX_CELLS // ready.n_columns} rows"
        raise DataError(most, f"{n_rows}", "rows", "send them in several requests")


def _is_by_column(ready: Plan) -> bool:
    return all(codes is None or type(codes) is dict for codes in ready.codes)


def _encode_columns(columns: Iterable[Sequence[Any]], n_rows: int, ready: Plan) -> "array[float]":
    """Encode column by column where each feature has one: a third of the time."""
    width = ready.n_columns
    matrix = array("d", bytes(8 * n_rows * width))
    # `array` takes three times as long for a float as `struct` does.
    pack = struct.Struct(f"{n_rows}d").pack
    for at, (column, codes, name) in enumerate(zip(columns, ready.codes, ready.names, strict=True)):
        if codes is None:
            found: list[float | None] = _numbers(column, name)
        else:
            found = list(map(cast("Codes", codes).get, column))
        try:
            packed = pack(*found)
        except struct.error:  # some are None
            packed = pack(*_whole(found, column, cast("Codes | None", codes)))
        matrix[at::width] = array("d", packed)
    return matrix


def _numbers(column: Sequence[Any], name: str) -> list[float | None]:
    try:
        # A third of the time that looking at each value's type takes.
        return msgspec.convert(column, list[float | None])
    except msgspec.ValidationError:  # told with its row
        return [
            None if value is None else number(value, row, name) for row, value in enumerate(column)
        ]


def _whole(
    found: Iterable[float | None], column: Iterable[Scalar], codes: Codes | None
) -> Iterator[float]:
    for value, one in zip(column, found, strict=True):
        if one is not None:
            yield one
        else:
            yield nan if codes is None else other_code(value, codes)
