"""How columns moved: against scipy, by hand, and where there is nothing to compare."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from retrue.data_shift import shift

values = st.lists(st.integers(-3, 3) | st.floats(-5, 5), min_size=1, max_size=40)


@settings(max_examples=100, deadline=None)
@given(values, values)
def test_ks_is_that_of_scipy(a: list[float], b: list[float]) -> None:
    found = shift("x", pd.Series(a, dtype=float), pd.Series(b, dtype=float))

    with warnings.catch_warnings(action="ignore"):  # of p-values that need more memory or rows
        expected = stats.ks_2samp(a, b, method="asymp").statistic
    assert found.ks == pytest.approx(expected, abs=1e-12)
    assert found.psi is not None
    assert found.psi >= 0


def test_psi_of_deciles_is_what_the_formula_says() -> None:
    before = pd.Series(np.arange(100.0))
    after = pd.Series([*np.arange(50.0), *np.full(50, 95.0)])
    p = np.full(10, 0.1)
    q = np.array([0.1] * 5 + [1e-4] * 4 + [0.5])

    assert shift("x", before, after).psi == pytest.approx(((q - p) * np.log(q / p)).sum())
    assert shift("x", before, before).psi == 0


def test_a_value_that_all_rows_had_before_is_a_bin_of_its_own() -> None:
    before, after = pd.Series([1.0] * 50), pd.Series([0.0] * 25 + [1.0] * 25)

    assert shift("x", before, after).psi == pytest.approx(shift("x", before, 2 - after).psi)
    assert shift("x", before, after).psi == pytest.approx(
        0.4999 * np.log(0.5 / 1e-4) + -0.5 * np.log(0.5)
    )


def test_numbers_have_mean_median_and_missing_of_both_sides() -> None:
    found = shift("x", pd.Series([1, 2, 3, 10]), pd.Series([1.0, np.nan]))

    assert (found.before.mean, found.before.median, found.before.missing) == (4, 2.5, 0)
    assert (found.after.mean, found.after.median, found.after.missing) == (1, 1, 0.5)
    assert found.before.n_rows == 4


def test_categories_have_shares_and_the_rare_ones_count_as_one() -> None:
    before = pd.Series(["a"] * 60 + ["b"] * 40, dtype="category")
    after = pd.Series(["a"] * 30 + ["c"] * 30 + [None] * 40, dtype="category")

    found = shift("s", before, after)

    assert found.shares == {"b": (0.4, 0), "c": (0, 0.5), "a": (0.6, 0.5)}
    assert (found.before.n_distinct, found.after.n_distinct, found.after.missing) == (2, 2, 0.4)
    assert found.ks is None
    many = pd.Series([f"t{i:04d}" for i in range(2_000)], dtype="category")
    assert shift("s", many, many.iloc[::-1].astype(str)).psi == pytest.approx(0)


def test_times_count_as_seconds() -> None:
    times = pd.Series(pd.to_datetime(["2024-01-01", "2024-01-02", "NaT"], utc=True))

    found = shift("t", times, times + pd.Timedelta(days=30))

    assert found.is_time
    assert found.ks == 1
    assert found.before.median == pd.Timestamp("2024-01-01T12:00Z").timestamp()


@pytest.mark.parametrize("empty", [pd.Series([], dtype=float), pd.Series([np.nan, np.nan])])
def test_where_a_side_has_no_values_nothing_is_claimed(empty: pd.Series) -> None:
    for a, b in ((empty, pd.Series([1.0])), (pd.Series([1.0]), empty), (empty, empty)):
        found = shift("x", a, b)
        assert (found.psi, found.ks) == (None, None)
    texts = shift(
        "s", pd.Series([None, None], dtype="category"), pd.Series(["a"], dtype="category")
    )
    assert (texts.psi, texts.before.missing) == (None, 1)
