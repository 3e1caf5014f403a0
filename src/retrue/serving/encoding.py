"""Rows of JSON values to the model's matrix: the one encoding, used wherever a row is scored."""

from array import array
from collections.abc import Callable, Mapping, Sequence
from math import nan
from operator import itemgetter
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict, cast

from retrue.errors import DataError

Scalar = float | int | str | bool | None
Row = Mapping[str, Any]
Codes = Mapping[Scalar, float]


class Feature(TypedDict):
    """One model input; `categories` (sorted texts, of the training span only) when categorical."""

    name: str
    kind: Literal["numeric", "categorical"]
    categories: NotRequired[list[str]]


class Plan(NamedTuple):
    """Features made ready for many calls: names, a selector, and codes (None when numeric)."""

    names: tuple[str, ...]
    select: Callable[[Row], tuple[Any, ...]]
    codes: tuple[Codes | None, ...]


def plan(features: Sequence[Feature]) -> Plan:
    """Make `features` ready for `encode_values`, in their order (the order of the model)."""
    names = tuple(feature["name"] for feature in features)
    # itemgetter of one name answers the bare value, not a tuple of one.
    select = cast(
        "Callable[[Row], tuple[Any, ...]]",
        itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],),
    )
    codes = tuple(
        {
            None: nan,
            **{text: float(code) for code, text in enumerate(feature.get("categories", []))},
        }
        if feature["kind"] == "categorical"
        else None
        for feature in features
    )
    return Plan(names, select, codes)


def category_text(value: Scalar) -> str:
    """Text of a category, the same for 5, 5.0 and "5".

    A null in a column of whole numbers makes pandas turn them into floats; that must not change
    their category.

    Examples
    --------
    >>> [category_text(value) for value in ("UA", 5, 5.0, 0.5, True)]
    ['UA', '5', '5', '0.5', 'true']
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


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
        Row-major, shape (len(rows), len(features)); empty for no rows. Numeric: the value, null
        is NaN. Categorical: the position in `categories`, unseen or null is NaN.

    Raises
    ------
    DataError
        A column is missing, or a text, a truth value or a number beyond float64 stands where a
        number is wanted; names row and column, never the value.

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
        raise DataError(
            "every feature of the model",
            "no such column",
            f"row {number}, column {name!r}",
            "send the column; null where the value is not known",
        ) from None


def encode_values(values: Sequence[tuple[Any, ...]], ready: Plan) -> "array[float]":
    """Encode values that `select_values` chose; shape and errors as in `encode`."""
    matrix = array("d")
    append = matrix.append
    tables = ready.codes
    for number, row in enumerate(values):
        for position, (value, codes) in enumerate(zip(row, tables, strict=True)):
            if codes is not None:
                code = codes.get(value)
                append(_other_code(value, codes) if code is None else code)
            elif type(value) is float:
                append(value)
            elif value is None:
                append(nan)
            else:
                append(_number(value, number, ready.names[position]))
    return matrix


def _other_code(value: Scalar, codes: Codes) -> float:
    return nan if isinstance(value, str) else codes.get(category_text(value), nan)


def _number(value: object, row: int, column: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            found = "a number out of range"
    else:
        found = {bool: "a truth value", str: "a text"}.get(type(value), type(value).__name__)
    raise DataError(
        "a number or null", found, f"row {row}, column {column!r}", "send a JSON number or null"
    )
