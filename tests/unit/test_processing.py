"""Fitting of the processing, and the names of the matrix's columns."""

import json
import math
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retrue.config import Features, Processing
from retrue.encoding_frame import (
    categorical_columns,
    encode_frame,
    encode_table,
    matrix_columns,
)
from retrue.errors import ConfigError, DataError
from retrue.processing import fit_features
from retrue.serving.encoding import encode, n_columns
from retrue.serving.features import Feature

EVERY = Features(numeric=("x",), categorical=("c",), dates=("when",), text=("note",))
ALL_DONE = Processing(
    fill={"x": "median", "c": "most_frequent"},
    flag_missing=("x",),
    clip={"x": (0.1, 0.9)},
    rare_below=2,
    text_buckets=4,
)
NUMBERS = st.sampled_from([None, 0.0, -0.0, 1.0, 1e308, -1e308, math.inf, -math.inf]) | st.floats()
ROWS = st.tuples(NUMBERS, st.sampled_from(["a", "b", "ß", None, 1, True]))


def numeric(values: list[Any], **processing: Any) -> Feature:
    frame = pd.DataFrame({"x": pd.Series(values, dtype="float64")})
    return fit_features(frame, Features(numeric=("x",)), Processing(**processing))[0]


def categorical(values: list[Any], **processing: Any) -> Feature:
    frame = pd.DataFrame({"c": pd.Series(values, dtype=object)})
    return fit_features(frame, Features(categorical=("c",)), Processing(**processing))[0]


def frame_of(rows: list[tuple[Any, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "x": pd.Series([row[0] for row in rows], dtype="float64"),
            "c": pd.Series([row[1] for row in rows], dtype=object),
            "when": pd.Timestamp("2013-01-01", tz="UTC"),
            "note": "late",
        }
    )


@pytest.mark.parametrize("processing", [Processing(), ALL_DONE])
@given(rows=st.lists(ROWS, max_size=12))
def test_a_table_holds_what_the_matrix_holds(
    processing: Processing, rows: list[tuple[Any, Any]]
) -> None:
    frame = frame_of(rows)
    features = fit_features(frame, EVERY, processing)

    table, matrix = encode_table(frame, features), encode_frame(frame, features)

    assert table.column_names == matrix_columns(features)
    columns = [one.to_numpy() for one in table.columns]
    np.testing.assert_array_equal(np.column_stack(columns).astype(np.float64), matrix)


def test_numbers_as_they_are_are_not_copied_for_the_table() -> None:
    frame = pd.DataFrame({"x": [0.5, math.nan]})
    feature = Feature(name="x", kind="numeric")
    (column,) = encode_table(frame, [feature]).columns
    assert np.shares_memory(column.chunk(0).to_numpy(), frame["x"].to_numpy())


@given(
    rows=st.lists(ROWS, max_size=12),
    order=st.randoms(use_true_random=False),
    rule=st.sampled_from(["median", "mean", "most_frequent"]),
    share=st.floats(0, 1),
)
def test_the_order_of_the_rows_changes_nothing(
    rows: list[tuple[Any, Any]], order: Any, rule: str, share: float
) -> None:
    processing = ALL_DONE.model_copy(
        update={"fill": {"x": rule, "c": "most_frequent"}, "clip": {"x": (share / 2, share)}}
    )
    shuffled = order.sample(rows, len(rows))
    texts = [
        # As JSON: -0.0 and 0.0 are equal, and yet other bits.
        json.dumps(fit_features(frame_of(some), EVERY, processing), allow_nan=False)
        for some in (rows, shuffled)
    ]
    assert texts[0] == texts[1]


@given(rows=st.lists(ROWS, max_size=12), rule=st.sampled_from(["median", "mean", "most_frequent"]))
@example(rows=[(1.7e308, None)] * 2, rule="median")  # their sum is no number
@example(rows=[(0.97, None)] * 3, rule="mean")  # a third of their sum is above 0.97
def test_a_fill_and_bounds_lie_among_the_finite_values(
    rows: list[tuple[Any, Any]], rule: str
) -> None:
    found = numeric([row[0] for row in rows], fill={"x": rule}, clip={"x": (0.2, 0.8)})
    finite = [row[0] for row in rows if row[0] is not None and math.isfinite(row[0])]
    if not finite:
        assert found == {"name": "x", "kind": "numeric"}
        return
    fill, low, high = found["fill"], found["low"], found["high"]
    assert isinstance(fill, float)
    assert min(finite) <= fill <= max(finite)
    assert low in finite
    assert high in finite
    assert low <= high


def test_what_was_fitted_on_the_training_rows_is_used_on_others_as_it_is() -> None:
    train = frame_of([(float(i % 10), "ab"[i % 2]) for i in range(20)] + [(None, "rare")])
    other = frame_of([(1e6, "unseen"), (None, None), (-1e6, "rare"), (5.0, "b")])
    features = fit_features(train, EVERY, ALL_DONE)
    assert features[0] == {
        "name": "x", "kind": "numeric", "flag": True, "fill": 4.5, "low": 0.0, "high": 8.0,
    }  # fmt: skip
    assert features[1] == {
        "name": "c", "kind": "categorical", "categories": ["a", "b"], "other": True, "fill": "a",
    }  # fmt: skip
    before = other.copy()
    matrix = encode_frame(other, features)
    assert matrix[:, 0].tolist() == [8.0, 4.5, 0.0, 5.0]
    assert matrix[:, 1].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert matrix[:, 2].tolist() == [2.0, 0.0, 2.0, 1.0]
    pd.testing.assert_frame_equal(other, before)


def test_without_processing_a_feature_is_what_it_always_was() -> None:
    assert numeric([1.0, None]) == {"name": "x", "kind": "numeric"}
    found = categorical(["b", "a", None, "b"])
    assert found == {"name": "c", "kind": "categorical", "categories": ["a", "b"]}


@pytest.mark.parametrize(
    ("rule", "wanted"), [("median", 2.0), ("mean", 2.75), ("most_frequent", 1.0), (-3, -3.0)]
)
def test_each_rule_fills_with_its_number(rule: str | float, wanted: float) -> None:
    values = [1, math.inf, 6, None, 1, 3, -math.inf]
    assert numeric(values, fill={"x": rule})["fill"] == wanted


def test_infinities_are_clipped_to_the_bounds_of_the_finite_values() -> None:
    feature = numeric([math.inf] * 5 + [1.0, 2.0, 3.0] + [-math.inf], clip={"x": (0.0, 1.0)})
    assert (feature["low"], feature["high"]) == (1.0, 3.0)
    rows: list[dict[str, Any]] = [{"x": math.inf}, {"x": -math.inf}, {"x": None}]
    assert encode(rows, [feature]).tolist()[:2] == [3.0, 1.0]


@pytest.mark.parametrize("fill", ["often", math.nan, math.inf])
def test_a_fill_that_is_no_rule_and_no_number_is_refused(fill: str | float) -> None:
    with pytest.raises(ConfigError, match="processing.fill of 'x': expected median, mean"):
        numeric([1.0], fill={"x": fill})


def test_a_text_to_fill_with_becomes_a_category_though_no_training_row_has_it() -> None:
    found = categorical(["a", "b"], fill={"c": "unknown"})
    assert found["categories"] == ["a", "b", "unknown"]
    assert encode([{"c": None}], [found]).tolist() == [2]


def test_filled_rows_count_when_rare_categories_are_sought() -> None:
    values = ["a"] * 3 + ["b"] + [None] * 3
    found = categorical(values, fill={"c": "unknown"}, rare_below=3)
    assert found["categories"] == ["a", "unknown"]
    found = categorical(values, fill={"c": "unknown"}, rare_below=4)
    assert found["categories"] == []
    assert encode([{"c": None}, {"c": "a"}], [found]).tolist() == [0, 0]


def test_values_of_one_text_are_one_category_when_counted() -> None:
    values = [5, "5", 5.0, "6"]
    assert categorical(values, rare_below=3)["categories"] == ["5"]
    frame = pd.DataFrame({"c": pd.Categorical([*values, "5"], categories=["6", 5, "5"])})
    names = Features(categorical=("c",))
    assert fit_features(frame, names, Processing(rare_below=4))[0]["categories"] == ["5"]


@pytest.mark.parametrize(
    "rows",
    [[], [(None, None)] * 3, [(1.0, "a")] * 3, [(math.inf, "a"), (-math.inf, None)]],
    ids=["empty", "all null", "constant", "infinite"],
)
def test_poor_training_rows_do_not_stop_it(rows: list[tuple[Any, Any]]) -> None:
    frame = frame_of(rows)
    if rows and rows[0][0] is None:
        frame = frame.assign(when=pd.Series(pd.NaT, frame.index), note=None)
    features = fit_features(frame, EVERY, ALL_DONE)
    assert encode_frame(frame, features).shape == (len(rows), n_columns(features))
    unknown = [{"x": 5.0, "c": "z", "when": "2013-01-01T00:00:00Z", "note": ""}]
    assert len(encode(unknown, features)) == n_columns(features)


@pytest.mark.parametrize("absent", ["x", "c", "when", "note"])
def test_a_missing_training_column_is_named(absent: str) -> None:
    frame = frame_of([(1.0, "a")]).drop(columns=absent)
    with pytest.raises(DataError, match=f"column '{absent}': .*no such column"):
        fit_features(frame, EVERY, Processing())


NAMES = st.lists(
    st.text(max_size=4) | st.sampled_from(["temp", "temp__missing", "a b", "a_b", "a:b", "", "é"]),
    unique=True,
    min_size=1,
    max_size=5,
)


def test_columns_are_named_after_their_feature_and_part() -> None:
    features = fit_features(frame_of([(1.0, "a")]), EVERY, ALL_DONE)
    parts = ("year", "month", "day", "weekday", "hour", "day_of_year", "seconds")
    assert matrix_columns(features) == [
        *("x", "x__missing", "c"),
        *(f"when__{part}" for part in parts),
        *(f"note__{i}" for i in range(4)),
    ]
    assert categorical_columns(features) == ["c"]


@given(names=NAMES, flagged=st.booleans())
def test_lightgbm_takes_the_names_whatever_the_columns_are_called(
    names: list[str], flagged: bool
) -> None:
    features: list[Feature] = [
        {"name": name, "kind": "numeric", "flag": flagged} if i % 2 else
        {"name": name, "kind": "categorical", "categories": ["a", "b"]}
        for i, name in enumerate(names)
    ]  # fmt: skip
    columns = matrix_columns(features)
    assert len(set(columns)) == len(columns) == n_columns(features)
    matrix = np.tile([[0.0], [1.0]], (20, len(columns)))
    data = lightgbm.Dataset(
        matrix,
        np.tile([0.0, 1.0], 20),
        feature_name=columns,
        categorical_feature=categorical_columns(features),
        params={"verbosity": -1, "min_data_in_bin": 1},
    )
    booster = lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1}, data, 1)
    again = lightgbm.Booster(model_str=booster.model_to_string())
    assert again.feature_name() == columns
