"""From votes to alarms: k of the last n and the newest, quiet times, and no silence by accident."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retrue.alarms.calibration import Calibration, Threshold
from retrue.alarms.decision import warnings
from retrue.alarms.policy import Vote, answered, decide, magnitude_above, vote, votes
from retrue.config_drift import AlarmWindows, Drift
from retrue.drift import DriftReport, FeatureDrift
from retrue.ledger import Check, Retraining

START = datetime(2013, 4, 1, tzinfo=UTC)
ANSWERS = st.sampled_from(["drift", "no drift", "cannot tell"])
DRIFT = Drift(alarm_windows=AlarmWindows(k=2, n=3), cool_down_days=7, effect_above=0.1)
FEATURE = FeatureDrift(
    name="temp",
    kind="numeric",
    statistic=0.4,
    p_value=1e-9,
    significant=True,
    psi=0.9,
    contribution=100,
    missing_reference=0,
    missing_current=0,
    collapsed=None,
)
REPORT = DriftReport(
    verdict="no drift",
    magnitude=30,
    threshold=60,
    p_value=1e-9,
    top_feature="temp",
    features=(FEATURE,),
    n_reference=1_000,
    n_current=1_000,
    reason="30 %, most of it from temp (100 %); not above 60 %",
)


def calibration(**above: float) -> Calibration:
    return Calibration(
        false_alarms_per_year=1,
        window_days=30,
        k=2,
        n=3,
        cool_down_days=7,
        n_statistics=1,
        n_days=365,
        thresholds={
            name: Threshold(above=value, mean=value / 2, degrees=2, highest=value)
            for name, value in above.items()
        },
        warnings=(),
    )


def series(*answers: str) -> list[Vote]:
    return [
        Vote(answer, START + timedelta(days=i), (), answer)  # type: ignore[arg-type]
        for i, answer in enumerate(answers)
    ]


@given(st.lists(ANSWERS, min_size=1, max_size=8), st.integers(1, 5), st.integers(0, 4))
def test_an_alarm_needs_the_newest_window_and_k_of_the_last_n(
    answers: list[str], k: int, more: int
) -> None:
    drift = DRIFT.model_copy(update={"alarm_windows": AlarmWindows(k=k, n=k + more)})
    *before, newest = series(*answers)
    found = decide(newest, before, [], drift)
    last = answers[-(k + more) :]
    is_alarm = answers[-1] == "drift" and last.count("drift") >= k
    assert (found.verdict == "drift") == is_alarm
    assert found.vote == answers[-1]


@given(
    st.lists(ANSWERS, min_size=1, max_size=8),
    st.integers(1, 4),
    st.lists(st.integers(-30, 30), max_size=3),
)
def test_a_window_that_cannot_tell_warns_an_operator_and_never_passes_as_fine(
    answers: list[str], k: int, learned: list[int]
) -> None:
    drift = DRIFT.model_copy(update={"alarm_windows": AlarmWindows(k=k, n=4)})
    *before, newest = series(*answers, "cannot tell")
    found = decide(newest, before, [START + timedelta(days=d) for d in learned], drift)
    assert (found.verdict, found.vote, found.needs_operator) == ("cannot tell", "cannot tell", True)
    assert found.reason == "cannot tell"


@given(st.lists(ANSWERS, min_size=1, max_size=8), st.integers(1, 4))
def test_unknown_windows_that_decide_make_drift_a_cannot_tell(answers: list[str], k: int) -> None:
    """Had those windows shown drift, it would be an alarm: so it must not be called none."""
    drift = DRIFT.model_copy(update={"alarm_windows": AlarmWindows(k=k, n=4)})
    *before, newest = series(*answers, "drift")
    found = decide(newest, before, [], drift)
    worst = [replace(v, answer="drift") if v.answer == "cannot tell" else v for v in before]
    best = [replace(v, answer="no drift") if v.answer == "cannot tell" else v for v in before]
    outcomes = {decide(newest, one, [], drift).verdict for one in (worst, best)}
    assert found.verdict == (outcomes.pop() if len(outcomes) == 1 else "cannot tell")
    assert found.needs_operator == (found.verdict == "cannot tell")


@given(st.lists(ANSWERS, min_size=2, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_the_records_does_not_matter(answers: list[str], random: object) -> None:
    *before, newest = series(*answers)
    mixed = list(before)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert decide(newest, mixed, [], DRIFT) == decide(newest, before, [], DRIFT)


def test_later_windows_and_the_window_itself_do_not_vote_again() -> None:
    first, *later = series("drift", "drift", "drift")
    found = decide(first, [first, *later], [], DRIFT)
    assert (found.verdict, found.held_back) == ("no drift", "too few windows")
    assert "in 1 of the last 1 windows, an alarm needs 2" in found.reason


@given(st.integers(0, 40), st.integers(-40, 40))
@example(days=7, age=7)
def test_a_cool_down_holds_alarms_back_until_it_ends(days: int, age: int) -> None:
    drift = DRIFT.model_copy(update={"cool_down_days": days, "alarm_windows": AlarmWindows(k=1)})
    (newest,) = series("drift")
    found = decide(newest, [], [newest.until - timedelta(days=age)], drift)
    is_quiet = days > 0 and age < days
    assert found.held_back == ("cool-down" if is_quiet else None)
    assert found.verdict == ("no drift" if is_quiet else "drift")
    assert found.vote == "drift"


def test_the_newest_of_what_was_learned_ends_the_cool_down() -> None:
    (newest,) = series("drift")
    drift = DRIFT.model_copy(update={"alarm_windows": AlarmWindows(k=1)})
    old, new = (newest.until - timedelta(days=d) for d in (300, 2))
    assert decide(newest, [], [new, old], drift).held_back == "cool-down"
    assert "no alarm before 2013-04-06" in decide(newest, [], [new, old], drift).reason


def test_a_feature_beyond_its_threshold_is_a_vote_though_the_magnitude_is_not() -> None:
    found = vote(REPORT, calibration(temp=0.8), DRIFT, START)
    assert (found.answer, found.exceeded) == ("drift", ("temp",))
    assert found.reason.startswith("temp moved beyond the calibrated threshold")


@pytest.mark.parametrize(
    ("changes", "above", "effect_above"),
    [
        ({}, 0.95, 0.1),
        ({}, 0.01, 1.0),
        ({"significant": False}, 0.8, 0.1),
    ],
    ids=["below its threshold", "below the floor", "not significant"],
)
def test_significance_threshold_and_floor_must_all_be_passed(
    changes: dict[str, bool], above: float, effect_above: float
) -> None:
    report = REPORT.model_copy(update={"features": (FEATURE.model_copy(update=changes),)})
    drift = DRIFT.model_copy(update={"effect_above": effect_above})
    assert vote(report, calibration(temp=above), drift, START).answer == "no drift"


def test_values_that_go_missing_are_part_of_the_effect() -> None:
    gone = FEATURE.model_copy(update={"psi": 0.0, "missing_current": 0.3})
    report = REPORT.model_copy(update={"features": (gone,)})
    assert vote(report, calibration(temp=0.8), DRIFT, START).answer == "drift"


def test_labels_that_show_the_model_to_do_worse_are_a_vote_though_no_feature_moved() -> None:
    still = REPORT.model_copy(update={"features": ()})
    assert vote(still, calibration(temp=0.8), DRIFT, START).answer == "no drift"
    found = vote(still, calibration(temp=0.8), DRIFT, START, "log_loss realised 0.7")
    assert (found.answer, found.exceeded) == ("drift", ())
    assert found.reason.startswith("log_loss realised 0.7; magnitude 30 %")
    unknown = still.model_copy(update={"verdict": "cannot tell"})
    assert vote(unknown, None, DRIFT, START, "log_loss realised 0.7").answer == "cannot tell"
    both = vote(REPORT, calibration(temp=0.8), DRIFT, START, "log_loss realised 0.7")
    assert "temp moved beyond the calibrated threshold; log_loss realised 0.7" in both.reason


def test_without_thresholds_the_magnitude_alone_decides() -> None:
    assert vote(REPORT, None, DRIFT, START).answer == "no drift"
    beyond = REPORT.model_copy(update={"verdict": "drift"})
    assert vote(beyond, None, DRIFT, START).answer == "drift"
    assert warnings(DRIFT, None) == [
        "the model's bundle holds no thresholds: train again to calibrate"
    ]


@pytest.mark.parametrize("effect", [math.nan, math.inf])
def test_an_effect_that_is_no_number_cannot_tell(effect: float) -> None:
    odd = FEATURE.model_copy(update={"psi": effect, "significant": False})
    report = REPORT.model_copy(update={"features": (odd,)})
    found = vote(report, calibration(temp=0.8), DRIFT, START)
    assert (found.answer, found.reason) == (
        "cannot tell",
        "cannot tell: the effect of temp is no number",
    )


def test_rows_of_few_days_are_not_held_against_thresholds_for_whole_windows() -> None:
    found = calibration(temp=0.8, magnitude=20)
    short = REPORT.model_copy(update={"n_days": 14})
    said = vote(short, found, DRIFT, START)
    assert said.answer == "cannot tell"
    assert "rows of 14 days, thresholds are calibrated for windows of 30" in said.reason
    configured = DRIFT.model_copy(update={"magnitude_above": 60.0})
    assert vote(short, found, configured, START).answer == "no drift"
    assert vote(REPORT.model_copy(update={"n_days": 15}), found, DRIFT, START).answer == "drift"


def test_a_comparison_that_cannot_tell_is_no_vote_for_or_against() -> None:
    unknown = REPORT.model_copy(update={"verdict": "cannot tell", "reason": "cannot tell: no rows"})
    found = vote(unknown, calibration(temp=0.8), DRIFT, START)
    assert (found.answer, found.reason) == ("cannot tell", "cannot tell: no rows")


def test_the_magnitude_threshold_is_the_configured_one_else_calibrated_else_sixty() -> None:
    asked = DRIFT.model_copy(update={"magnitude_above": 33.0})
    assert magnitude_above(asked, calibration(magnitude=72)) == 33
    assert magnitude_above(DRIFT, calibration(magnitude=72)) == 72
    assert magnitude_above(DRIFT, calibration(magnitude=0.5)) == 10
    assert magnitude_above(DRIFT, calibration(magnitude=250)) == 100
    assert magnitude_above(DRIFT, calibration(temp=1)) == magnitude_above(DRIFT, None) == 60


def test_settings_that_changed_after_the_calibration_are_warned_of() -> None:
    drift = DRIFT.model_copy(update={"window_days": 7, "magnitude_above": 60.0})
    assert warnings(drift, calibration(temp=1)) == [
        "drift.window_days is 7, thresholds were calibrated for 30: train again"
    ]


def test_a_magnitude_that_is_not_or_cannot_be_calibrated_is_warned_of() -> None:
    (absent,) = warnings(DRIFT, calibration(temp=1))
    assert "it alarms above 60 %" in absent
    (useless,) = warnings(DRIFT, calibration(magnitude=130))
    assert "cannot alarm by itself" in useless
    assert warnings(DRIFT, calibration(magnitude=70)) == []


def record(number: int, version: int, report_json: str, verdict: str = "no drift") -> Check:
    end = (START + timedelta(days=number)).isoformat()
    key = f"key {number}"
    return Check(number, "p", version, "", end, key, verdict, report_json, None, "")


def test_recorded_votes_are_those_of_the_model_version_before_any_was_held_back() -> None:
    held = decide(Vote("drift", START, (), "moved"), [], [], DRIFT)
    reports = [
        REPORT.model_copy(update={"alarm": held}),
        REPORT,
        REPORT.model_copy(update={"verdict": "cannot tell"}),
    ]
    texts = [one.model_dump_json() for one in reports]
    checks = [record(i, 1, text) for i, text in enumerate(texts)] + [record(9, 2, texts[0])]
    assert [one.answer for one in votes(checks, 1)] == ["drift", "no drift", "cannot tell"]


def test_only_retrainings_with_an_answer_start_a_cool_down() -> None:
    statuses = ["promoted", "refused", "rejected", "failed", "running"]
    done = [
        Retraining(i, "p", f"key {i}", status, 1, 1, "{}", "", None)
        for i, status in enumerate(statuses)
    ]
    checks = [record(i, 1, "{}") for i in range(6)]
    assert answered(checks, done) == [START + timedelta(days=i) for i in range(3)]
