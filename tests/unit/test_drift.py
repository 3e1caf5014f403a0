"""Drift: three answers, and none of them by accident."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrue.config import Features
from retrue.config_drift import Drift
from retrue.drift import DriftReport, check, domain

FEATURES = Features(numeric=("temp", "wind"), categorical=("carrier",))
DRIFT = Drift(min_rows=100, max_rows=2_000, magnitude_above=50)


def rows(seed: int, n: int = 1_000, temp: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "temp": rng.normal(temp, 1, n),
            "wind": rng.exponential(5, n),
            "carrier": rng.choice(["AA", "B6", "UA"], n),
        }
    )


def judge(current: pd.DataFrame, reference: pd.DataFrame | None = None) -> DriftReport:
    return check(rows(0) if reference is None else reference, current, FEATURES, DRIFT)


def test_a_moved_feature_is_drift_and_named_with_its_share() -> None:
    report = judge(rows(1, temp=3))
    assert report.verdict == "drift"
    assert report.top_feature == "temp"
    assert report.magnitude is not None and 80 < report.magnitude <= 100
    assert sum(f.contribution for f in report.features) == pytest.approx(100)
    assert [f.name for f in report.features if f.significant] == ["temp"]
    assert report.reason.startswith(f"{report.magnitude:.0f} %, most of it from temp (")


def test_rows_of_one_source_are_no_drift() -> None:
    report = judge(rows(1))
    assert report.verdict == "no drift"
    assert report.magnitude is not None and report.magnitude < 10


def test_identical_frames_have_magnitude_zero() -> None:
    report = judge(rows(0))
    assert (report.verdict, report.magnitude) == ("no drift", 0)
    assert not any(f.significant for f in report.features)


def test_the_same_seed_gives_the_same_report_and_frames_stay_as_they_were() -> None:
    reference, current = rows(0), rows(1, temp=1)
    before = (reference.copy(), current.copy())
    assert judge(current, reference) == judge(current, reference)
    pd.testing.assert_frame_equal(reference, before[0])
    pd.testing.assert_frame_equal(current, before[1])


def test_one_nan_does_not_hide_a_moved_feature() -> None:
    current = rows(1, temp=3)
    current.loc[5, "temp"] = np.nan
    report = judge(current)
    assert report.verdict == "drift"
    assert report.features[0].p_value < 1e-6
    assert report.features[0].missing_current == pytest.approx(0.001)


def test_values_that_go_missing_are_significant_though_the_rest_is_alike() -> None:
    current = rows(1)
    current.loc[current.index[:30], "wind"] = np.nan
    report = judge(current)
    (wind,) = [f for f in report.features if f.significant]
    assert wind.name == "wind" and wind.p_missing is not None
    assert wind.p_value == pytest.approx(2 * wind.p_missing), "the smaller of its two tests"


@pytest.mark.parametrize("side", ["reference", "current"])
@pytest.mark.parametrize("column", ["temp", "carrier"])
@pytest.mark.parametrize("missing", [0, 0.95, 0.998])
def test_an_all_null_column_never_reads_as_no_drift(side: str, column: str, missing: float) -> None:
    frames = {"reference": rows(0), "current": rows(1)}
    for frame in frames.values():
        frame.loc[frame.index[: int(missing * len(frame))], column] = None
    frames[side][column] = None
    report = judge(**frames)
    assert report.verdict == ("drift" if missing == 0 else "cannot tell")
    assert f"{column} is all null in the {side} rows alone" in report.reason


@pytest.mark.parametrize("side", ["reference", "current"])
def test_a_column_stuck_at_one_value_never_reads_as_no_drift(side: str) -> None:
    frames = {"reference": rows(0), "current": rows(1)}
    for frame in frames.values():
        frame["wind"] = np.where(frame.index < 950, 0.0, frame["wind"])
    frames[side]["wind"] = 0.0
    report = judge(**frames)
    assert report.verdict == "cannot tell"
    assert f"wind is constant in the {side} rows alone" in report.reason


def test_a_rare_value_absent_by_chance_is_no_drift() -> None:
    reference, current = rows(0), rows(1)
    reference["wind"], current["wind"] = 0.0, 0.0
    reference.loc[7, "wind"] = 1.0
    assert judge(current, reference).verdict == "no drift"


def test_a_column_without_news_on_both_sides_is_no_drift() -> None:
    reference, current = rows(0), rows(1)
    for frame in (reference, current):
        frame["temp"], frame["wind"], frame["carrier"] = np.nan, 1.0, "AA"
    report = judge(current, reference)
    assert (report.verdict, report.magnitude, report.top_feature) == ("no drift", 0, None)


def test_a_new_category_is_drift_when_it_takes_over() -> None:
    current = rows(1)
    current["carrier"] = np.where(current.index < 900, "ZZ", current["carrier"])
    report = judge(current)
    assert (report.verdict, report.top_feature) == ("drift", "carrier")


def test_whole_numbers_as_categories_survive_a_null() -> None:
    reference, current = rows(0), rows(1)
    for frame in (reference, current):
        frame["carrier"] = frame["carrier"].map({"AA": 1, "B6": 2, "UA": 3})
    current.loc[0, "carrier"] = np.nan  # Turns the column's integers into floats.
    assert judge(current, reference).verdict == "no drift"


def test_drift_in_the_relation_alone_is_seen_by_the_joint_test() -> None:
    rng = np.random.default_rng(3)
    reference, current = rows(0), rows(1)
    reference["wind"] = reference["temp"] + rng.normal(0, 0.1, 1_000)
    current["wind"] = -current["temp"] + rng.normal(0, 0.1, 1_000)
    report = judge(current, reference)
    assert report.verdict == "drift"
    assert not any(f.significant for f in report.features)


def test_too_few_rows_cannot_tell() -> None:
    assert "0 current rows" in judge(rows(1).iloc[:0]).reason
    report = judge(rows(1, 99))
    assert (report.verdict, report.magnitude, report.n_current) == ("cannot tell", None, 99)
    assert judge(rows(1), rows(0, 10)).verdict == "cannot tell"


def test_missing_columns_cannot_tell_and_are_named() -> None:
    report = judge(rows(1).drop(columns=["wind", "carrier"]))
    assert report.verdict == "cannot tell"
    assert "wind, carrier" in report.reason


def test_text_in_a_number_cannot_tell_and_the_column_is_named() -> None:
    current = rows(1).astype({"wind": object})
    current.loc[3, "wind"] = "calm"
    report = judge(current)
    assert report.verdict == "cannot tell"
    assert "wind" in report.reason


@pytest.mark.parametrize("value", [float("nan"), None])
def test_a_detector_that_fails_or_answers_nan_cannot_tell(
    monkeypatch: pytest.MonkeyPatch, value: float | None
) -> None:
    from alibi_detect.cd import TabularDrift

    def faulty(*_: Any, **__: Any) -> dict[str, Any]:
        if value is None:
            raise RuntimeError("out of memory")
        return {"data": {"distance": [0.1], "p_val": [value]}}

    monkeypatch.setattr(TabularDrift, "predict", faulty)
    report = judge(rows(1))
    assert report.verdict == "cannot tell"
    assert "a detector failed" in report.reason


def test_a_report_survives_json() -> None:
    for report in (judge(rows(1)), judge(rows(1, 5))):
        assert DriftReport.model_validate_json(report.model_dump_json()) == report


def test_matthews_correlation_matches_its_definition() -> None:
    from sklearn.metrics import matthews_corrcoef

    rng = np.random.default_rng(0)
    reference, current = rng.random(300) < 0.3, rng.random(200) < 0.6
    truth = np.repeat([0, 1], [300, 200])
    found = domain.matthews(reference.sum(), current.sum(), 300, 200)
    assert found == pytest.approx(matthews_corrcoef(truth, np.concatenate([reference, current])))
    assert domain.matthews(300, 200, 300, 200) == 0
