"""The encoding of rows and its vectorised twin."""

import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.config import Features, Processing
from retrue.encoding_frame import encode_frame, fit_features
from retrue.errors import DataError
from retrue.serving.bundle import Signature
from retrue.serving.encoding import MAX_CELLS, encode, n_columns
from retrue.serving.features import Feature

NULLS = st.sampled_from([None, math.nan])
EDGES = st.sampled_from([0.0, -0.0, math.inf, -math.inf, 1.0, 2.0, 1.7976931348623157e308])
NUMBERS = NULLS | EDGES | st.floats(allow_subnormal=True) | st.integers(-(2**70), 2**70)
TEXTS = st.none() | st.sampled_from(
    ["UA", "ua", "", "\0", "UA\0", "5", "5.0", "true", "é", "1e3", "nan"]
)
CODES = st.none() | st.integers(-9, 9)
MIXED = NULLS | st.sampled_from(["a", "1", "true", 1, 1.0, True, False, 0.5, 2**80, 1e300, -0.0])
ZONES = st.none() | st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))
TIMES = st.builds(
    lambda moment, zone: moment.replace(tzinfo=zone),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),
    ZONES,
)
ISO_TEXTS = TIMES.map(datetime.isoformat) | st.dates().map(date.isoformat)
NOTES = (
    NULLS
    | st.text(max_size=8)
    | st.sampled_from(["✈️ late 🛬🏽", "ß", "İ", "\ud83d\udeec", 5, 5.0, True])
)
VALUES = {
    "x": NUMBERS,
    "text": TEXTS,
    "code": CODES,
    "mixed": MIXED,
    "when": NULLS | ISO_TEXTS,
    "note": NOTES,
}
ROWS = st.fixed_dictionaries(VALUES)
FEATURES = Features(
    numeric=("x",), categorical=("text", "code", "mixed"), dates=("when",), text=("note",)
)
SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda pair: tuple(sorted(pair)))
CATEGORY_FILLS = st.sampled_from(["most_frequent", "UA", "new", ""])
PROCESSINGS = st.builds(
    Processing,
    fill=st.fixed_dictionaries(
        {},
        optional={
            "x": st.sampled_from(["median", "mean", "most_frequent", -0.0, 7.5]),
            "text": CATEGORY_FILLS,
            "mixed": CATEGORY_FILLS,
        },
    ),
    flag_missing=st.sampled_from([(), ("x",)]),
    clip=st.fixed_dictionaries({}, optional={"x": SHARES}),
    rare_below=st.integers(0, 3),
    text_buckets=st.sampled_from([2, 3, 64]),
)


def bits(values: Any) -> list[int]:
    """Bit patterns, all NaN alike."""
    array = np.asarray(values, dtype=np.float64).ravel()
    return np.where(np.isnan(array), np.nan, array).view(np.int64).tolist()  # type: ignore[no-any-return]


def frame_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows as they are, but x and code as pandas reads them."""
    frame = pd.DataFrame(rows, columns=list(VALUES))
    for name in ("mixed", "note"):
        frame[name] = pd.Series([row[name] for row in rows], dtype=object)
    return frame


def fit(frame: pd.DataFrame, **names: tuple[str, ...]) -> list[Feature]:
    return fit_features(frame, Features(**names), Processing())


@given(
    train=st.lists(ROWS, max_size=12),
    serve=st.lists(ROWS, min_size=1, max_size=12),
    processing=PROCESSINGS,
)
def test_rows_and_frames_are_encoded_to_the_same_bits(
    train: list[dict[str, Any]], serve: list[dict[str, Any]], processing: Processing
) -> None:
    features = fit_features(frame_of(train), FEATURES, processing)
    matrix = encode_frame(frame_of(serve), features)
    assert matrix.shape == (len(serve), n_columns(features))
    assert bits(matrix) == bits(encode(serve, features))


@given(train=st.lists(ROWS, max_size=6), serve=st.lists(ROWS, max_size=6), processing=PROCESSINGS)
def test_features_read_back_from_a_signature_encode_alike(
    train: list[dict[str, Any]], serve: list[dict[str, Any]], processing: Processing
) -> None:
    features = fit_features(frame_of(train), FEATURES, processing)
    signature = Signature("p", features, [], None, 0.5, "label")
    again = msgspec.json.decode(msgspec.json.encode(signature), type=Signature).features
    assert bits(encode(serve, again)) == bits(encode(serve, features))


@given(moments=st.lists(st.none() | TIMES, min_size=1, max_size=6), unit=st.sampled_from("smun"))
def test_times_of_pandas_are_encoded_as_their_iso_texts(
    moments: list[datetime | None], unit: str
) -> None:
    utc = [m and (m if m.tzinfo else m.replace(tzinfo=UTC)).astimezone(UTC) for m in moments]
    known = [m for m in utc if m is None or unit != "n" or 1678 <= m.year <= 2261]
    form = "us" if unit == "u" else {"s": "s", "m": "ms", "n": "ns"}[unit]
    stamps = np.array([m and m.replace(tzinfo=None) for m in known], dtype=f"datetime64[{form}]")
    column = pd.Series(stamps)
    served: list[dict[str, Any]] = [
        {"when": None if pd.isna(stamp) else stamp.isoformat()} for stamp in column
    ]
    features: list[Feature] = [{"name": "when", "kind": "date"}]
    for frame in (
        pd.DataFrame({"when": column}),
        pd.DataFrame({"when": column.dt.tz_localize("UTC").dt.tz_convert("Asia/Kolkata")}),
        pd.DataFrame({"when": column.astype(object)}),
    ):
        assert bits(encode_frame(frame, features)) == bits(encode(served, features))


def test_the_parts_of_a_time_are_those_of_utc() -> None:
    features: list[Feature] = [{"name": "when", "kind": "date"}]
    rows: list[dict[str, Any]] = [
        {"when": "2016-03-01T01:30:00.25+05:30"},
        {"when": "1969-12-31"},
        {"when": None},
    ]
    found = encode(rows, features).tolist()
    assert found[:7] == [2016, 2, 29, 0, 20, 60, 1456776000.25]
    assert found[7:14] == [1969, 12, 31, 2, 0, 365, -86400]
    assert all(math.isnan(part) for part in found[14:])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2013-01-01\0", "another text"),
        ("yesterday", "another text"),
        ("", "another text"),
        ("2013-02-30", "another text"),
        ("0001-01-01T00:00:00+05:00", "another text"),
        ("2013-01-01T00:00:00." + "0" * 100, "another text"),
        (20130101, "a number"),
        (True, "a truth value"),
    ],
)
def test_what_is_no_time_is_refused_with_row_and_column(value: object, found: str) -> None:
    features: list[Feature] = [{"name": "when", "kind": "date"}]
    rows: list[dict[str, Any]] = [{"when": "2013-01-01"}, {"when": None}, {"when": value}]
    wanted = f"row 2, column 'when': expected an ISO 8601 time or null, found {found}"
    with pytest.raises(DataError, match=wanted) as refused:
        encode(rows, features)
    assert repr(value) not in str(refused.value)
    with pytest.raises(DataError, match="row 2, column 'when': expected an ISO 8601 time or null"):
        encode_frame(pd.DataFrame(rows, dtype=object), features)


def test_a_number_is_flagged_then_filled_then_clipped() -> None:
    feature: Feature = {
        "name": "x", "kind": "numeric", "fill": 99.0, "flag": True, "low": -5.0, "high": 10.0,
    }  # fmt: skip
    rows: list[dict[str, Any]] = [{"x": value} for value in (None, 3, -math.inf, 1e9, -0.0)]
    wanted = [10.0, 1.0, 3.0, 0.0, -5.0, 0.0, 10.0, 0.0, -0.0, 0.0]
    assert bits(encode(rows, [feature])) == bits(wanted)


def test_a_zero_keeps_its_sign_at_a_bound_of_zero() -> None:
    feature: Feature = {"name": "x", "kind": "numeric", "low": 0.0, "high": 0.0}
    rows: list[dict[str, Any]] = [{"x": -0.0}, {"x": 0.0}, {"x": -1.0}]
    assert bits(encode(rows, [feature])) == bits([-0.0, 0.0, 0.0])
    assert bits(encode_frame(pd.DataFrame(rows), [feature])) == bits([-0.0, 0.0, 0.0])


def test_rare_and_unseen_categories_share_the_last_code_and_null_has_that_of_its_fill() -> None:
    feature: Feature = {
        "name": "c", "kind": "categorical", "categories": ["a", "b"], "other": True, "fill": "b",
    }  # fmt: skip
    rows: list[dict[str, Any]] = [{"c": value} for value in ("a", None, "z", 5, "")]
    assert encode(rows, [feature]).tolist() == [0, 1, 2, 2, 2]
    feature["fill"] = "too rare to have a code"
    assert encode(rows[1:2], [feature]).tolist() == [2]


def test_similar_texts_share_ngrams_and_different_ones_do_not() -> None:
    features: list[Feature] = [{"name": "note", "kind": "text", "buckets": 4096}]
    rows = [{"note": text} for text in ("Late crew", "LATE CREWS", "fog", "", None)]
    late, later, fog, empty, null = np.reshape(encode(rows, features), (5, 4096))
    assert np.minimum(late, later).sum() == 8
    assert np.minimum(late, fog).sum() == 0
    assert empty.sum() == 0
    assert np.isnan(null).all()


@pytest.mark.parametrize("dtype", [object, "string", "category"])
def test_texts_are_told_apart_beyond_a_nul(dtype: Any) -> None:
    column = pd.Series(["a", "a\0b", "a\0", ""]).iloc[::-1].astype(object)
    if dtype == "category":
        kinds = pd.CategoricalDtype(pd.Index(["a", "a\0", "a\0b", ""], dtype=object))
        column = pd.Series(pd.Categorical.from_codes([3, 1, 2, 0], dtype=kinds))
    frame = pd.DataFrame({"c": column.astype(dtype)})
    features = fit(frame, categorical=("c",))
    assert features[0]["categories"] == ["", "a", "a\0", "a\0b"]
    assert encode_frame(frame, features).ravel().tolist() == [0, 2, 3, 1]


def test_long_and_many_texts_are_counted_alike_in_portions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("retrue.frame_columns._CHUNK_CHARACTERS", 50)
    rows = [{"note": "late crew " * (i % 9) + str(i)} for i in range(60)] + [{"note": ""}]
    features: list[Feature] = [{"name": "note", "kind": "text", "buckets": 8}]
    assert bits(encode_frame(pd.DataFrame(rows), features)) == bits(encode(rows, features))


def test_a_request_that_would_fill_the_memory_is_refused() -> None:
    features: list[Feature] = [{"name": "note", "kind": "text", "buckets": 4096}]
    rows = [{"note": ""}] * (MAX_CELLS // 4096 + 1)
    with pytest.raises(DataError, match="rows: expected at most 4096 rows, found 4097"):
        encode(rows, features)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float32", "int8", "UInt64", "object"])
def test_every_numeric_dtype_is_encoded_by_value(dtype: str) -> None:
    column = pd.Series([1, 5, 7], dtype=dtype)
    features: list[Feature] = [{"name": "x", "kind": "numeric"}]
    assert encode_frame(pd.DataFrame({"x": column}), features).ravel().tolist() == [1, 5, 7]
    categories = fit(pd.DataFrame({"x": column}), categorical=("x",))[0]["categories"]
    assert categories == ["1", "5", "7"]


@pytest.mark.parametrize("null", [None, np.nan, pd.NA, pd.NaT])
def test_every_kind_of_null_is_nan_and_no_category(null: object) -> None:
    frame = pd.DataFrame({"x": pd.Series([1.5, null], dtype=object), "c": ["a", null]})
    features = fit(frame, numeric=("x",), categorical=("c",))
    assert features[1]["categories"] == ["a"]
    assert [math.isnan(value) for value in encode_frame(frame, features)[1]] == [True, True]


def test_category_columns_and_bools_are_read_by_their_texts() -> None:
    frame = pd.DataFrame({"c": pd.Categorical(["b", "a", None]), "t": [True, False, True]})
    features = fit(frame, categorical=("c", "t"))
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


@given(
    rows=st.lists(
        st.fixed_dictionaries({"number": NUMBERS | MIXED, "category": MIXED | TEXTS}),
        min_size=1,
        max_size=6,
    )
)
def test_many_rows_are_encoded_as_each_is_alone(rows: list[dict[str, Any]]) -> None:
    features: list[Feature] = [
        {"name": "number", "kind": "numeric"},
        {"name": "category", "kind": "categorical", "categories": ["1", "UA", "true"]},
    ]
    many = rows * 20  # enough to be encoded by columns
    try:
        alone = [value for row in rows for value in encode([row], features)]
    except DataError as error:
        # The first row that is wrong is named, here as there.
        bad = next(i for i, row in enumerate(rows) if _is_refused(row, features))
        with pytest.raises(DataError) as refused:
            encode(many, features)
        assert str(refused.value) == str(error).replace("row 0,", f"row {bad},")
    else:
        wanted = np.array(alone * 20).tobytes()
        assert encode(many, features).tobytes() == wanted


def _is_refused(row: dict[str, Any], features: list[Feature]) -> bool:
    try:
        encode([row], features)
    except DataError:
        return True
    return False
