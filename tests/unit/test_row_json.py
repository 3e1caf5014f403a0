"""Rows as JSON keep every value: digits, signs, missing ones and times."""

import json
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue.row_json import rows_as_json, values_as_json

numbers = st.floats(allow_nan=True, allow_infinity=False)
texts = st.text() | st.none()
times = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(
    lambda t: t.replace(tzinfo=UTC)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(numbers, texts, times, st.integers(-(2**60), 2**60), st.booleans())))
def test_every_value_comes_back(rows: list[tuple[float, str | None, datetime, int, bool]]) -> None:
    frame = pd.DataFrame(rows, columns=["x", "s", "t", "i", "b"])
    frame = frame.astype({"x": float, "i": np.int64, "b": bool, "s": "category"})
    frame["t"] = pd.to_datetime(frame["t"], utc=True).astype("datetime64[us, UTC]")

    found = [json.loads(line) for line in rows_as_json(frame)]

    assert [list(one) for one in found] == [["x", "s", "t", "i", "b"]] * len(rows)
    for one, (x, s, t, i, b) in zip(found, rows, strict=True):
        assert one["x"] is None if math.isnan(x) else repr(one["x"]) == repr(x)
        assert (one["s"], one["i"], one["b"]) == (s, i, b)
        assert datetime.fromisoformat(one["t"]) == t


def test_what_json_has_no_word_for() -> None:
    assert values_as_json(pd.Series([np.inf, -np.inf, np.nan, -0.0])) == [
        '"inf"',
        '"-inf"',
        "null",
        "-0.0",
    ]
    assert values_as_json(pd.Series([True, None, False])) == ["true", "null", "false"]
    assert values_as_json(pd.Series(["a\n", None]), "x: ") == ['x: "a\\n"', "x: null"]


def test_whole_seconds_are_written_without_a_fraction_and_zones_with_an_offset() -> None:
    start = pd.Timestamp("2024-01-01T12:00:00")
    whole = pd.Series(pd.DatetimeIndex([start, pd.NaT]))

    assert values_as_json(whole) == ['"2024-01-01T12:00:00"', "null"]
    assert (
        values_as_json(pd.Series(pd.DatetimeIndex(whole, tz="Europe/Berlin")))[0]
        == '"2024-01-01T11:00:00+00:00"'
    )
    fraction = pd.Series([start + timedelta(microseconds=5)])
    assert values_as_json(fraction) == ['"2024-01-01T12:00:00.000005"']


def test_a_table_without_columns_or_rows() -> None:
    assert list(rows_as_json(pd.DataFrame(index=range(2)))) == ["{}", "{}"]
    assert list(rows_as_json(pd.DataFrame({"x": pd.Series(dtype=float)}))) == []
