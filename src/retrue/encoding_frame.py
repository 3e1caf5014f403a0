"""Frames to the model's matrix: the vectorised twin of `retrue.serving.encoding`, bit for bit."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from retrue.frame_columns import Float64s, column, dates, ngrams, numbers, texts
from retrue.processing import fit_features
from retrue.serving.dates import DATE_PARTS
from retrue.serving.encoding import n_columns
from retrue.serving.features import Feature, width

__all__ = ["categorical_columns", "encode_frame", "encode_table", "fit_features", "matrix_columns"]


def encode_frame(frame: pd.DataFrame, features: Sequence[Feature]) -> Float64s:
    """Encode a frame for the model; the same bits as `encode` on the same rows.

    Parameters
    ----------
    frame : DataFrame
        Holds every feature; other columns are ignored. NaN, None, NA and NaT are null. Times are
        texts as serving receives them, or pandas' own.
    features : sequence of Feature
        The model's inputs, in its order.

    Returns
    -------
    ndarray of float64, shape (len(frame), n_columns(features))
        Null is NaN in each column unless the feature has a `fill`.
        Numeric: the value; it is flagged, filled and clipped in this order.
        Categorical: the position in `categories`; unseen is NaN, or len(categories) with `other`.
        Date: the parts of the time in UTC. Text: counts of hashed character n-grams.

    Raises
    ------
    DataError
        A column is missing, or holds a text or a truth value where a number is wanted, or what is
        no time where one is.
    """
    matrix = np.empty((len(frame), n_columns(features)))
    end = 0
    for feature in features:
        start, end = end, end + width(feature)
        matrix[:, start:end] = _encoded(frame, feature)
    return matrix


def encode_table(frame: pd.DataFrame, features: Sequence[Feature]) -> pa.Table:
    """Encode a frame by column, as `encode_frame` does into one matrix.

    Returns
    -------
    Table of float64, codes of categories float32, named by `matrix_columns`
        Null is NaN; the values are the same. Numbers that are float64 already and are not processed
        share the frame's memory: LightGBM makes the same bins of them as of the matrix, of which
        21 columns take 170 bytes a row.
    """
    columns = []
    for feature in features:
        is_code = feature["kind"] == "categorical"  # exact up to 16 million categories
        kind = np.float32 if is_code else np.float64
        columns += [pa.array(one.astype(kind, copy=False)) for one in _encoded(frame, feature).T]
    return pa.table(columns, names=matrix_columns(features))


def matrix_columns(features: Sequence[Feature]) -> list[str]:
    """Names of the columns that `encode_frame` gives, in its order.

    They are distinct and such as LightGBM takes: letters, digits and underscores.

    Examples
    --------
    >>> matrix_columns([{"name": "wind speed", "kind": "numeric", "flag": True},
    ...                 {"name": "note", "kind": "text", "buckets": 2}])
    ['wind_speed', 'wind_speed__missing', 'note__0', 'note__1']
    """
    taken: dict[str, None] = {}
    for feature in features:
        # LightGBM refuses some signs, makes an underscore of others and stops at an empty name.
        name = re.sub(r"\W", "_", feature["name"]) or "_"
        for ending in _endings(feature):
            found, n = name + ending, 1
            while found in taken:
                n += 1
                found = f"{name}{ending}_{n}"
            taken[found] = None
    return list(taken)


def categorical_columns(features: Sequence[Feature]) -> list[str]:
    """Those of `matrix_columns` that hold codes of categories."""
    kinds = [feature["kind"] for feature in features for _ in range(width(feature))]
    names = zip(matrix_columns(features), kinds, strict=True)
    return [name for name, kind in names if kind == "categorical"]


def _endings(feature: Feature) -> list[str]:
    if feature["kind"] == "date":
        return [f"__{part}" for part in DATE_PARTS]
    if feature["kind"] == "text":
        return [f"__{bucket}" for bucket in range(width(feature))]
    return ["", "__missing"][: width(feature)]


def _encoded(frame: pd.DataFrame, feature: Feature) -> Float64s:
    """Columns of one feature, shape (len(frame), width(feature))."""
    values = column(frame, feature["name"])
    match feature["kind"]:
        case "numeric":
            return _processed(numbers(values, feature["name"]), feature)
        case "categorical":
            return _positions(values, feature)[:, None]
        case "date":
            return dates(values, feature["name"])
        case "text":
            return ngrams(values, feature["name"], width(feature))


def _processed(values: Float64s, feature: Feature) -> Float64s:
    is_missing = np.isnan(values)
    if "fill" in feature:
        values = np.where(is_missing, float(feature["fill"]), values)
    # Not np.clip: it may turn -0.0 into 0.0 at a bound of 0, other bits than serving's.
    if "low" in feature:
        values = np.where(values < feature["low"], feature["low"], values)
    if "high" in feature:
        values = np.where(values > feature["high"], feature["high"], values)
    if not feature.get("flag"):
        return values[:, None]
    return np.column_stack([values, is_missing.astype(np.float64)])


def _positions(values: "pd.Series[Any]", feature: Feature) -> Float64s:
    codes, distinct = texts(values, feature["name"])
    categories = feature.get("categories", [])
    unseen = float(len(categories)) if feature.get("other") else np.nan
    fill = feature.get("fill")
    # The last one is for code -1, a null; without a fill it stays one.
    wanted = pd.Index([*distinct, *([] if fill is None else [fill])], dtype=object)
    found = pd.Index(categories, dtype=object).get_indexer(wanted)
    positions = np.where(found >= 0, found, unseen)
    return (positions if fill is not None else np.append(positions, np.nan))[codes]
