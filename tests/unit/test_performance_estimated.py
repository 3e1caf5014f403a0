"""The estimate without labels: what labels drawn from the scores would give, or no figure."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue.config import Problem
from retrue.evidence import figures, resampling
from retrue.performance.estimated import estimate, intervals, row_log_loss
from tests.unit.late_labels import make_problem

N_DAYS = 10
THRESHOLD = 0.4
BINARY = {"log_loss", "auc", "average_precision", "brier", "cost", "accuracy"}
BINARY |= {"balanced_accuracy", "precision", "recall", "f1"}


def binary_scores(seed: int, n: int = 600, centre: float = 0.3) -> Any:
    """Probabilities with ties among them."""
    rng = np.random.default_rng(seed)
    return np.round(rng.beta(4 * centre, 4 * (1 - centre), n), 1).clip(0.01, 0.99)


def class_scores(seed: int, n: int = 600) -> Any:
    return np.random.default_rng(seed).dirichlet([1.0, 2.0, 0.7], n)


def days(n: int) -> Any:
    return np.arange(n) % N_DAYS


def realised_means(problem: Problem, score: Any, n_draws: int = 80) -> dict[str, float]:
    """What `retrue.evidence.figures` realises on labels drawn from the scores, on average."""
    rng = np.random.default_rng(1)
    draws = resampling.Draws(days(len(score)), np.ones((2, N_DAYS)))
    found: dict[str, list[float]] = {}
    for _ in range(n_draws):
        u = rng.random(len(score))
        y = u < score if score.ndim == 1 else (u[:, None] > np.cumsum(score, axis=1)).sum(axis=1)
        of_draw = figures.intervals(problem, y.astype(float), score, draws, THRESHOLD)
        for name, one in of_draw.items():
            found.setdefault(name, []).append(one.value)
    return {name: float(np.mean(values)) for name, values in found.items()}


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 0.8))
def test_the_estimate_is_the_mean_of_what_labels_drawn_from_the_scores_realise(
    seed: int, centre: float
) -> None:
    problem, score = make_problem(), binary_scores(seed, centre=centre)
    expected = intervals(problem, score, days(len(score)), THRESHOLD)
    assert set(expected) == BINARY
    for name, mean in realised_means(problem, score).items():
        # Six standard errors of the mean of the draws; ratios have a bias of the order 1 / n_rows.
        assert expected[name].value == pytest.approx(mean, abs=0.016), name


def test_several_classes_have_their_macro_figures() -> None:
    problem, score = make_problem("multiclass"), class_scores(3)
    expected = intervals(problem, score, days(len(score)), THRESHOLD)
    assert set(expected) == {"log_loss", "brier", "accuracy", "balanced_accuracy", "f1"}
    for name, mean in realised_means(problem, score).items():
        assert expected[name].value == pytest.approx(mean, abs=0.016), name


def test_the_interval_holds_what_new_days_with_new_labels_realise() -> None:
    problem, rng, covered = make_problem(), np.random.default_rng(5), []
    for _ in range(25):
        centres = rng.uniform(0.2, 0.5, 2 * N_DAYS)  # days differ in their features
        score = rng.beta(4 * centres, 4 * (1 - centres), (60, 2 * N_DAYS)).clip(0.01, 0.99)
        seen, new = score[:, :N_DAYS].ravel(), score[:, N_DAYS:].ravel()
        expected = intervals(problem, seen, days(len(seen)), THRESHOLD)["log_loss"]
        y = rng.random(len(new)) < new
        realised = float(-np.log(np.where(y, new, 1 - new)).mean())
        # Both samples vary: the difference has twice the variance of one.
        reach = (expected.upper - expected.lower) / 2 * 2**0.5
        covered.append(abs(realised - expected.value) < reach)
    assert np.mean(covered) > 0.8


def test_the_order_of_the_rows_and_their_number_of_days_alone_matter() -> None:
    problem, score = make_problem(), binary_scores(2)
    order = np.random.default_rng(0).permutation(len(score))
    assert intervals(problem, score, days(600), THRESHOLD) == intervals(
        problem, score[order], days(600)[order], THRESHOLD
    )
    kept = score.copy()
    estimate(problem, score, days(600), THRESHOLD)
    assert (score == kept).all()


def test_more_rows_than_are_drawn_move_no_figure_but_the_interval() -> None:
    problem, score = make_problem(), binary_scores(4, 25_000)
    found = intervals(problem, score, days(25_000), THRESHOLD)
    loss = found["log_loss"]
    assert loss.value == pytest.approx(row_log_loss(score).mean(), rel=1e-12)
    assert loss.lower < loss.value < loss.upper
    assert loss.upper - loss.lower < 0.05


def bad(score: Any, value: float) -> Any:
    changed = score.copy()
    changed.flat[7] = value
    return changed


@pytest.mark.parametrize(
    ("task", "score", "n_days", "said"),
    [
        ("binary", bad(binary_scores(1), np.nan), 10, "1 of 600 scores are no probabilities"),
        ("binary", bad(binary_scores(1), 1.5), 10, "1 of 600 scores are no probabilities"),
        ("binary", bad(binary_scores(1), -np.inf), 10, "1 of 600 scores are no probabilities"),
        ("multiclass", bad(class_scores(1), 0.9), 10, "1 of 600 scores are no probabilities"),
        ("multiclass", bad(class_scores(1), np.nan), 10, "1 of 600 scores are no probabilities"),
        ("binary", np.empty(0), 10, "0 rows, 500 wanted"),
        ("binary", binary_scores(1, 499), 10, "499 rows, 500 wanted"),
        ("binary", binary_scores(1), 4, "4 days are fewer than 5"),
        ("regression", binary_scores(1), 10, "cannot estimate"),
    ],
)
def test_what_cannot_be_estimated_has_a_reason_and_no_figure(
    task: str, score: Any, n_days: int, said: str
) -> None:
    found = estimate(make_problem(task), score, np.arange(len(score)) % n_days, THRESHOLD)
    assert said in found.reason
    assert found.metrics == {}


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_scores_that_promise_one_class_leave_out_what_needs_two(score: float) -> None:
    found = estimate(make_problem(), np.full(600, score), days(600), THRESHOLD).metrics
    assert "auc" not in found
    assert found["accuracy"].value == 1
