"""What is said about a table is true of it, whatever the table."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from retrue.exploration import Exploration, explore
from retrue.exploration.associations import associate, correlation_ratios, cramers_v, spearman
from retrue.exploration.bins import binned
from retrue.exploration.duplicates import RowHashes, duplicates
from retrue.exploration.importance import Importance
from retrue.exploration.informative import mutual_information
from retrue.exploration.spans import spans
from retrue.exploration.vectors import vector
from tests.unit.exploration_tables import problem, table


@pytest.fixture(scope="module")
def found() -> Exploration:
    return explore(problem(), table())


def test_each_column_is_described_as_pandas_does(found: Exploration) -> None:
    frame = table()
    assert [one.name for one in found.columns] == list(frame.columns)
    for one in found.columns:
        assert one.n_missing == frame[one.name].isna().sum()
        assert one.n_distinct == frame[one.name].nunique()
        assert sum(one.bars) == len(frame) - one.n_missing
    strong = next(one for one in found.columns if one.name == "strong")
    assert float(strong.middle) == pytest.approx(frame["strong"].median(), rel=1e-3)
    flags = {one.name: one.flags for one in found.columns}
    assert flags["same"] == ("constant",)
    assert flags["nothing"] == ("all missing",)
    assert flags["id"] == ("id-like",)
    roles = {one.name: one.role for one in found.columns}
    assert roles["weak"] == "feature (number)"
    assert roles["after"] == "not used"


def test_a_column_written_after_the_fact_is_a_suspect_and_an_honest_one_is_not(
    found: Exploration,
) -> None:
    (suspect,) = found.suspects
    assert suspect.name == "after"
    assert "AUC" in suspect.reason
    assert "missing exactly where the label is" in suspect.reason


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_a_leak_is_found_for_every_task(task: str) -> None:
    frame = table()
    frame["grade"] = np.digitize(frame["y"], [-1, 1]).astype(float)
    frame.loc[frame["y"].isna(), "grade"] = np.nan
    label = {"task": task, "expression": "grade" if task == "multiclass" else "y"}
    found = explore(problem(label=label), frame.drop(columns="y" if task == "multiclass" else []))
    assert "after" in {one.name for one in found.suspects}
    assert "strong" not in {one.name for one in found.suspects}
    if task == "multiclass":
        assert set(found.classes) == {"0", "1", "2"}
        assert sum(found.overall.shares) == pytest.approx(1)
    else:
        assert found.overall.mean == pytest.approx(frame["y"].mean())


def test_the_column_that_makes_the_label_leads_both_importances(found: Exploration) -> None:
    features = [one.name for one in found.informative if one.name in ("strong", "weak", "kind")]
    assert features[0] == "strong"
    assert isinstance(found.importance, Importance)
    assert found.importance.by_time
    assert found.importance.rises[0][0] == "strong"
    assert found.importance.loss < found.importance.no_skill


def test_the_quick_model_is_judged_on_the_newest_rows() -> None:
    frame = table(2000).assign(y=lambda one: one["strong"])
    frame.loc[1500:, "y"] *= -1  # what was learned is wrong from here on
    by_time = explore(problem(), frame).importance
    by_chance = explore(problem(data__time=None), frame).importance
    assert isinstance(by_time, Importance)
    assert isinstance(by_chance, Importance)
    assert (by_time.n_train, by_time.n_holdout) == (1499, 501)
    assert by_time.loss > 2 * by_time.no_skill
    assert by_chance.loss < by_chance.no_skill


def test_the_label_along_a_column_and_over_time_counts_labelled_rows_only(
    found: Exploration,
) -> None:
    frame = table()
    assert found.n_labelled == frame["y"].notna().sum()
    assert found.overall.mean == pytest.approx((frame["y"].dropna() > 0).mean())
    for cells in (found.over_time, *(one.cells for one in found.along)):
        assert sum(cell.n for cell in cells) == found.n_labelled
        for cell in cells:
            assert not cell.n or 0 <= cell.low <= cell.mean <= cell.high <= 1
    assert found.spans is not None
    assert found.spans.unit == "day"
    assert len(found.over_time) == 50


def test_the_same_seed_gives_the_same_figures_and_the_frame_stays_as_it_was() -> None:
    frame = table(400)
    before = frame.copy()
    assert repr(explore(problem(), frame)) == repr(explore(problem(), frame))
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("n_rows", [0, 1, 2, 30])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_tiny_table_is_explored_without_an_error(n_rows: int, task: str) -> None:
    expression = "y > 0" if task == "binary" else "kind" if task == "multiclass" else "y"
    label = {"task": task, "expression": expression}
    features = {"numeric": ["strong", "weak"]}
    found = explore(problem(label=label, features=features), table().iloc[:n_rows])
    assert found.n_rows == n_rows
    assert isinstance(found.importance, str)
    assert found.suspects == () or n_rows > 1


def test_no_time_no_key_and_no_label_leave_their_parts_empty() -> None:
    frame = table(300).assign(y=np.nan)
    found = explore(problem(data__time=None, data__key=[]), frame)
    assert found.spans is None
    assert found.over_time == ()
    assert found.missing.by_span == {}
    assert found.duplicates.n_by_key is None
    assert (found.n_labelled, found.informative, found.along) == (0, (), ())


def test_duplicates_are_found_in_full_and_by_key_with_their_rows() -> None:
    frame = table(100)
    twin = frame.iloc[[10]].assign(weak=99.0)
    found = explore(problem(), pd.concat([frame, frame.iloc[[5]], twin], ignore_index=True))
    assert (found.duplicates.n_full, found.duplicates.n_by_key) == (1, 2)
    assert {frozenset(rows) for rows in found.duplicates.examples} == {
        frozenset({5, 100}),
        frozenset({10, 101}),
    }
    assert set(found.example_keys) == {("5",), ("10",)}


@given(
    st.lists(
        st.tuples(st.integers(-2, 2), st.sampled_from(["", "a", "b"]), st.booleans()), max_size=30
    )
)
def test_duplicates_are_counted_as_pandas_does(rows: list[tuple[int, str, bool]]) -> None:
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    hashes = RowHashes(len(frame))
    for name in frame:
        hashes.add(vector(frame[name]))
    assert duplicates(hashes, None).n_full == frame.duplicated().sum()


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.floats(), st.integers(-5, 5), st.text(max_size=3), st.booleans()),
        max_size=40,
    ),
    st.integers(2, 12),
)
def test_any_column_is_coded_and_every_row_falls_into_one_bin(
    values: list[object], n_bins: int
) -> None:
    series = pd.Series(values, dtype=object, name="x")
    coded = vector(series)
    assert (coded.codes < 0).tolist() == series.isna().tolist()
    assert coded.counts.sum() == series.notna().sum()
    bins = binned(coded, n_bins)
    assert len(bins.labels) <= n_bins + 1
    assert ((bins.codes >= 0) & (bins.codes < max(len(bins.labels), 1))).all()
    gone = coded.codes < 0
    assert not gone.any() or bins.labels[-1] == "missing"
    assert (bins.codes[gone] == len(bins.labels) - 1).all()
    assert not bins.has_missing or (bins.codes[~gone] < len(bins.labels) - 1).all()


def test_lists_dates_decimals_and_endless_numbers_are_columns_too() -> None:
    assert vector(pd.Series([[1], [2], None])).n_distinct == 2
    assert vector(pd.Series([date(2024, 1, 1), None])).kind == "time"
    assert vector(pd.Series([1.0, np.inf, -np.inf])).kind == "whole number"
    frame = table(300)
    frame.loc[3, "weak"] = np.inf
    frame["lists"] = [[i % 3] for i in range(len(frame))]
    flags = {one.name: one.flags for one in explore(problem(), frame).columns}
    assert "infinite values" in flags["weak"]


def test_rank_correlation_is_that_of_scipy_where_nothing_is_missing() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(200, 4))
    values[:, 1] += values[:, 0] ** 3
    expected = stats.spearmanr(values).statistic
    np.testing.assert_allclose(spearman(values), expected, atol=1e-12)


def test_rank_correlation_is_of_the_rows_that_both_columns_know() -> None:
    rng = np.random.default_rng(8)
    values = rng.normal(size=(300, 3))
    values[:, 1] += values[:, 0]
    values[:100, :2] = np.nan
    values[290:, 2] = np.nan
    known = values[100:, :2]
    assert spearman(values)[0, 1] == pytest.approx(stats.spearmanr(known).statistic)
    assert spearman(values)[0, 2] == pytest.approx(
        stats.spearmanr(values[100:290, 0], values[100:290, 2]).statistic, abs=0.02
    )
    values[110:, 2] = np.nan
    assert np.isnan(spearman(values)[0, 2])  # ten rows say nothing


def test_chance_does_not_look_like_association_among_few_rows_of_many_categories() -> None:
    rng = np.random.default_rng(9)
    found = [cramers_v(rng.integers(0, 12, 150), rng.integers(0, 12, 150)) for _ in range(20)]
    # Without Bergsma's correction each of these is about 0.27.
    assert np.mean(found) < 0.12


def test_association_measures_know_what_goes_together_and_what_does_not() -> None:
    rng = np.random.default_rng(2)
    group = rng.integers(0, 5, 4000)
    other = rng.integers(0, 5, 4000)
    assert cramers_v(group, (group + 1) % 5) == pytest.approx(1)
    assert cramers_v(group, other) < 0.05
    values = np.column_stack([group * 2.0, rng.normal(size=4000), np.full(4000, 1.0)])
    ratios = correlation_ratios(group, values)
    assert ratios[0] == pytest.approx(1)
    assert ratios[1] < 0.06
    assert np.isnan(ratios[2])


def test_the_correlation_ratio_is_the_root_of_epsilon_squared_of_an_anova() -> None:
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 3, 90)
    values = rng.normal(size=90) + codes
    f = stats.f_oneway(*(values[codes == i] for i in range(3))).statistic
    expected = (2 * f - 2) / (2 * f + 87)  # Kelley 1935, by the F of the groups
    assert correlation_ratios(codes, values[:, None])[0] ** 2 == pytest.approx(expected)


def test_at_most_forty_columns_are_drawn_and_the_label_is_among_them() -> None:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(rng.normal(size=(100, 60))).add_prefix("x")
    frame["y"] = rng.normal(size=100)
    drawn = associate([vector(frame[name]) for name in frame], "y")
    assert len(drawn.names) == 40
    assert "y" in drawn.names
    strengths = [abs(pair.strength) for pair in drawn.pairs]
    assert strengths == sorted(strengths, reverse=True)


def test_noise_of_many_values_has_hardly_any_mutual_information() -> None:
    rng = np.random.default_rng(5)
    counts = np.zeros((50, 2))
    np.add.at(counts, (rng.integers(0, 50, 2000), rng.integers(0, 2, 2000)), 1)
    entropy, shared = mutual_information(counts)
    assert shared / entropy < 0.01
    assert mutual_information(np.array([[50.0, 0.0], [0.0, 50.0]]))[1] == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("step", "unit"),
    [
        ("min", "hour"),
        ("h", "hour"),
        ("D", "day"),
        ("7D", "week"),
        ("30D", "month"),
        ("QS", "quarter"),
        ("YS", "year"),
    ],
)
def test_time_is_divided_into_at_most_sixty_calendar_spans(step: str, unit: str) -> None:
    times = pd.date_range("1980-01-01", periods=40, freq=step, tz="Asia/Seoul")
    found = spans(vector(pd.Series(times, name="at")))
    assert found is not None
    assert found.unit == unit
    assert len(found.labels) <= 60
    assert found.n_rows.sum() == 40


def test_centuries_are_divided_into_runs_of_years() -> None:
    times = pd.to_datetime(["1700-01-01", "2200-06-01"]).astype("datetime64[s]")
    found = spans(vector(pd.Series(times, name="at")))
    assert found is not None
    assert found.unit == "9 years"
    assert found.codes.tolist() == [0, len(found.labels) - 1]


def test_missing_together_and_by_time_are_told() -> None:
    frame = table(480)
    frame.loc[100:199, ["strong", "weak"]] = np.nan
    missing = explore(problem(), frame).missing
    assert ("strong", "weak") in missing.together
    assert missing.shares["strong"] == pytest.approx(100 / 480)
    by_day = missing.by_span["strong"]
    assert by_day[0] == 0
    assert by_day[5] == 1
