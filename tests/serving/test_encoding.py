"""The encoding of rows and its vectorised twin."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.encoding_frame import encode_frame, fit_features
from retrue.errors import DataError
from retrue.serving.encoding import Feature, encode

NUMBERS = st.none() | st.floats(allow_subnormal=True) | st.integers(-(2**70), 2**70)
TEXTS = st.none() | st.sampled_from(["UA", "ua", "", "5", "5.0", "true", "é", "1e3", "nan"])
CODES = st.none() | st.integers(-9, 9)
MIXED = st.none() | st.sampled_from(["a", "1", "true", 1, 1.0, True, False, 0.5, 2**80, 1e300])
ROWS = st.fixed_dictionaries({"x": NUMBERS, "text": TEXTS, "code": CODES, "mixed": MIXED})


def bits(values: Any) -> list[int]:
    """Bit patterns, all NaN alike."""
    array = np.asarray(values, dtype=np.float64).ravel()
    return np.where(np.isnan(array), np.nan, array).view(np.int64).tolist()  # type: ignore[no-any-return]


@given(train=st.lists(ROWS, max_size=12), serve=st.lists(ROWS, min_size=1, max_size=12))
def test_rows_and_frames_are_encoded_to_the_same_bits(
    train: list[dict[str, Any]], serve: list[dict[str, Any]]
) -> None:
    columns = ["x", "text", "code", "mixed"]
    trained = pd.DataFrame(train, columns=columns).astype({"mixed": object})
    features = fit_features(trained, ["x"], ["text", "code", "mixed"])
    frame = pd.DataFrame(serve, columns=columns)
    frame["mixed"] = pd.Series([row["mixed"] for row in serve], dtype=object)
    matrix = encode_frame(frame, features)
    assert matrix.shape == (len(serve), 4)
    assert bits(matrix) == bits(encode(serve, features))


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float32", "int8", "UInt64", "object"])
def test_every_numeric_dtype_is_encoded_by_value(dtype: str) -> None:
    column = pd.Series([1, 5, 7], dtype=dtype)
    features: list[Feature] = [{"name": "x", "kind": "numeric"}]
    assert encode_frame(pd.DataFrame({"x": column}), features).ravel().tolist() == [1, 5, 7]
    categories = fit_features(pd.DataFrame({"x": column}), [], ["x"])[0]["categories"]
    assert categories == ["1", "5", "7"]


@pytest.mark.parametrize("null", [None, np.nan, pd.NA, pd.NaT])
def test_every_kind_of_null_is_nan_and_no_category(null: object) -> None:
    frame = pd.DataFrame({"x": pd.Series([1.5, null], dtype=object), "c": ["a", null]})
    features = fit_features(frame, ["x"], ["c"])
    assert features[1]["categories"] == ["a"]
    assert [math.isnan(value) for value in encode_frame(frame, features)[1]] == [True, True]


def test_category_columns_and_bools_are_read_by_their_texts() -> None:
    frame = pd.DataFrame({"c": pd.Categorical(["b", "a", None]), "t": [True, False, True]})
    features = fit_features(frame, [], ["c", "t"])
    assert [feature["categories"] for feature in features] == [["a", "b"], ["false", "true"]]
    served: list[dict[str, Any]] = [
        {"c": "b", "t": True},
        {"c": "a", "t": False},
        {"c": None, "t": True},
    ]
    assert bits(encode_frame(frame, features)) == bits(encode(served, features))


@pytest.mark.parametrize("value", ["1", "", True, 10**400])
def test_what_is_no_number_is_refused_with_row_and_column(value: object) -> None:
    features: list[Feature] = [{"name": "x", "kind": "numeric"}]
    rows: list[dict[str, Any]] = [{"x": 1.0}, {"x": value}]
    with pytest.raises(DataError, match="row 1, column 'x': expected a number or null"):
        encode(rows, features)
    with pytest.raises(DataError, match="row 1, column 'x': expected a number or null"):
        encode_frame(pd.DataFrame({"x": pd.Series([1.0, value], dtype=object)}), features)


def test_a_missing_column_is_named_and_extra_columns_are_ignored() -> None:
    features: list[Feature] = [{"name": "x", "kind": "numeric"}, {"name": "y", "kind": "numeric"}]
    assert encode([{"z": "?", "y": 2, "x": 1}], features).tolist() == [1.0, 2.0]
    with pytest.raises(DataError, match=r"row 1, column 'y': .*no such column"):
        encode([{"x": 1, "y": 2}, {"x": 1}], features)
    with pytest.raises(DataError, match=r"column 'y': .*no such column"):
        encode_frame(pd.DataFrame({"x": [1.0]}), features)
