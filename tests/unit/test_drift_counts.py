"""Counts of a reference and a window: one pass, parts that add up, a size that does not grow."""

import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue.config import Features
from retrue.drift import categories, numbers, statistics
from retrue.drift import reference as kept
from retrue.drift.categories import CategoricalReference
from retrue.drift.counts import Numbers
from retrue.drift.numbers import NumericReference
from retrue.drift.reference import Reference, from_bytes, summarise, to_bytes
from retrue.drift.window import Window, tally, tally_all

FEATURES = Features(numeric=("x", "k"), categorical=("c",))
VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-5, 5).map(float),
    st.sampled_from([0.1, 0.2, 0.30000000000000004, 1e300, -1e300, 5e-324, -0.0]),
)


def table(seed: int, n: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": np.where(rng.random(n) < 0.1, np.nan, rng.normal(0, 1, n)),
            "k": rng.integers(0, 9, n),
            "c": pd.Series(rng.choice(["a", "b", f"only{seed}"], n)).where(rng.random(n) > 0.05),
        }
    )


def plain(counts: Any) -> Any:
    """What may be compared: arrays by their bytes, sums to rounding."""
    if isinstance(counts, Numbers):
        sums = [float(f"{one:.9e}") for one in counts.sums]
        return counts.values.tolist(), counts.counts.tolist(), sums, counts.n_missing, counts.ends
    return dict(sorted(counts.counts.counts.items())), dict(sorted(counts.new.counts.items()))


def same(one: Window, other: Window) -> bool:
    assert one.n_rows == other.n_rows
    assert {n: plain(c) for n, c in one.columns.items()} == {
        n: plain(c) for n, c in other.columns.items()
    }
    pd.testing.assert_frame_equal(
        one.sample.reset_index(drop=True), other.sample.reset_index(drop=True)
    )
    return True


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES, max_size=60), st.lists(VALUES, max_size=60))
def test_every_value_is_counted_where_it_belongs(a: list[float], b: list[float]) -> None:
    reference = numbers.summarise(np.array(a, np.float64))
    grid = sorted({one for one in a if one == one})
    assert reference.counts.values.tolist() == grid
    found = Numbers.none(reference.counts.grid).add(np.array(b, np.float64))
    assert found.at.tolist() == [b.count(one) for one in grid]
    ends = [-np.inf, *grid, np.inf]
    strays = [one for one in b if one == one and one not in grid]
    between = [
        [x for x in strays if (low < x or low == ends[0]) and (x < high or i == len(grid))]
        for i, (low, high) in enumerate(pairwise(ends))
    ]
    if not (grid and (np.isinf(grid[0]) or np.isinf(grid[-1]))):
        assert found.between.tolist() == [len(part) for part in between]
    assert found.n + found.n_missing == len(b)
    present = [one for one in b if one == one]
    if present:
        assert found.ends == (min(present), max(present))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=2, max_size=4), st.integers(0, 2**31))
def test_parts_of_a_window_add_up_in_any_order(sizes: list[int], seed: int) -> None:
    reference = summarise(table(0, 500), FEATURES)
    frames = [table(i + 1, n) for i, n in enumerate(sizes)]
    parts = [tally(reference, frame, 50, seed, i) for i, frame in enumerate(frames)]
    forth, back = parts[0], parts[-1]
    for one in parts[1:]:
        forth = forth.merge(one)
    for one in parts[-2::-1]:
        back = one.merge(back)
    assert same(forth, back)
    whole = tally(reference, pd.concat(frames, ignore_index=True), 50, seed)
    assert {n: plain(c) for n, c in forth.columns.items()} == {
        n: plain(c) for n, c in whole.columns.items()
    }


def test_a_window_does_not_grow_with_its_rows() -> None:
    reference = summarise(table(0, 20_000), FEATURES)

    def size(n_batches: int) -> int:
        batches = (
            table(i, 2_000).assign(c=[f"id{i}-{k}" for k in range(2_000)]) for i in range(n_batches)
        )
        window = tally_all(reference, batches, 500, 7)
        assert window is not None and window.n_rows == 2_000 * n_batches
        return len(pickle.dumps(window))

    assert size(12) < 1.05 * size(3)


def test_the_sample_holds_each_row_with_the_same_chance() -> None:
    reference = summarise(pd.DataFrame({"x": [0.0]}), Features(numeric=("x",)))
    frame = pd.DataFrame({"x": np.arange(300.0)})
    drawn = np.zeros(300)
    for seed in range(400):
        window = tally_all(reference, (frame[:30], frame[30:200], frame[200:]), 60, seed)
        assert window is not None
        drawn[window.sample["x"].to_numpy(int)] += 1
    assert drawn.sum() == 400 * 60
    # Each row 80 times on average, with a standard deviation of 8.
    assert drawn.min() > 45 and drawn.max() < 120
    assert abs(drawn[:30].mean() - 80) < 5 and abs(drawn[200:].mean() - 80) < 3


def test_a_reference_of_parts_is_that_of_the_whole_while_values_are_few() -> None:
    a, b = table(0, 3_000), table(1, 2_000)
    whole = summarise(pd.concat([a, b], ignore_index=True), FEATURES)
    merged = summarise(a, FEATURES).merge(summarise(b, FEATURES))
    assert to_bytes(from_bytes(to_bytes(merged))) == to_bytes(merged)
    for name in ("x", "k"):
        one, other = merged.columns[name], whole.columns[name]
        assert isinstance(one, NumericReference) and isinstance(other, NumericReference)
        assert one.is_exact and plain(one.counts) == plain(other.counts)
        assert (one.mean, one.sd) == pytest.approx((other.mean, other.sd))
    assert merged.columns["c"] == whole.columns["c"]


def test_merged_quantiles_stay_within_the_error_they_state() -> None:
    rng = np.random.default_rng(5)
    parts = [rng.normal(i / 10, 1, 20_000) for i in range(6)]
    merged = numbers.summarise(parts[0])
    for part in parts[1:]:
        merged = merged.merge(numbers.summarise(part))
    current = rng.normal(0.3, 1.1, 30_000)
    whole = numbers.summarise(np.concatenate(parts))
    counts = Numbers.none(merged.counts.grid).add(current)
    found = statistics.ks_distance(merged.counts, counts)
    from scipy.stats import ks_2samp

    truth = ks_2samp(np.concatenate(parts), current, method="asymp").statistic
    assert not merged.is_exact and merged.ks_error < 0.01
    assert abs(found - truth) <= merged.ks_error
    assert (merged.mean, merged.sd) == pytest.approx((whole.mean, whole.sd))


def test_a_stored_reference_counts_as_the_one_that_was_stored() -> None:
    many = pd.DataFrame({"x": np.random.default_rng(0).normal(size=30_000)}).assign(
        k=np.nan, c=[f"t{i % 20_000}" for i in range(30_000)]
    )
    reference = summarise(many, FEATURES, {"score": pd.Series([0.5, np.nan, 0.25])})
    again = from_bytes(to_bytes(reference))
    assert to_bytes(again) == to_bytes(reference)
    current = table(3, 1_000)
    assert same(tally(reference, current, 100, 1), tally(again, current, 100, 1))
    listed = again.columns["c"]
    assert isinstance(listed, CategoricalReference)
    assert len(listed.counts.counts) == categories.MOST_LISTED and listed.counts.n == 30_000
    score = again.outputs["score"]
    assert isinstance(score, NumericReference) and (score.mean, score.counts.n_missing) == (
        0.375,
        1,
    )


def test_categories_are_counted_alike_as_texts_as_pandas_categories_and_with_nulls() -> None:
    texts = pd.Series(["a", None, "b", "a", np.nan], dtype=object)
    expected = ({"a": 2, "b": 1}, 2)
    for column in (texts, texts.astype("category"), texts.astype("string")):
        counts, n_missing = categories.count(column)
        assert (dict(counts), n_missing) == expected
    whole = pd.Series([1, 2, 2]), pd.Series([1.0, 2.0, 2.0]), pd.Series([1, 2, 2, None])
    assert {tuple(sorted(categories.count(one)[0].items())) for one in whole} == {
        (("1", 1), ("2", 2))
    }


def test_new_categories_beyond_the_bound_count_as_one_in_any_order() -> None:
    reference = summarise(table(0, 100), FEATURES)
    many = table(1, 1_500).assign(c=[f"n{i}" for i in range(1_500)])
    few = table(2, 10).assign(c="n1")
    a, b = tally(reference, many, 10, 0, 0), tally(reference, few, 10, 0, 1)
    for found in (a.merge(b), b.merge(a)):
        column = found.columns["c"]
        assert isinstance(column, categories.WindowCategories)
        assert (column.new.counts, column.new.n) == ({}, 1_510)


def test_a_column_that_is_missing_or_no_number_is_named() -> None:
    reference: Reference = summarise(table(0, 100), FEATURES)
    with pytest.raises(ValueError, match="the current rows lack the columns k, c"):
        tally(reference, table(1, 10)[["x"]], 10, 0)
    with pytest.raises(ValueError, match="x: Unable to parse"):
        tally(reference, table(1, 10).astype({"x": object}).assign(x="calm"), 10, 0)
    with pytest.raises(ValueError, match="x: Unable to parse"):
        kept.summarise(table(1, 10).assign(x="calm"), FEATURES)


def test_values_too_rare_for_the_probe_are_counted_like_all_others() -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 20, 100_000).astype(np.float64)
    x[[11, 111, 1_111]] = 77.5, 77.5, -3.0
    x[::1_001] = np.nan
    found = numbers.summarise(x).counts
    values, counts = np.unique(x[~np.isnan(x)], return_counts=True)
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_array_equal(found.at, counts)
    assert found.n_missing == 100
