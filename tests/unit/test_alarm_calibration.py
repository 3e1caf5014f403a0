"""Calibrated thresholds: as few false alarms as were asked for, and drift is still seen."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from retrue.alarms.blocks import MIN_BLOCKS, cut
from retrue.alarms.calibration import Calibration, Measure, calibrate
from retrue.alarms.effects import RankedRows, effect
from retrue.alarms.policy import Vote, decide
from retrue.alarms.year import tail_probability
from retrue.config import Features
from retrue.config_drift import AlarmWindows, Drift
from retrue.drift import check

FEATURES = Features(numeric=("x", "y"), categorical=("color",))
DRIFT = Drift(window_days=14, min_rows=100, magnitude_above=100)
ROWS_A_DAY = 20
FIRST = np.datetime64("2020-01-01")


def days_of(n_days: int) -> npt.NDArray[np.datetime64]:
    return np.repeat(FIRST + np.arange(n_days), ROWS_A_DAY)


def clustered(n_days: int, seed: int, shift: float = 0.0, share: float = 1 / 3) -> pd.DataFrame:
    """Rows that share their day: a `share` of the variance of `x` and `y` is between days."""
    rng = np.random.default_rng(seed)
    n = n_days * ROWS_A_DAY
    between = np.repeat(rng.normal(0, share**0.5, (n_days, 2)), ROWS_A_DAY, axis=0)
    xy = between + rng.normal(0, (1 - share) ** 0.5, (n, 2))
    leaning = np.repeat(rng.beta(8, 8, n_days), ROWS_A_DAY)
    return pd.DataFrame(
        {
            "x": xy[:, 0] + shift,
            "y": xy[:, 1],
            "color": np.where(rng.random(n) < leaning, "red", "blue"),
        }
    )


def calibrated(reference: pd.DataFrame, drift: Drift = DRIFT) -> Calibration:
    rows = RankedRows(reference, FEATURES)
    n_days = len(reference) // ROWS_A_DAY
    measure = Measure(rows.names, rows.effects, rows.noise, n_draws=40)
    return calibrate(days_of(n_days), [measure], drift)


def exceeds(reference: pd.DataFrame, window: pd.DataFrame, found: Calibration) -> bool:
    both = pd.concat([reference, window], ignore_index=True)
    inside = np.arange(len(both)) >= len(reference)
    effects = RankedRows(both, FEATURES).effects(inside)
    return any(effects[name] > found.thresholds[name].above for name in effects)


def apart(values: npt.NDArray[np.float64]) -> Callable[[npt.NDArray[np.bool_]], dict[str, float]]:
    """Squared difference of the means of chosen and other rows, column by column."""

    def statistic(rows: npt.NDArray[np.bool_]) -> dict[str, float]:
        found = (values[rows].mean(axis=0) - values[~rows].mean(axis=0)) ** 2
        return {str(i): float(one) for i, one in enumerate(found)}

    return statistic


def alarms_of_a_year(seed: int, drift: Drift) -> int:
    """Alarms of weekly checks in a year that is like its reference; rows of a day are alike."""
    rng = np.random.default_rng(seed)
    n_reference, n_columns = 126, 3
    n_days = n_reference + 365
    values = rng.normal(0, 1, (n_days, 1, n_columns)) + rng.normal(0, 1, (n_days, 4, n_columns))
    days = np.repeat(np.arange(n_days), 4)
    values = values.reshape(-1, n_columns)
    is_reference = days < n_reference
    measure = Measure(tuple("012"), apart(values[is_reference]), n_draws=40)
    found = calibrate(FIRST + days[is_reference], [measure], drift)
    votes: list[Vote] = []
    alarms: list[datetime] = []
    for end in range(n_reference + drift.window_days, n_days, 7):
        inside = (days >= end - drift.window_days) & (days < end)
        both = is_reference | inside
        effects = apart(values[both])(inside[both])
        moved = any(effects[name] > found.thresholds[name].above for name in effects)
        until = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=end)
        vote = Vote("drift" if moved else "no drift", until)
        if decide(vote, votes, alarms, drift).verdict == "drift":
            alarms.append(until)
        votes.append(vote)
    return len(alarms)


@pytest.mark.parametrize(("k", "rate"), [(1, 1.0), (2, 1.0), (1, 4.0)])
def test_years_without_drift_have_no_more_alarms_than_were_asked_for(k: int, rate: float) -> None:
    windows = AlarmWindows(k=k, n=3)
    drift = DRIFT.model_copy(update={"alarm_windows": windows, "false_alarms_per_year": rate})
    n_years = 40
    n_alarms = sum(alarms_of_a_year(seed, drift) for seed in range(n_years))
    assert n_alarms <= n_years * rate


def test_rows_that_share_their_day_ask_for_a_higher_threshold_than_the_same_rows_mixed() -> None:
    reference = clustered(126, 0)
    mixed = reference.sample(frac=1, random_state=0, ignore_index=True)
    together, apart_ = (calibrated(rows).thresholds["x"].above for rows in (reference, mixed))
    assert together > 2 * apart_


def test_a_shift_of_two_fifths_of_an_sd_is_seen_in_most_first_windows_and_none_is_not() -> None:
    drift = DRIFT.model_copy(update={"window_days": 28})
    seen, alarms = 0, 0
    for seed in range(5):
        reference = clustered(364, seed, share=0.1)
        found = calibrated(reference, drift)
        alarms += exceeds(reference, clustered(28, 1_000 + seed, share=0.1), found)
        moved = clustered(28, 1_000 + seed, shift=0.4, share=0.1)
        seen += exceeds(reference, moved, found)
    assert seen >= 4
    assert alarms == 0


def test_the_effect_is_the_one_that_a_check_reports() -> None:
    reference, window = clustered(60, 1), clustered(14, 2, shift=0.3)
    window.loc[::7, "y"] = np.nan
    report = check(reference, window, FEATURES, DRIFT.model_copy(update={"backend": "native"}))
    both = pd.concat([reference, window], ignore_index=True)
    found = RankedRows(both, FEATURES).effects(np.arange(len(both)) >= len(reference))
    for feature in report.features:
        assert found[feature.name] == pytest.approx(effect(feature), rel=1e-9)


def test_a_lowest_value_that_most_rows_have_gets_a_bin_below_it() -> None:
    reference = pd.DataFrame({"x": [0.0] * 90 + list(range(1, 11)), "y": 0.0, "color": "red"})
    window = pd.DataFrame({"x": [-1.0] * 50, "y": 0.0, "color": "red"})
    both = pd.concat([reference, window], ignore_index=True)
    found = RankedRows(both, FEATURES).effects(np.arange(len(both)) >= 100)
    assert found["x"] > 5
    assert (found["y"], found["color"]) == (0, 0)


def test_a_feature_without_values_on_one_side_has_no_effect_and_no_threshold() -> None:
    reference = clustered(126, 3)
    reference["y"] = np.nan
    found = calibrated(reference)
    assert set(found.thresholds) == {"x", "color"}
    assert any("not calibrated" in warning and "y" in warning for warning in found.warnings)


def test_one_window_without_a_number_leaves_a_statistic_without_a_threshold() -> None:
    answers = iter([0.1] * 20 + [float("nan")] + [0.1] * 500)

    def sometimes(_: npt.NDArray[np.bool_]) -> dict[str, float]:
        return {"good": 0.1, "bad": next(answers)}

    found = calibrate(days_of(126), [Measure(("good", "bad"), sometimes)], DRIFT)
    assert set(found.thresholds) == {"good"}


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (None, "there is no time column"),
        (days_of(20), "the reference has 20 days, a window of 14 needs at least 28"),
    ],
)
def test_a_reference_that_is_too_short_cannot_be_calibrated_and_says_so(
    days: npt.NDArray[np.datetime64] | None, expected: str
) -> None:
    found = calibrate(days, [Measure(("x",), lambda _: {"x": 0.1})], DRIFT)
    assert found.thresholds == {}
    assert found.warnings == (f"cannot calibrate: {expected}",)


def test_too_few_blocks_cannot_be_calibrated() -> None:
    assert cut(days_of(MIN_BLOCKS - 1), 2) == (
        f"the reference has {MIN_BLOCKS - 1} blocks of days, at least {MIN_BLOCKS} are needed"
    )


def test_a_short_reference_says_what_it_can_show() -> None:
    found = calibrated(clustered(91, 4))
    assert found.seen_per_year == pytest.approx(365.25 / 91)
    assert "91 days of reference can show 4.0 false alarms a year or more" in found.warnings[0]


def test_blocks_are_weeks_and_windows_are_made_of_whole_ones() -> None:
    blocks = cut(days_of(91), 30)
    assert not isinstance(blocks, str)
    assert (blocks.block_days, blocks.n_blocks) == (7, 13)
    for rows in blocks.draws(20, seed=1):
        days = np.unique(days_of(91)[rows])
        assert len(days) == 28
        weeks, counts = np.unique((days - FIRST).astype(int) // 7, return_counts=True)
        assert (len(weeks), set(counts)) == (4, {7})


def test_windows_of_days_in_a_row_are_a_floor() -> None:
    """A slow trend is hidden from windows of scattered weeks, not from those of days in a row."""
    reference = clustered(91, 5)
    reference["x"] += np.linspace(0, 4, len(reference))
    found = calibrated(reference).thresholds["x"]
    assert found.above >= found.highest > 2 * found.mean


def test_fewer_false_alarms_and_more_statistics_ask_for_rarer_exceedances() -> None:
    def tails(rates: Sequence[float], n: int = 5) -> list[float]:
        return [
            tail_probability(DRIFT.model_copy(update={"false_alarms_per_year": rate}), n, 14)
            for rate in rates
        ]

    rare, usual, often = tails([0.1, 1, 12])
    assert 0 < rare < usual < often < 1
    assert tails([1], 20)[0] < usual < tails([1], 1)[0]


def test_the_same_reference_gives_the_same_thresholds_and_stays_as_it_was() -> None:
    reference = clustered(91, 6)
    before = reference.copy()
    assert calibrated(reference) == calibrated(reference)
    pd.testing.assert_frame_equal(reference, before)


def test_a_calibration_survives_json() -> None:
    found = calibrated(clustered(91, 7))
    assert Calibration.model_validate_json(found.model_dump_json()) == found


def test_days_that_fill_no_week_are_in_no_block() -> None:
    blocks = cut(days_of(94), 30)
    assert not isinstance(blocks, str)
    assert blocks.n_blocks == 13
    assert set(blocks.block[blocks.day >= 91]) == {-1}
    assert (blocks.block[blocks.day < 91] >= 0).all()


def test_a_longer_cool_down_lets_single_windows_exceed_more_often() -> None:
    short, long = (
        tail_probability(DRIFT.model_copy(update={"cool_down_days": days}), 5, 14)
        for days in (1, 60)
    )
    assert long > 1.1 * short
