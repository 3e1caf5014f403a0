"""Statistics from counts: the figures of SciPy and alibi-detect on the same rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from retrue import data_shift
from retrue.config import Features
from retrue.drift import categories, native, numbers, statistics
from retrue.drift import reference as kept
from retrue.drift.counts import Numbers
from retrue.drift.effects import effect
from retrue.drift.window import tally

Floats = npt.NDArray[np.float64]
N = 6_000


def make(kind: str, seed: int, n: int, moved: float) -> Floats:
    rng = np.random.default_rng(seed)
    draw: dict[str, Callable[[], Floats]] = {
        "all distinct": lambda: rng.normal(moved, 1, n),
        "integers": lambda: rng.poisson(20 + moved, n).astype(float),
        "heavy tail": lambda: np.exp(3 * rng.normal(moved, 1, n)),
        "mostly zero": lambda: np.where(rng.random(n) < 0.9, 0.0, rng.exponential(1 + moved, n)),
        "infinite ends": lambda: np.where(
            rng.random(n) < 0.01, rng.choice([-np.inf, np.inf], n), rng.normal(moved, 1, n)
        ),
        "steps of a tenth": lambda: np.round(rng.normal(moved, 1, n), 1),
    }
    return draw[kind]()


KINDS = (
    "all distinct",
    "integers",
    "heavy tail",
    "mostly zero",
    "infinite ends",
    "steps of a tenth",
)


def counted(reference: Floats, current: Floats) -> tuple[numbers.NumericReference, Numbers]:
    found = numbers.summarise(reference)
    return found, Numbers.none(found.counts.grid).add(current)


@pytest.mark.parametrize("moved", [0.0, 0.3])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_have_scipys_ks_and_wasserstein_and_the_psi_of_data_diffs(
    kind: str, moved: float
) -> None:
    a, b = make(kind, 1, N, 0), make(kind, 2, N - 777, moved)
    ref, cur = counted(a, b)
    assert ref.is_exact
    tested = native.single(ref, cur)
    truth = stats.ks_2samp(a, b, method="asymp")
    assert tested.statistic == pytest.approx(truth.statistic, abs=1e-12)
    assert tested.p_value == pytest.approx(truth.pvalue, abs=2e-4)
    size = effect(ref, cur)
    with np.errstate(invalid="ignore"):  # of means of infinite values, which a difference shows
        psi = data_shift.shift("x", pd.Series(a), pd.Series(b)).psi
    assert size.psi == pytest.approx(psi, rel=1e-9)
    if kind == "infinite ends":
        assert size.wasserstein is None
        return
    assert size.wasserstein is not None
    expected = stats.wasserstein_distance(a, b) / a.std()
    # Where the distributions may cross: gaps of the grid with rows in them.
    gaps = cur.between[1:-1] / cur.n
    slack = float(np.dot(np.diff(ref.counts.values), gaps)) / a.std()
    assert expected - slack - 1e-9 <= size.wasserstein <= expected + 1e-9


@pytest.mark.parametrize("kind", ["integers", "steps of a tenth"])
def test_wasserstein_of_values_on_the_grid_is_scipys_to_the_last_digits(kind: str) -> None:
    a, b = make(kind, 1, N, 0), make(kind, 2, N, 0.3)
    b = b[np.isin(b, a)]
    expected = stats.wasserstein_distance(a, b) / a.std()
    assert effect(*counted(a, b)).wasserstein == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moved", [0.0, 0.01, 0.2])
def test_of_more_distinct_values_ks_is_too_small_by_at_most_the_stated_error(
    kind: str, moved: float
) -> None:
    a, b = make(kind, 1, 60_000, 0), make(kind, 2, 50_000, moved)
    ref, cur = counted(a, b)
    truth = stats.ks_2samp(a, b, method="asymp").statistic
    found = statistics.ks_distance(ref.counts, cur)
    assert ref.ks_error <= 1 / numbers.N_QUANTILES + 1 / len(a)
    assert truth - ref.ks_error - 1e-12 <= found <= truth + 1e-12
    assert ref.is_exact == (len(np.unique(a)) <= numbers.MOST_DISTINCT)


def test_quantiles_keep_psi_exact_and_wasserstein_within_a_thousandth() -> None:
    a, b = make("all distinct", 1, 60_000, 0), make("all distinct", 2, 50_000, 0.1)
    size = effect(*counted(a, b))
    assert size.psi == pytest.approx(
        data_shift.shift("x", pd.Series(a), pd.Series(b)).psi, rel=0.02
    )
    assert size.wasserstein == pytest.approx(stats.wasserstein_distance(a, b) / a.std(), rel=1e-3)


@pytest.mark.parametrize("n_categories", [2, 3, 40])
def test_categories_have_scipys_chi_squared(n_categories: int) -> None:
    rng = np.random.default_rng(n_categories)
    names = np.array([f"c{i}" for i in range(n_categories)])
    weights = rng.dirichlet(np.ones(n_categories))
    a, b = rng.choice(names, 3_000, p=weights), rng.choice(names, 2_000)
    features = Features(categorical=("c",))
    ref = kept.summarise(pd.DataFrame({"c": a}), features)
    window = tally(ref, pd.DataFrame({"c": b}), 10, 0)
    tested = native.single(ref.columns["c"], window.columns["c"])
    table = [[(side == name).sum() for name in np.union1d(a, b)] for side in (a, b)]
    truth = stats.chi2_contingency(table)
    assert tested.statistic == pytest.approx(truth.statistic, rel=1e-9)
    assert tested.p_value == pytest.approx(truth.pvalue, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("n", [50, 100, 1_000, 20_000])
def test_the_p_value_of_ks_is_near_the_distribution_for_finite_n(n: int) -> None:
    distances = np.linspace(0.2, 2.5, 40) / np.sqrt(n)
    # Equal sides of 2 n rows have the n of a single sample.
    found = [statistics.ks_p_value(d, 2 * n, 2 * n) for d in distances]
    apart = np.abs(found - stats.kstwo.sf(distances, n)).max()
    assert apart < (2e-4 if n >= 100 else 5e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 400), st.booleans())
def test_the_one_sided_p_value_is_scipys_exact_one(seed: int, n: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0, 1, n), rng.normal(rng.uniform(-0.5, 0.5), 1, n)
    if ties:
        a, b = np.round(a, 1), np.round(b, 1)
    truth = stats.ks_2samp(a, b, alternative="greater", method="exact").pvalue
    assert statistics.one_sided_p_value(a, b) == pytest.approx(truth, rel=1e-6, abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_corrections_are_those_of_the_books(p_values: list[float]) -> None:
    found = statistics.corrected(p_values, "fdr")
    assert found == pytest.approx(stats.false_discovery_control(p_values), abs=1e-12)
    several = statistics.corrected(p_values, "bonferroni")
    assert several == pytest.approx([min(1.0, p * len(p_values)) for p in p_values])
    assert all(one <= other + 1e-12 for one, other in zip(found, several, strict=True))


@given(st.integers(0, 50), st.integers(1, 500), st.integers(0, 50), st.integers(1, 500))
def test_more_often_is_the_binomial_test_of_two_rates(
    in_reference: int, reference: int, in_current: int, current: int
) -> None:
    found = statistics.more_often(in_reference, reference, in_current, current)
    total = in_reference + in_current
    expected = (
        stats.binomtest(
            in_current, total, current / (reference + current), alternative="greater"
        ).pvalue
        if total
        else 1.0
    )
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-300)


def nulls_of_a_kind(rng: np.random.Generator, n: int) -> dict[str, Callable[[], Any]]:
    return {
        "rare": lambda: rng.choice([f"t{i}" for i in range(5_000)], n),
        "common": lambda: rng.choice(["a", "b", "c"], n),
    }


@pytest.mark.parametrize("kind", ["rare", "common"])
def test_categories_that_are_new_by_chance_are_seldom_an_alarm(kind: str) -> None:
    features, alarms = Features(categorical=("c",)), 0
    for seed in range(100):
        draw = nulls_of_a_kind(np.random.default_rng(seed), 1_500)[kind]
        ref = kept.summarise(pd.DataFrame({"c": draw()}), features)
        window = tally(ref, pd.DataFrame({"c": draw()}), 10, 0)
        found = effect(ref.columns["c"], window.columns["c"])
        assert found.p_new_categories is not None
        alarms += found.p_new_categories < 0.05
    assert alarms <= 12  # of 100 at 5 %: more than that happens once in 900 times


def test_one_new_category_in_a_hundred_rows_is_seen() -> None:
    rng = np.random.default_rng(0)
    features = Features(categorical=("c",))
    ref = kept.summarise(pd.DataFrame({"c": rng.choice(["a", "b"], 5_000)}), features)
    names = rng.choice(["a", "b", "ZZ"], 5_000, p=[0.495, 0.495, 0.01])
    window = tally(ref, pd.DataFrame({"c": names}), 10, 0)
    found = effect(ref.columns["c"], window.columns["c"])
    assert found.new_categories == pytest.approx((names == "ZZ").mean())
    assert found.p_new_categories is not None and found.p_new_categories < 1e-9


def test_categories_that_are_not_listed_are_one_on_both_sides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(categories, "MOST_LISTED", 2)
    rng = np.random.default_rng(0)
    ref = categories.summarise(pd.Series(rng.choice(list("aabbcd"), 3_000)))
    known = frozenset(ref.counts.counts)
    assert known == {"a", "b"}
    current = categories.WindowCategories(known).add(pd.Series(rng.choice(list("aabbcd"), 2_000)))
    p_value = native.single(ref, current).p_value
    assert p_value is not None and p_value > 0.001
