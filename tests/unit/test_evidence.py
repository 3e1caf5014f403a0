"""Evidence beside the gain: metrics, slices, calibration, and what they do to a verdict."""

import warnings

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn import metrics as reference

from retrue import gate, metric_table
from retrue.config import Gate, Problem, Slice
from retrue.evidence import calibration, comparison, figures, resampling, slices
from retrue.evidence.comparison import Scores
from retrue.gate import Interval, Verdict
from retrue.metrics import Array
from retrue.problems import load_problem
from retrue.splits import Split
from tests.unit.conftest import Small

Positions = npt.NDArray[np.intp]
TASKS = ("binary", "multiclass", "regression")


@pytest.fixture
def problem(small: Small) -> Problem:
    return load_problem("visits", small.root)


def of_task(problem: Problem, task: str, **rules: object) -> Problem:
    section = problem.label.model_copy(update={"task": task})
    metric = metric_table.deciding(task)[0]  # type: ignore[arg-type]
    rules = {"metric": metric, "resamples": 100, **rules}
    return problem.model_copy(
        update={"label": section, "gate": problem.gate.model_copy(update=rules)}
    )


def sample(task: str, seed: int = 3, n: int = 900) -> tuple[Array, Array, Array]:
    """Labels, scores and days."""
    rng = np.random.default_rng(seed)
    days = rng.integers(0, 12, n).astype(float)
    if task == "regression":
        y = rng.normal(10, 3, n)
        return y, y + rng.normal(0, 2, n), days
    if task == "multiclass":
        score = rng.dirichlet([2, 1, 1], n)
        y = (rng.random((n, 1)) > score.cumsum(axis=1)).sum(axis=1).astype(float)
        return np.minimum(y, 2), score, days
    score = np.round(rng.beta(1, 3, n), 2)  # with ties
    return (rng.random(n) < score).astype(float), score, days


def by_scikit_learn(task: str, y: Array, score: Array, threshold: float) -> dict[str, float]:
    if task == "regression":
        return {
            "squared_error": reference.mean_squared_error(y, score),
            "rmse": reference.root_mean_squared_error(y, score),
            "mae": reference.mean_absolute_error(y, score),
            "r2": reference.r2_score(y, score),
        }
    if task == "multiclass":
        said = score.argmax(axis=1)
        return {
            "log_loss": reference.log_loss(y, score, labels=[0, 1, 2]),
            "brier": float(((score - np.eye(3)[y.astype(int)]) ** 2).sum(axis=1).mean()),
            "accuracy": reference.accuracy_score(y, said),
            "balanced_accuracy": reference.balanced_accuracy_score(y, said),
            "f1": reference.f1_score(y, said, average="macro"),
        }
    said = score > threshold
    false_alarm, miss = np.mean(said & (y == 0)), np.mean(~said & (y == 1))
    return {
        "log_loss": reference.log_loss(y, score),
        "auc": reference.roc_auc_score(y, score),
        "average_precision": reference.average_precision_score(y, score),
        "brier": reference.brier_score_loss(y, score),
        "cost": float(false_alarm * 1 + miss * 3),
        "accuracy": reference.accuracy_score(y, said),
        "balanced_accuracy": reference.balanced_accuracy_score(y, said),
        "precision": reference.precision_score(y, said),
        "recall": reference.recall_score(y, said),
        "f1": reference.f1_score(y, said),
    }


@pytest.mark.parametrize("task", TASKS)
def test_metrics_are_those_of_scikit_learn_on_the_sample_and_on_resamples(
    problem: Problem, task: str
) -> None:
    one = of_task(problem, task)
    y, score, days = sample(task)
    draws = resampling.draw(days, 20, 0)
    found = figures.intervals(one, y, score, draws, 0.25)
    wanted = by_scikit_learn(task, y, score, 0.25)
    assert {name: each.value for name, each in found.items()} == pytest.approx(wanted)
    assert list(found) == [name for name, m in metric_table.TABLE.items() if task in m.tasks]
    resampled = []
    for row in draws.counts[1:]:
        times = row[days.astype(int)].astype(int)
        repeated = np.repeat(y, times), np.repeat(score, times, axis=0)
        resampled.append(by_scikit_learn(task, *repeated, 0.25))
    for name, each in found.items():
        bounds = np.quantile([values[name] for values in resampled], [0.025, 0.975])
        slack = 0.01 if name == "average_precision" else 1e-9  # its draws are in groups
        assert [each.lower, each.upper] == pytest.approx(bounds, abs=slack), name


def test_every_metric_has_a_unit_in_the_problems_words(problem: Problem) -> None:
    units = {name: metric_table.unit(name, problem) for name in metric_table.TABLE}
    assert units["cost"] == "call a row"
    assert units["rmse"] == "unit of delay > 5"
    assert all(units.values())


def test_what_is_not_defined_on_every_draw_is_left_out(problem: Problem) -> None:
    y, score, days = sample("binary")
    rare = np.where(days == 3, y, 0.0)
    found = figures.intervals(
        of_task(problem, "binary"), rare, score, resampling.draw(days, 100, 0), 0.25
    )
    assert "auc" not in found and "recall" not in found
    assert np.isfinite(found["cost"].value) and np.isfinite(found["log_loss"].lower)


def test_intervals_hold_the_truth_as_often_as_they_say(problem: Problem) -> None:
    one = of_task(problem, "binary", resamples=200, confidence=0.9)
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        shift = rng.normal(0, 0.1, 30)  # days differ, so rows of a day hang together
        days = np.repeat(np.arange(30), 20).astype(float)
        y = (rng.random(600) < np.clip(0.3 + shift[days.astype(int)], 0, 1)).astype(float)
        draws = resampling.draw(days, 200, seed)
        brier = figures.intervals(one, y, np.full(600, 0.3), draws, 0.25)["brier"]
        held += brier.lower <= 0.3 * 0.49 + 0.7 * 0.09 + 0 <= brier.upper
    assert 80 <= held <= 97


def calibrated(seed: int, slope: float = 1.0, shift: float = 0.0) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1, 5_000)
    y = (rng.random(5_000) < 1 / (1 + np.exp(-logit))).astype(float)
    days = rng.integers(0, 25, 5_000).astype(float)
    return y, 1 / (1 + np.exp(-(logit / slope + shift))), days


def test_good_probabilities_have_slope_1_intercept_0_and_little_error() -> None:
    inside = {"slope": 0, "intercept": 0}
    for seed in range(40):
        y, score, days = calibrated(seed)
        found = calibration.measure(y, score, score, resampling.draw(days, 200, 7), Gate())
        assert found.expected_error < 0.04 and found.expected_error_lower < 0.02
        assert len(found.bins) == calibration.N_BINS
        assert sum(one.n for one in found.bins) == len(y)
        assert found.holds
        assert found.slope_lower and found.slope_upper
        assert found.intercept_lower and found.intercept_upper
        inside["slope"] += found.slope_lower < 1 < found.slope_upper
        inside["intercept"] += found.intercept_lower < 0 < found.intercept_upper
    assert min(inside.values()) >= 34, inside  # 38 expected


def test_the_one_step_interval_of_the_slope_is_that_of_full_fits() -> None:
    from retrue.calibrators import logistic, logit

    y, score, days = calibrated(2, slope=0.6)
    draws = resampling.draw(days, 100, 7)
    found = calibration.measure(y, score, score, draws, Gate())
    slopes = []
    for row in draws.counts[1:]:
        times = row[days.astype(int)].astype(int)
        line = logistic(logit(np.repeat(score, times)), np.repeat(y, times))
        assert line is not None
        slopes.append(line[1])
    wanted = np.quantile(slopes, [0.025, 0.975])
    assert [found.slope_lower, found.slope_upper] == pytest.approx(wanted, abs=0.004)
    assert found.slope == pytest.approx(0.6, abs=0.06)


def test_bad_probabilities_are_refused_unless_the_champions_are_worse() -> None:
    y, good, days = calibrated(3)
    _, bad, _ = calibrated(3, shift=1.5)
    draws = resampling.draw(days, 200, 7)
    found = calibration.measure(y, bad, good, draws, Gate())
    assert found.expected_error_lower > 0.1
    assert not found.holds
    _, worse, _ = calibrated(3, shift=2.5)
    assert calibration.measure(y, bad, worse, draws, Gate()).holds
    assert calibration.measure(y, bad, good, draws, Gate(max_calibration_error=0.5)).holds


def test_scores_all_alike_have_bins_and_no_slope() -> None:
    y, score, days = calibrated(4)
    found = calibration.measure(
        y, np.full(len(y), 0.3), score, resampling.draw(days, 100, 7), Gate()
    )
    assert len(found.bins) == 1
    assert found.slope is None and found.intercept is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exact = calibration.measure(y, y, score, resampling.draw(days, 100, 7), Gate())
    assert exact.slope is None and exact.expected_error == 0


def test_so_few_cases_that_auc_has_no_interval_must_beat_no_skill(problem: Problem) -> None:
    rng = np.random.default_rng(0)
    days = np.repeat(np.arange(12), 75)
    late = np.isin(np.arange(900), (10, 20, 30))  # all on one day
    frame = pd.DataFrame(
        {
            "delay": np.where(late, 9, 0),
            "at": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(days, unit="D"),
        }
    )
    bad, worse = rng.uniform(0.01, 0.02, 900), rng.uniform(0.2, 0.3, 900)
    parts = Split(frame, frame, None, ())
    scores = Scores(bad, worse, np.full(900, 0.0033))
    found = comparison.weigh(of_task(problem, "binary"), parts, scores, 0.25)
    assert "auc" not in found.metrics
    assert found.lower is not None and found.lower > 0, "better than the champion"
    assert not found.promoted
    assert "no signal" in found.reason


def two_shops(lost: float) -> tuple[Scores, Array, Array, pd.DataFrame]:
    """A challenger that is better in shop A and has lost `lost` of its skill in shop B."""
    rng = np.random.default_rng(5)
    n = 6_000
    y = (rng.random(n) < 0.3).astype(float)
    shop = np.where(np.arange(n) % 4 == 0, "B", "A")
    luck, other = rng.uniform(0.2, 0.4, (2, n))
    old = np.clip(luck + 0.2 * (y - 0.3), 0, 1)
    new = np.clip(other + np.where(shop == "A", 0.35, 0.2 - lost) * (y - 0.3), 0, 1)
    days = rng.integers(0, 25, n).astype(float)
    frame = pd.DataFrame({"shop": pd.Categorical(shop), "late": y, "day": days})
    frame.loc[0, "shop"] = None
    return Scores(new, old, np.full(n, 0.3)), y, days, frame


def on_shops(problem: Problem, lost: float, margin: float) -> Verdict:
    scores, _, days, frame = two_shops(lost)
    frame = frame.assign(
        at=pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(days, unit="D"),
        delay=np.where(frame["late"] == 1, 9, 0),
    )
    shops = (Slice(column="shop", max_loss=margin, min_rows=20),)
    one = of_task(problem, "binary", slices=shops, max_calibration_error=1.0)
    return comparison.weigh(one, Split(frame, frame, None, ()), scores, 0.25)


def test_a_slice_that_got_worse_stops_a_challenger_that_is_better_on_the_whole(
    problem: Problem,
) -> None:
    verdict = on_shops(problem, lost=0.2, margin=0.01)
    assert verdict.lower is not None and verdict.lower > 0
    assert not verdict.promoted
    assert "worse on shop B" in verdict.reason
    assert [(one.value, one.holds) for one in verdict.slices] == [("A", True), ("B", False)]
    assert on_shops(problem, lost=0.2, margin=0.5).promoted, "the margin allows it"


def test_a_slice_that_is_merely_not_proven_better_stops_nobody(problem: Problem) -> None:
    verdict = on_shops(problem, lost=0.0, margin=0.0)
    slice_b = verdict.slices[1]
    assert slice_b.lower is not None and slice_b.lower < 0
    assert verdict.promoted, verdict.reason


def test_many_slices_refuse_a_twin_by_chance_at_most_one_time_in_twenty() -> None:
    rules = Gate(resamples=100, slices=(Slice(column="shop", min_rows=20),))

    def holds(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        y = (rng.random(2_000) < 0.3).astype(float)
        old, new = (np.clip(0.3 + rng.normal(0, 0.05, 2_000), 0.01, 1) for _ in range(2))
        frame = pd.DataFrame({"shop": rng.integers(0, 20, 2_000)})
        draws = resampling.draw(rng.integers(0, 25, 2_000), 100, 7)

        def values(rows: Positions) -> tuple[Array, Array, Array]:
            return gate.gain_draws(rules, y[rows], old[rows], [new[rows]], draws.of_rows(rows), 7)

        found = slices.gains(frame, rules, 25, values)
        assert len(found) == 20
        return all(one.holds for one in found)

    refused = sum(not holds(seed) for seed in range(100))
    assert refused <= 8  # at most 5 expected; more than 8 has a chance of 6 % then


def test_a_slice_of_one_class_is_not_judged_by_auc(problem: Problem) -> None:
    scores, y, days, frame = two_shops(0.1)
    rules = Gate(metric="auc", resamples=100, slices=(Slice(column="shop"),))
    one_class = np.where(frame["shop"] == "B", 0.0, y)
    draws = resampling.draw(days, 100, 7)

    def values(rows: Positions) -> tuple[Array, Array, Array]:
        return gate.gain_draws(
            rules,
            one_class[rows],
            scores.champion[rows],
            [scores.challenger[rows]],
            draws.of_rows(rows),
            7,
        )

    assert [one.value for one in slices.gains(frame, rules, 25, values)] == ["A"]


def verdict(**more: object) -> Verdict:
    figures_: dict[str, object] = {
        "promoted": True,
        "metric": "log_loss",
        "confidence": 0.95,
        "n_rows": 9,
        "n_days": 9,
        "reason": "good",
    }
    figures_ |= {"champion": 0.5, "challenger": 0.4, "gain": 0.1, "lower": 0.05, "upper": 0.15}
    return Verdict.model_validate({**figures_, **more})


def test_no_signal_is_refused_whatever_the_loss_says() -> None:
    flat = {"auc": Interval(value=0.51, lower=0.48, upper=0.54)}
    found = gate.weigh(verdict(metrics=flat), Gate())
    assert not found.promoted
    assert "no signal: AUC 0.510 [0.480, 0.540] does not exclude 0.5" in found.reason
    assert gate.weigh(found, Gate()) == found, "weighed twice, said once"
    some = {"auc": Interval(value=0.6, lower=0.55, upper=0.65)}
    assert gate.weigh(verdict(metrics=some), Gate()).promoted


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_a_challenger_without_skill_is_refused_in_every_task(problem: Problem, task: str) -> None:
    one = of_task(problem, task)
    y, _, days = sample(task)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "delay": y,
            "at": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(days, unit="D"),
        }
    )
    one = one.model_copy(update={"label": one.label.model_copy(update={"expression": "delay"})})
    parts = Split(frame, frame, None, ("0", "1", "2") if task == "multiclass" else ())
    if task == "multiclass":
        blind, worse = rng.dirichlet([20, 20, 20], 900), rng.dirichlet([1, 1, 1], 900)
        no_skill = np.broadcast_to(np.bincount(y.astype(int)) / 900, blind.shape)
        frame["delay"] = y.astype(int)
    else:
        blind, worse = y.mean() + rng.normal(0, 1, 900), y.mean() + rng.normal(0, 9, 900)
        no_skill = np.full(900, y.mean())
    found = comparison.weigh(one, parts, Scores(blind, worse, no_skill), 0.5)
    assert found.lower is not None and found.lower > 0, "better than the champion"
    assert not found.promoted
    assert "no signal" in found.reason
