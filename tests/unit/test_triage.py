"""The triage answers broken, changed, nothing or cannot tell, and never takes silence for sound."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.config import Features
from retrue.triage import Side, look, triage, units, verdict
from retrue.triage.sides import MIN_BLOCK_ROWS, segment

FEATURES = Features(numeric=("heat", "steps"), categorical=("site",))
START = pd.Timestamp("2024-01-01", tz="UTC")


def rows(n_days: int, first: int = 0, a_day: int = 60, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng([seed, first])
    days = np.repeat(np.arange(first, first + n_days), a_day)
    return pd.DataFrame(
        {
            "at": START + pd.to_timedelta(days * 24 + rng.uniform(8, 18, len(days)), unit="h"),
            "heat": rng.normal(50, 10, len(days)),
            "steps": rng.integers(0, 30, len(days)) * 7.0,
            "site": rng.choice(["north", "south", "west"], len(days)),
        }
    )


def side(frame: pd.DataFrame, **more: object) -> Side:
    return look(frame, FEATURES, times=frame["at"], **more)  # type: ignore[arg-type]


REFERENCE = side(rows(40))
LATER = rows(20, 40)


def late(n_days: int) -> "pd.Series[bool]":
    return LATER["at"] >= START + pd.Timedelta(days=60 - n_days)


def test_rows_like_the_reference_are_nothing() -> None:
    assert triage(REFERENCE, side(LATER)).verdict == "nothing"


def test_a_shift_within_the_rules_is_a_change_and_names_its_column() -> None:
    found = triage(REFERENCE, side(LATER.assign(heat=LATER["heat"] + 8)))
    assert found.verdict == "changed"
    assert found.is_trainable
    assert any("heat" in one for one in found.changes)


def test_a_fault_names_its_first_day_and_the_days_at_fault() -> None:
    broken = LATER.assign(heat=LATER["heat"].mask(late(5), -999.0))
    found = triage(REFERENCE, side(broken))
    (one,) = [f for f in found.findings if f.kind == "sentinel"]
    assert found.verdict == "broken"
    assert one.column == "heat"
    assert one.since == (START + pd.Timedelta(days=55)).date()
    assert found.broken_days == tuple((START + pd.Timedelta(days=55 + i)).date() for i in range(5))
    assert one.share == pytest.approx(0.25)


@pytest.mark.parametrize("name", ["heat", "steps", "site"])
def test_a_column_without_values_is_broken(name: str) -> None:
    found = triage(REFERENCE, side(LATER.assign(**{name: None})))
    assert found.verdict == "broken"
    assert found.findings[0].kind == "join broken"


def test_a_constant_column_is_broken() -> None:
    found = triage(REFERENCE, side(LATER.assign(heat=50.0)))
    assert "stuck" in {one.kind for one in found.findings}
    assert found.verdict == "broken"


@pytest.mark.parametrize("n_rows", [0, 1, 49])
def test_too_few_rows_cannot_tell(n_rows: int) -> None:
    found = triage(REFERENCE, side(LATER.head(n_rows)))
    assert found.verdict == "cannot tell"
    assert not found.is_trainable
    assert f"{n_rows} rows" in found.reason


def test_a_detector_that_fails_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(units, "units_changed", fail)
    found = triage(REFERENCE, side(LATER))
    assert found.verdict == "cannot tell"
    assert "units failed: ZeroDivisionError: on purpose" in found.reason


def test_a_unit_is_told_by_the_values_it_had() -> None:
    feet = LATER.assign(steps=LATER["steps"].where(~late(6), LATER["steps"] * 0.3048))
    found = triage(REFERENCE, side(feet))
    (one,) = [f for f in found.findings if f.kind == "units changed"]
    assert "feet to m" in one.evidence
    assert len(one.days) == 6


def test_values_that_are_new_are_no_unit_though_a_factor_makes_them_nearly_zero() -> None:
    def rain(frame: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        falls = rng.random(len(frame)) < 0.1
        return frame.assign(steps=np.where(falls, rng.integers(1, most, len(frame)) / 100, 0.0))

    known = side(rain(rows(40), 20, 2))
    heavier = side(rain(LATER, 90, 3))
    assert units.units_changed(known, heavier, np.ones(len(known.blocks), bool)) == []


def test_without_times_the_whole_window_is_judged() -> None:
    sides = [look(frame, FEATURES) for frame in (rows(40), LATER.assign(heat=np.nan))]
    found = triage(*sides)
    assert found.verdict == "broken"
    assert found.broken_days == ()
    assert found.findings[0].since is None


def test_flipped_labels_are_broken_and_a_turned_concept_is_not() -> None:
    def labelled(frame: pd.DataFrame, *, flip: bool = False, turn: bool = False) -> Side:
        rng = np.random.default_rng(3)
        chance = 1 / (1 + np.exp(1.5 - frame["heat"].to_numpy() / 10 + 5))
        other = 1 / (1 + np.exp(1.5 + frame["heat"].to_numpy() / 10 - 5))
        labels = (rng.random(len(frame)) < (other if turn else chance)) * 1.0
        return side(frame, labels=1 - labels if flip else labels, scores=chance)

    reference = labelled(rows(40))
    assert triage(reference, labelled(LATER, flip=True)).findings[0].kind == "labels flipped"
    assert triage(reference, labelled(LATER, turn=True)).verdict == "changed"


def test_the_answer_is_the_same_again_and_the_frame_is_as_before() -> None:
    frame = LATER.assign(heat=LATER["heat"].mask(late(3), 9999.0))
    before = frame.copy(deep=True)
    first, second = (triage(REFERENCE, side(frame)) for _ in range(2))
    assert first == second
    pd.testing.assert_frame_equal(frame, before)


def test_thin_days_are_joined_until_they_say_something() -> None:
    thin = side(rows(30, a_day=7))
    assert thin.n_blocks < 30
    assert thin.sizes.min() >= MIN_BLOCK_ROWS
    assert sum(len(days) for days in thin.block_days) == 30


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12))
def test_the_segment_has_the_largest_sum(scores: list[float]) -> None:
    chosen = segment(np.array(scores))
    sums = [sum(scores[i:j]) for i in range(len(scores)) for j in range(i, len(scores) + 1)]
    assert np.array(scores)[chosen].sum() == pytest.approx(max(sums), abs=1e-9)


def test_a_change_is_one_from_what_the_champion_learned_not_from_what_came_since() -> None:
    moved = LATER.assign(heat=LATER["heat"] + 8)
    between = rows(20, 20)
    known = pd.concat([rows(20), between.assign(heat=between["heat"] + 8)], ignore_index=True)
    found = triage(REFERENCE, side(moved), side(known))
    assert found.verdict == "changed"
    assert "heat is" in found.reason


def test_days_are_held_against_the_month_before_them_and_else_against_all() -> None:
    year = side(rows(60))
    after, much_later = side(rows(5, 62)), side(rows(5, 75))
    recent = verdict._recent(year, after)
    assert year.times is not None
    assert year.times[recent].min() >= np.datetime64("2024-02-02")
    assert 0 < recent.sum() < year.n_rows
    assert verdict._recent(year, much_later).all()


def test_a_clock_that_moved_by_summer_time_is_no_fault_and_by_six_hours_is() -> None:
    def mornings(n_days: int, first: int, hours: int = 8) -> Side:
        frame = rows(n_days, first, a_day=120)
        day = frame["at"].dt.floor("D")
        into = (frame["at"] - day - pd.Timedelta(hours=8)) * 0.4
        return side(frame.assign(at=day + pd.Timedelta(hours=hours) + into))

    def kinds(hours: int) -> set[str]:
        found = triage(mornings(40, 0), mornings(20, 40, hours))
        return {one.kind for one in found.findings}

    assert "clock shift" not in kinds(9)
    assert "clock shift" in kinds(14)


def test_a_site_with_few_expected_rows_may_be_silent_for_a_day() -> None:
    def without(site: str, a_day: int) -> set[str]:
        later = rows(20, 40, a_day=a_day)
        is_last = later["at"] >= START + pd.Timedelta(days=59)
        kept = later[~is_last | (later["site"] != site)].reset_index(drop=True)
        known = side(rows(40, a_day=a_day))
        return {one.kind for one in triage(known, side(kept)).findings}

    assert "silent source" in without("north", 240)
    assert "silent source" not in without("north", 78)
