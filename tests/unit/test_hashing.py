"""The content hash sees every value and nothing but the values."""

import struct
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue.errors import DataError
from retrue.hashing import canonical_order, content_sha256

FRAME = pd.DataFrame(
    {
        "id": [3, 1, 2],
        "x": [0.1, np.nan, -0.0],
        "s": ["b", None, "a"],
        "t": pd.to_datetime(
            ["2024-01-01", "NaT", "2024-01-02T03:04:05.000006"], utc=True, format="ISO8601"
        ),
        "b": [True, False, True],
    }
)
SHA = content_sha256(FRAME, ["id"])


def test_the_scheme_is_pinned() -> None:
    assert SHA == "c299040664beeedd563ca93a1e04d537c8f401f50e485d3618faaa9ae9fcebdd"


@pytest.mark.parametrize(
    "same",
    [
        FRAME.iloc[::-1],
        FRAME[FRAME.columns[::-1]],
        FRAME.set_index(pd.Index([7, 8, 9])),
        FRAME.astype({"s": "category"}),
        FRAME.assign(s=pd.Categorical(FRAME["s"], categories=["unused", "b", "a"])),
        FRAME.astype({"id": "int8"}),
        FRAME.assign(t=FRAME["t"].dt.tz_convert("America/New_York")),
        FRAME.astype({"t": "datetime64[us, UTC]"}),
        FRAME.assign(s=["b", np.nan, "a"]),
        FRAME.assign(x=[0.1, struct.unpack("<d", b"\1\0\0\0\0\0\xf8\xff")[0], -0.0]),
        pd.concat([FRAME[:1], FRAME[1:]]),
    ],
)
def test_order_layout_and_width_do_not_matter(same: pd.DataFrame) -> None:
    assert content_sha256(same, ["id"]) == SHA


@pytest.mark.parametrize(
    "other",
    [
        FRAME.assign(x=[0.1, np.nan, 0.0]),
        FRAME.assign(x=[np.nextafter(0.1, 1), np.nan, -0.0]),
        FRAME.assign(x=[0.1, 0.0, -0.0]),
        FRAME.assign(s=["b", "", "a"]),
        FRAME.assign(s=["b", "None", "a"]),
        FRAME.assign(s=["b", "nan", "a"]),
        FRAME.assign(id=[3.0, 1.0, 2.0]),
        FRAME.assign(id=["3", "1", "2"]),
        FRAME.assign(b=[1, 0, 1]),
        FRAME.assign(t=FRAME["t"].dt.tz_localize(None)),
        FRAME.assign(t=FRAME["t"] + pd.Timedelta(microseconds=1)),
        FRAME.rename(columns={"x": "y"}),
        FRAME.rename(columns={"x": "s", "s": "x"}),
        FRAME.drop(columns="b"),
        FRAME[:2],
        pd.concat([FRAME, FRAME[:1]]),
    ],
)
def test_every_change_of_a_value_is_seen(other: pd.DataFrame) -> None:
    assert content_sha256(other, ["id"]) != SHA


def test_texts_cannot_run_into_each_other() -> None:
    one, two = (
        pd.DataFrame({"a": a, "b": b}) for a, b in ((["x", "yz"], [1, 2]), (["xy", "z"], [1, 2]))
    )

    assert content_sha256(one, ["b"]) != content_sha256(two, ["b"])


def test_a_value_that_cannot_be_stored_is_refused_with_its_column() -> None:
    with pytest.raises(DataError, match=r"column s: .* found int"):
        content_sha256(FRAME.assign(s=["b", 1, "a"]), ["id"])
    with pytest.raises(DataError, match=r"column c: .* found complex128"):
        content_sha256(FRAME.assign(c=[1j, 2j, 3j]), ["id"])


rows = st.lists(
    st.tuples(
        st.integers(-2, 2),
        st.one_of(st.none(), st.sampled_from(["a", "b", "é"])),
        st.one_of(st.sampled_from([0.0, -0.0, np.nan, np.inf]), st.floats()),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(rows, st.randoms(use_true_random=False), st.booleans())
def test_any_order_of_rows_has_one_hash_even_where_keys_tie(
    values: list[tuple[int, str | None, float]], random: "np.random.Generator", category: bool
) -> None:
    kinds = {"k": "int64", "s": "category" if category else "object", "x": "float64"}
    frame = pd.DataFrame(values, columns=list(kinds)).astype(kinds)
    shuffled = list(range(len(values)))
    random.shuffle(shuffled)

    assert content_sha256(frame.iloc[shuffled], ["k"]) == content_sha256(frame, ["k"])


wide = st.integers(-(2**63), 2**63 - 1)
narrow = st.integers(-3, 3)


@given(st.lists(st.tuples(narrow, wide, narrow, narrow, st.booleans()), max_size=30))
def test_keys_that_are_packed_sort_as_they_would_apart(keys: list[tuple[int | bool, ...]]) -> None:
    columns = [np.array(c, np.int64) for c in zip(*keys, strict=True)] or [np.empty(0, np.int64)]
    frame = pd.DataFrame({str(i): column for i, column in enumerate(columns)})

    order = canonical_order(frame, list(frame.columns))

    assert [keys[i] for i in order] == sorted(keys)


def test_a_third_of_a_million_rows_take_well_under_a_second() -> None:
    n = 336_776
    columns = {f"x{i}": np.arange(n) / (i + 3) for i in range(35)}
    frame = pd.DataFrame(columns).assign(id=np.arange(n)[::-1])

    start = time.process_time()
    content_sha256(frame, ["id"])

    assert time.process_time() - start < 1.0
