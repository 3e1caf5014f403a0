"""Realised metrics by the labels that came, and whether they bear the estimate out."""

from typing import Any

import numpy as np
import pytest

from retrue import metrics
from retrue.performance.realised import bears_out, realise
from retrue.performance.report import Realised
from retrue.performance.trust import Scored, disjoint, judge
from retrue.verdicts import Interval
from tests.unit.late_labels import make_problem

TOLERANCE = 0.05
THRESHOLD = 0.4


def window(seed: int = 0, day_sd: float = 0.3, flip: bool = False) -> tuple[Any, Any, Any]:
    """Labels, scores and days of 20 days with 100 rows, each day with a shock of its own."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(20), 100)
    eta = rng.normal(-0.5, 1.2, len(day))
    shock = rng.normal(0, day_sd, 20)[day]
    y = rng.random(len(day)) < 1 / (1 + np.exp(-(-eta if flip else eta) - shock))
    return y.astype(float), 1 / (1 + np.exp(-eta)), day


def judged(y: Any, score: Any, day: Any) -> Realised:
    return realise(make_problem(), y, score, day, THRESHOLD)


def test_all_labelled_rows_are_realised_and_others_are_counted() -> None:
    y, score, day = window()
    y[::4] = np.nan
    found = judged(y, score, day)
    known = np.isfinite(y)
    assert (found.n_labelled, found.share_labelled, found.n_days) == (1500, 0.75, 20)
    assert found.metrics["log_loss"].value == pytest.approx(
        metrics.log_loss(y[known], score[known])
    )
    assert found.metrics["auc"].value == pytest.approx(metrics.auc(y[known], score[known]))
    assert found.expected is not None and found.gap is not None
    assert found.gap.value == pytest.approx(found.metrics["log_loss"].value - found.expected.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda y, s: (y * np.nan, s), "no labels yet"),
        (lambda y, s: (np.where(np.arange(2000) % 4, np.nan, y), s), "500 labels"),
        (lambda y, s: (np.where(np.arange(2000) % 5 > 1, np.nan, y), s), "40% of the rows"),
        (lambda y, s: (np.zeros(2000), s), "of one class"),
        (lambda y, s: (y, np.where(np.arange(2000) == 9, np.nan, s)), "scores from 0 to 1"),
        (lambda y, s: (np.where(np.arange(2000) == 9, 3.0, y), s), "labels 0 or 1"),
        (lambda y, s: (y[:0], s[:0]), "no labels yet"),
    ],
)
def test_labels_that_cannot_tell_have_a_reason_and_no_figure(change: Any, said: str) -> None:
    y, score, day = window()
    y, score = change(y, score)
    problem = make_problem()
    rules = problem.drift.model_copy(update={"min_rows": 501})
    found = realise(problem.model_copy(update={"drift": rules}), y, score, day[: len(y)], THRESHOLD)
    assert said in found.reason
    assert found.metrics == {}
    assert bears_out(found, TOLERANCE) is None


def test_four_days_are_too_few() -> None:
    y, score, day = window()
    assert "4 labelled days are fewer than 5" in judged(y, score, day % 4).reason


def test_a_regression_is_realised_but_bears_nothing_out() -> None:
    y, score, day = window()
    found = realise(make_problem("regression"), y * 10, score * 10, day, THRESHOLD)
    assert set(found.metrics) == {"squared_error", "rmse", "mae", "r2"}
    assert bears_out(found, TOLERANCE) is None


def test_an_unknown_class_of_several_counts_as_a_surprise() -> None:
    rng = np.random.default_rng(3)
    score = rng.dirichlet([2.0, 2.0, 2.0], 2000)
    y = (rng.random(2000)[:, None] > np.cumsum(score, axis=1)).sum(axis=1).astype(float)
    day = np.arange(2000) % 20
    problem = make_problem("multiclass")
    assert bears_out(realise(problem, y, score, day, THRESHOLD), TOLERANCE) is True
    strange = realise(problem, np.where(rng.random(2000) < 0.1, -1, y), score, day, THRESHOLD)
    assert bears_out(strange, TOLERANCE) is False


def test_days_with_shocks_of_their_own_bear_the_estimate_out() -> None:
    answers = [bears_out(judged(*window(seed)), TOLERANCE) for seed in range(12)]
    assert answers.count(False) <= 1


def test_a_concept_that_turned_around_does_not_whatever_the_day() -> None:
    answers = [bears_out(judged(*window(seed, flip=True)), TOLERANCE) for seed in range(4)]
    assert answers == [False] * 4


def test_a_gap_within_the_tolerance_or_the_luck_of_the_days_is_right() -> None:
    def found(value: float, lower: float, upper: float) -> Realised:
        return Realised(
            expected=Interval(value=0.50, lower=0.49, upper=0.51),
            gap=Interval(value=value, lower=lower, upper=upper),
            n_labelled=600,
            share_labelled=1,
            n_days=20,
        )

    assert bears_out(found(0.03, 0.02, 0.04), TOLERANCE) is True
    assert bears_out(found(0.04, 0.02, 0.06), TOLERANCE) is False
    assert bears_out(found(-0.04, -0.06, -0.02), TOLERANCE) is False
    assert bears_out(found(0.04, -0.01, 0.09), TOLERANCE) is True


# Trust


def month(number: int, is_right: bool) -> Scored:
    return Scored(f"2013-{number:02d}-01", f"2013-{number + 1:02d}-01", is_right)


def history(answers: str) -> list[Scored]:
    """One month a letter: r for right, w for wrong."""
    return [month(number, one == "r") for number, one in enumerate(answers, start=1)]


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ("", "untested"),
        ("r", "trusted"),
        ("w", "withdrawn"),
        ("rrrw", "withdrawn"),
        ("rwr", "withdrawn"),
        ("rwrr", "trusted"),
        ("wrwrr", "trusted"),
        ("wrwr", "withdrawn"),
    ],
)
def test_trust_is_lost_at_once_and_regained_after_two_right_windows(
    answers: str, state: str
) -> None:
    found = judge(history(answers)[::-1])
    assert found.state == state
    assert found.n_scored == len(answers)
    if state == "withdrawn":
        wrong = history(answers)[answers.rindex("w")]
        assert f"labels of {wrong.start} to {wrong.end}" in found.reason


def test_a_day_that_is_checked_again_and_again_is_one_witness() -> None:
    wrong = Scored("2013-03-01", "2013-03-31", False)
    again = [Scored(f"2013-04-{d:02d}", f"2013-05-{d:02d}", True) for d in range(1, 29)]
    assert len(disjoint([wrong, *again])) == 2
    assert judge([wrong, *again]).state == "withdrawn"
