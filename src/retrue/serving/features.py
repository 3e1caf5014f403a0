"""One input of the model: what was fitted for it, and how one value becomes its numbers."""

from collections.abc import Callable, Iterable
from math import inf, isnan, nan
from typing import Any, Literal, NotRequired, TypedDict

from retrue.errors import DataError
from retrue.serving.dates import DATE_PARTS, date_step
from retrue.serving.ngrams import ngram_counts

Scalar = float | int | str | bool | None
# The empty tuple, which no JSON value equals, stands for a category that training has not seen.
Codes = dict[Scalar | tuple[()], float]
Step = Callable[[Any, int], Iterable[float]]
"""A value and its row number to the values of the feature's columns."""


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


def value_codes(feature: Feature) -> Codes | Step | None:
    """How a value becomes numbers: None for a number as it is."""
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
            value = nan if value is None else number(value, row, name)
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


def other_code(value: Scalar, codes: Codes) -> float:
    """Code of a value that stands in no table as it is."""
    if isinstance(value, str):
        return codes[()]
    return codes[None] if _is_nan(value) else codes.get(category_text(value), codes[()])


def _is_nan(value: Scalar) -> bool:
    return isinstance(value, float) and isnan(value)


def number(value: object, row: int, column: str) -> float:
    """The value as float64; DataError for anything but a JSON number."""
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
