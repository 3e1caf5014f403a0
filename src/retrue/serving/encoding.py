"""Rows of JSON values to the model's matrix: the one encoding, used wherever a row is scored."""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf, isnan, nan
from operator import itemgetter
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict, cast

from retrue.errors import DataError
from retrue.serving.dates import DATE_PARTS, date_step
from retrue.serving.ngrams import ngram_counts

Scalar = float | int | str | bool | None
Row = Mapping[str, Any]
# The empty tuple, which no JSON value equals, stands for a category that training has not seen.
Codes = dict[Scalar | tuple[()], float]
Step = Callable[[Any, int], Iterable[float]]
"""A value and its row number to the values of the feature's columns."""

# 128 MiB: a body of 8 MiB may hold a million short texts, each of them many columns wide.
MAX_CELLS = 2**24


class Feature(TypedDict):
    """One model input with what was fitted on the training part; an absent key does nothing."""

    name: str
    kind: Literal["numeric", "categorical", "date", "text"]
    categories: NotRequired[list[str]]
    """Of a categorical feature: sorted texts, their positions are the codes."""
    other: NotRequired[bool]
    """Whether rare and unseen categories share the code len(categories)."""
    fill: NotRequired[float | str]
    """What stands for null: a number, or the text of a category."""
    flag: NotRequired[bool]
    """Of a numeric feature: whether a second column is 1.0 where the value was null."""
    low: NotRequired[float]
    """Of a numeric feature: what is below becomes this, after filling."""
    high: NotRequired[float]
    buckets: NotRequired[int]
    """Of a text feature: how many columns it has."""


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
    return Plan(names, select, tuple(map(_codes, features)), n_columns(features))


def n_columns(features: Sequence[Feature]) -> int:
    """Width of the matrix that `encode` gives.

    Examples
    --------
    >>> n_columns([{"name": "x", "kind": "numeric", "flag": True}, {"name": "t", "kind": "date"}])
    9
    """
    return sum(map(width, features))


def width(feature: Feature) -> int:
    """How many columns one feature has."""
    if feature["kind"] == "date":
        return len(DATE_PARTS)
    if feature["kind"] == "text":
        return feature["buckets"]
    return 2 if feature.get("flag") else 1


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
        raise DataError(
            "every feature of the model",
            "no such column",
            f"row {number}, column {name!r}",
            "send the column; null where the value is not known",
        ) from None


def encode_values(values: Sequence[tuple[Any, ...]], ready: Plan) -> "array[float]":
    """Encode values that `select_values` chose; shape and errors as in `encode`."""
    if len(values) * ready.n_columns > MAX_CELLS:
        most = f"at most {MAX_CELLS // ready.n_columns} rows"
        raise DataError(most, f"{len(values)}", "rows", "send them in several requests")
    matrix = array("d")
    append = matrix.append
    tables, names = ready.codes, ready.names
    for number, row in enumerate(values):
        for value, codes, name in zip(row, tables, names, strict=True):
            if codes is None:
                if type(value) is float:
                    append(value)
                elif value is None:
                    append(nan)
                else:
                    append(_number(value, number, name))
            elif type(codes) is dict:
                code = codes.get(value)
                append(_other_code(value, codes) if code is None else code)
            else:
                matrix.extend(cast("Step", codes)(value, number))
    return matrix


def _codes(feature: Feature) -> Codes | Step | None:
    if feature["kind"] == "date":
        return date_step(feature["name"])
    if feature["kind"] == "text":
        return _text_step(feature["buckets"])
    if feature["kind"] == "numeric":
        is_plain = feature.keys().isdisjoint(("flag", "fill", "low", "high"))
        return None if is_plain else _number_step(feature)
    categories = feature.get("categories", [])
    codes: Codes = {text: float(code) for code, text in enumerate(categories)}
    unseen = float(len(categories)) if feature.get("other") else nan
    fill = feature.get("fill")
    codes[None] = nan if fill is None else codes.get(fill, unseen)
    codes[()] = unseen
    return codes


def _number_step(feature: Feature) -> Step:
    name, is_flagged = feature["name"], feature.get("flag", False)
    fill = float(feature.get("fill", nan))
    low, high = feature.get("low", -inf), feature.get("high", inf)

    def step(value: Any, row: int) -> Iterable[float]:
        if type(value) is not float:
            value = nan if value is None else _number(value, row, name)
        is_missing = isnan(value)
        if is_missing:
            value = fill
        # Written so that the bits are those of the frame's encoding: -0.0 is not below 0.0.
        if value < low:
            value = low
        elif value > high:
            value = high
        return (value, float(is_missing)) if is_flagged else (value,)

    return step


def _text_step(n_buckets: int) -> Step:
    missing = (nan,) * n_buckets

    def step(value: Any, _: int) -> Iterable[float]:
        if value is None or _is_nan(value):
            return missing
        return ngram_counts(category_text(value), n_buckets)

    return step


def _other_code(value: Scalar, codes: Codes) -> float:
    if isinstance(value, str):
        return codes[()]
    return codes[None] if _is_nan(value) else codes.get(category_text(value), codes[()])


def _is_nan(value: Scalar) -> bool:
    return isinstance(value, float) and isnan(value)


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
