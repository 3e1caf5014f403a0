"""The gate: promoted only on evidence that holds over days."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue import gate, metrics
from retrue.config import Gate
from retrue.evidence import resampling
from retrue.evidence.figures import deciding_values
from retrue.gate import Verdict
from retrue.metrics import Array

METRICS = pytest.mark.parametrize("metric", ["log_loss", "auc"])


def sample(seed: int, n: int = 3_000, n_days: int = 20) -> tuple[Array, Array, Array, Array]:
    """Labels, scores without use, scores with use, days."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(float)
    blind = rng.uniform(0.2, 0.4, n)
    return (
        y,
        blind,
        np.clip(blind + 0.2 * (y - 0.3), 0, 1),
        rng.integers(0, n_days, n).astype(float),
    )


@METRICS
def test_a_better_challenger_is_promoted_with_its_evidence(metric: str) -> None:
    y, old, new, days = sample(1)
    verdict = gate.compare(y, old, new, days, Gate(metric=metric), 7)
    natural = getattr(metrics, metric)
    assert verdict.promoted
    assert verdict.champion == pytest.approx(natural(y, old))
    assert verdict.challenger == pytest.approx(natural(y, new))
    assert verdict.lower is not None and verdict.gain is not None and verdict.upper is not None
    assert 0 < verdict.lower < verdict.gain < verdict.upper
    assert (verdict.n_rows, verdict.n_days) == (3_000, 20)
    assert "above 0" in verdict.reason and "not above" not in verdict.reason


@METRICS
@given(seed=st.integers(0, 1_000))
@settings(max_examples=20, deadline=None)
def test_what_one_gains_the_other_loses(metric: str, seed: int) -> None:
    y, old, new, days = sample(seed, 200, 8)
    setting = Gate(metric=metric, resamples=100)
    there = gate.compare(y, old, new, days, setting, 7)
    back = gate.compare(y, new, old, days, setting, 7)
    mirrored = [-float(x or 0) for x in (back.gain, back.upper, back.lower)]
    assert [there.gain, there.lower, there.upper] == pytest.approx(mirrored, abs=1e-12)
    assert not (there.promoted and back.promoted)


@METRICS
def test_equal_scores_are_never_promoted(metric: str) -> None:
    y, old, _, days = sample(2)
    verdict = gate.compare(y, old, old.copy(), days, Gate(metric=metric), 7)
    assert (verdict.promoted, verdict.gain, verdict.lower) == (False, 0, 0)


@METRICS
@given(seed=st.integers(0, 1_000))
@settings(max_examples=20, deadline=None)
def test_the_order_of_rows_changes_no_bit(metric: str, seed: int) -> None:
    y, old, new, days = sample(seed, 200, 8)
    order = np.random.default_rng(seed).permutation(len(y))
    setting = Gate(metric=metric, resamples=100)
    straight = gate.compare(y, old, new, days, setting, 7)
    assert gate.compare(y[order], old[order], new[order], days[order], setting, 7) == straight


@METRICS
def test_resamples_agree_with_the_metric_on_rows_repeated_by_day(metric: str) -> None:
    y, score, _, days = sample(3, 150, 6)
    draws = resampling.draw(days, 10, 0)
    found = deciding_values(metric, y, np.round(score, 2), draws)
    for row, value in zip(draws.counts, found, strict=True):
        times = row[days.astype(int)].astype(int)
        repeated = [np.repeat(x, times) for x in (y, np.round(score, 2))]
        assert value == pytest.approx(getattr(metrics, metric)(*repeated))


@METRICS
@pytest.mark.parametrize("side", ["champion", "challenger"])
def test_nan_is_never_better(metric: str, side: str) -> None:
    y, old, new, days = sample(4)
    (old if side == "champion" else new)[5] = np.nan
    verdict = gate.compare(y, old, new, days, Gate(metric=metric), 7)
    assert not verdict.promoted
    assert "nan" in verdict.reason


def test_a_gain_of_one_lucky_day_is_not_promoted() -> None:
    y, old, new, days = sample(5)
    lucky = np.where(days == 3, new, old)
    assert not gate.compare(y, old, lucky, days, Gate(), 7).promoted
    rows_as_days = gate.compare(y, old, lucky, np.arange(len(y)), Gate(), 7)
    assert rows_as_days.promoted, "a bootstrap of rows would have fallen for it"


def test_a_gain_below_the_asked_one_is_not_promoted() -> None:
    y, old, new, days = sample(6)
    gain = gate.compare(y, old, new, days, Gate(), 7).gain
    assert gain is not None
    assert not gate.compare(y, old, new, days, Gate(min_gain=gain), 7).promoted


def refused(verdict: Verdict) -> str:
    assert not verdict.promoted
    assert verdict.lower is None
    return verdict.reason


def test_too_little_evidence_is_refused_with_the_reason() -> None:
    y, old, new, days = sample(7)
    assert "4 labelled days" in refused(gate.compare(y, old, new, days % 4, Gate(), 7))
    assert "all 3000 labels are 1" in refused(gate.compare(y * 0 + 1, old, new, days, Gate(), 7))
    assert "labels" in refused(gate.compare([], [], [], [], Gate(), 7))
    assert "2999 days" in refused(gate.compare(y, old, new, days[1:], Gate(), 7))
    one_day = np.where(days == 0, y, 0)
    late = gate.compare(one_day, old, new, days, Gate(metric="auc"), 7)
    assert "too few days hold both classes" in refused(late)


def test_a_first_model_is_judged_against_no_skill() -> None:
    y, blind, new, days = sample(8)
    assert gate.against_no_skill(y, new, 0.3, days, Gate(), 7).promoted
    assert not gate.against_no_skill(y, blind, 0.3, days, Gate(), 7).promoted
    by_auc = gate.against_no_skill(y, new, 0.3, days, Gate(metric="auc"), 7)
    assert by_auc.champion == 0.5


@METRICS
def test_a_month_of_rows_is_judged_quickly(metric: str) -> None:
    y, old, new, days = sample(9, 28_000, 30)
    start = time.process_time()
    gate.compare(y, old, new, days, Gate(metric=metric), 7)
    assert time.process_time() - start < 0.5
