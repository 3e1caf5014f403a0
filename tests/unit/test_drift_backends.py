"""Both backends answer alike, and the native one hides no drift either."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrue.config import Features
from retrue.config_drift import Drift
from retrue.drift import DriftReport, check, domain, native, single

FEATURES = Features(numeric=("temp", "wind"), categorical=("carrier", "tail"))


def rows(seed: int, n: int = 1_500, temp: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "temp": rng.normal(temp, 1, n),
            "wind": np.where(rng.random(n) < 0.2, np.nan, rng.poisson(5, n)),
            "carrier": rng.choice(["AA", "B6", "UA"], n, p=[0.3, 0.3, 0.4]),
            "tail": rng.choice([f"N{i}" for i in range(300)], n),
        }
    )


def judge(
    current: pd.DataFrame, reference: pd.DataFrame | None = None, **given: Any
) -> DriftReport:
    drift = Drift(**{"backend": "native", "min_rows": 100, "magnitude_above": 50} | given)
    return check(rows(0) if reference is None else reference, current, FEATURES, drift)


def test_both_backends_have_the_same_statistics_and_the_same_magnitude() -> None:
    for moved in (0.0, 0.3):
        current = rows(1, 1_200, moved)
        ours, theirs = judge(current), judge(current, backend="alibi-detect")
        assert (ours.backend, theirs.backend) == ("native", "alibi-detect")
        assert ours.verdict == theirs.verdict
        assert ours.magnitude == pytest.approx(theirs.magnitude, rel=1e-12)
        assert ours.p_value == pytest.approx(theirs.p_value, rel=1e-6)
        for one, other in zip(ours.features, theirs.features, strict=True):
            # alibi-detect keeps 32 bits of a statistic.
            assert one.statistic == pytest.approx(other.statistic, rel=1e-6)
            assert one.p_missing == pytest.approx(other.p_missing, rel=1e-6)
            assert one.p_value == pytest.approx(other.p_value, abs=1e-3)
            same = ("psi", "wasserstein", "bins", "new_categories", "missing_current")
            assert [getattr(one, n) for n in same] == [getattr(other, n) for n in same]


def test_a_moved_feature_is_drift_within_its_interval() -> None:
    report = judge(rows(1, temp=3))
    assert (report.verdict, report.top_feature) == ("drift", "temp")
    assert report.magnitude is not None
    assert report.magnitude_low is not None and report.magnitude_high is not None
    assert 80 < report.magnitude_low < report.magnitude < report.magnitude_high <= 100
    assert sum(f.contribution for f in report.features) == pytest.approx(100)
    assert [f.name for f in report.features if f.significant] == ["temp"]
    assert DriftReport.model_validate_json(report.model_dump_json()) == report


def test_the_same_seed_gives_the_same_report_and_frames_stay_as_they_were() -> None:
    reference, current = rows(0), rows(1, temp=1)
    before = reference.copy(), current.copy()
    assert judge(current, reference) == judge(current, reference)
    pd.testing.assert_frame_equal(reference, before[0])
    pd.testing.assert_frame_equal(current, before[1])


@pytest.mark.parametrize("side", ["reference", "current"])
@pytest.mark.parametrize("column", ["temp", "carrier"])
@pytest.mark.parametrize(("value", "words"), [(None, "all null"), (1.0, "constant")])
def test_an_empty_or_stuck_column_never_reads_as_no_drift(
    side: str, column: str, value: float | None, words: str
) -> None:
    frames = {"reference": rows(0), "current": rows(1)}
    frames[side] = frames[side].assign(**{column: value})
    report = judge(**frames)
    assert report.verdict in ("drift", "cannot tell")
    assert f"{column} is {words} in the {side} rows alone" in report.reason


def test_a_rain_gauge_stuck_at_its_commonest_value_cannot_tell() -> None:
    frames = [rows(0), rows(1)]
    for frame in frames:
        frame["wind"] = np.where(frame.index < 1_425, 0.0, frame["wind"].fillna(1) + 1)
    frames[1]["wind"] = 0.0
    report = judge(frames[1], frames[0])
    assert report.verdict == "cannot tell"
    assert "wind is constant in the current rows alone" in report.reason


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_one_value_that_is_no_number_hides_no_drift(value: float) -> None:
    current = rows(1, temp=3)
    current.loc[5, "temp"] = value
    report = judge(current)
    assert report.verdict == "drift"
    assert report.features[0].p_value < 1e-6
    assert (report.features[0].wasserstein is None) == np.isinf(value)
    assert DriftReport.model_validate_json(report.model_dump_json()) == report


def test_what_cannot_be_compared_cannot_tell() -> None:
    assert "0 current rows" in judge(rows(1).iloc[:0]).reason
    assert "99 current rows" in judge(rows(1, 99)).reason
    assert "lack the columns wind" in judge(rows(1).drop(columns="wind")).reason
    assert (
        "temp: Unable to parse" in judge(rows(1).astype({"temp": object}).assign(temp="x")).reason
    )


@pytest.mark.parametrize("name", ["joint", "encode"])
def test_a_failing_detector_cannot_tell(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(domain, name, fail)
    report = judge(rows(1))
    assert (report.verdict, report.magnitude) == ("cannot tell", None)
    assert "a detector failed: RuntimeError: out of memory" in report.reason


def test_a_detector_that_answers_nan_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "distance", lambda *_: (0.1, float("nan")))
    assert "p-value nan" in judge(rows(1)).reason


def test_a_new_category_is_told_with_its_share() -> None:
    current = rows(1, 1_200)
    current.loc[current.index[:60], "carrier"] = "ZZ"
    carrier = judge(current).features[2]
    assert (carrier.new_categories, carrier.significant) == (0.05, True)
    assert carrier.p_new_categories is not None and carrier.p_new_categories < 1e-9


def test_the_false_discovery_rate_finds_what_bonferroni_misses_and_nothing_less() -> None:
    current = rows(1, temp=0.11)
    strict, lenient = judge(current), judge(current, correction="fdr")
    assert (strict.correction, lenient.correction) == ("bonferroni", "fdr")
    for one, other in zip(strict.features, lenient.features, strict=True):
        assert one.p_value == other.p_value
        assert one.p_corrected is not None and other.p_corrected is not None
        assert one.p_corrected >= other.p_corrected >= one.p_value
        assert one.p_corrected == pytest.approx(min(1, 5 * one.p_value))
    assert lenient.features[0].p_corrected is not None
    assert any(
        one.p_corrected != other.p_corrected
        for one, other in zip(strict.features, lenient.features, strict=True)
    )


def test_the_interval_is_that_of_rows_drawn_again() -> None:
    rng = np.random.default_rng(1)
    reference, current = rng.random(800) < 0.3, rng.random(600) < 0.5
    drawn = [
        domain.matthews(
            rng.choice(reference, 800).sum(), rng.choice(current, 600).sum(), 800, 600
        ).item()
        for _ in range(1_000)
    ]
    found = domain.interval(int(reference.sum()), int(current.sum()), 800, 600, 7)
    assert found == pytest.approx(100 * np.quantile(drawn, [0.025, 0.975]), abs=0.7)


def test_a_few_new_categories_among_hundreds_are_seen_by_their_own_test() -> None:
    current = rows(1)
    current.loc[current.index[:30], "tail"] = "NEW"
    tail = judge(current).features[3]
    assert tail.p_new_categories is not None and tail.significant
    assert tail.p_value == pytest.approx(3 * tail.p_new_categories)


@pytest.mark.parametrize("place", range(4))
def test_no_figure_of_a_test_may_be_nan(place: int) -> None:
    names = ("statistic", "p_value", "p_missing", "p_alone")
    figures: dict[str, Any] = dict.fromkeys(names, 0.1) | {names[place]: float("nan")}
    with pytest.raises(ValueError, match="p-value"):
        single.Tested(**figures)


def test_categories_are_codes_in_the_order_of_their_texts_and_nulls_are_nan() -> None:
    reference = pd.DataFrame({"carrier": [2.0, None, 10.0], "tail": [None] * 3})
    current = pd.DataFrame({"carrier": ["10", "2", float("nan"), "AA"], "tail": [None] * 4})
    sides = domain.encode(reference, current, {"carrier", "tail"})
    nan = float("nan")
    np.testing.assert_array_equal(sides[0][:, 0], [1, nan, 0])
    np.testing.assert_array_equal(sides[1][:, 0], [0, 1, nan, 2])
    assert all(np.isnan(side[:, 1]).all() for side in sides)
