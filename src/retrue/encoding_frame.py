"""Frames to the model's matrix: the vectorised twin of `retrue.serving.encoding`, bit for bit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from retrue.errors import DataError
from retrue.serving.encoding import Feature, category_text

Float64s = npt.NDArray[np.float64]


def fit_features(
    frame: pd.DataFrame, numeric: Sequence[str], categorical: Sequence[str]
) -> list[Feature]:
    """Describe the model's inputs from the training frame alone.

    Parameters
    ----------
    frame : DataFrame
        Training rows.
    numeric, categorical : sequence of str
        Columns, in the order the model will see them, numeric first.

    Returns
    -------
    list of Feature
        Categories are the sorted texts of the non-null values; none for an all-null column.

    Raises
    ------
    DataError
        A column is missing.

    Examples
    --------
    >>> fit_features(pd.DataFrame({"temp": [39.0], "origin": ["JFK"]}), ["temp"], ["origin"])[1]
    {'name': 'origin', 'kind': 'categorical', 'categories': ['JFK']}
    """
    numbers = [Feature(name=name, kind="numeric", categories=[]) for name in numeric]
    return numbers + [
        Feature(
            name=name,
            kind="categorical",
            categories=sorted(set(_coded(_column(frame, name))[1])),
        )
        for name in categorical
    ]


def encode_frame(frame: pd.DataFrame, features: Sequence[Feature]) -> Float64s:
    """Encode a frame for the model; the same bits as `encode` on the same rows.

    Parameters
    ----------
    frame : DataFrame
        Holds every feature; other columns are ignored. NaN, None and NA are null.
    features : sequence of Feature
        The model's inputs, in its order.

    Returns
    -------
    ndarray of float64, shape (len(frame), len(features))
        Numeric: the value, null is NaN. Categorical: position in `categories`, unseen or null is
        NaN.

    Raises
    ------
    DataError
        A column is missing, or holds a text or a truth value where a number is wanted.
    """
    matrix = np.empty((len(frame), len(features)))
    for position, feature in enumerate(features):
        column = _column(frame, feature["name"])
        if feature["kind"] == "numeric":
            matrix[:, position] = _numbers(column, feature["name"])
        else:
            matrix[:, position] = _positions(column, feature.get("categories", []))
    return matrix


def _column(frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
    if name not in frame.columns:
        raise DataError(
            "every feature of the model", "no such column", f"column {name!r}", "add the column"
        )
    return frame[name]


def _numbers(column: "pd.Series[Any]", name: str) -> Float64s:
    if pd.api.types.is_bool_dtype(column.dtype):
        raise _not_a_number("a truth value", 0, name)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    nulls = column.isna().to_numpy()
    values = column.to_numpy(dtype=object)
    numbers = np.full(len(values), np.nan)
    for row in np.flatnonzero(~nulls).tolist():
        value = values[row]
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
            raise _not_a_number(type(value).__name__, row, name)
        try:
            numbers[row] = float(value)
        except OverflowError:
            raise _not_a_number("a number out of range", row, name) from None
    return numbers


def _not_a_number(found: str, row: int, name: str) -> DataError:
    where = f"row {row}, column {name!r}"
    return DataError("a number or null", found, where, "mend the data, or list it as categorical")


def _positions(column: "pd.Series[Any]", categories: list[str]) -> Float64s:
    codes, texts = _coded(column)
    found = pd.Index(categories, dtype=object).get_indexer(pd.Index(texts, dtype=object))
    # The last one is for code -1, a null.
    positions = np.append(np.where(found >= 0, found, np.nan), np.nan)
    return positions[codes]


def _coded(column: "pd.Series[Any]") -> tuple[npt.NDArray[np.intp], list[str]]:
    """Position of each row's text among the texts, -1 where null; a distinct value is read once."""
    if column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) != "string":
        # Mixed values: factorize takes True, 1 and 1.0 for one, so go value by value.
        column = pd.Series(column.map(_text, na_action="ignore"), dtype=object)
    codes, distinct = pd.factorize(column)
    return codes, [_text(value) for value in distinct]


def _text(value: object) -> str:
    plain = value.item() if isinstance(value, np.generic) else value
    if not isinstance(plain, str | bool | int | float):
        found = type(plain).__name__
        raise DataError("a text or a number", found, "a category", "turn the column into texts")
    return category_text(plain)
