"""Metrics: natural sign, honest refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue import metrics
from retrue.errors import TrainingError

ROWS = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=40)


@given(ROWS)
def test_log_loss_is_the_mean_of_the_rows_own_losses(rows: list[tuple[int, float]]) -> None:
    y, score = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    assert metrics.log_loss(y, score) == pytest.approx(metrics.row_log_loss(y, score).mean())
    assert np.isfinite(metrics.log_loss(y, score))


@given(ROWS)
def test_auc_is_the_share_of_pairs_won_with_ties_half(rows: list[tuple[int, float]]) -> None:
    y, score = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    if len(set(y)) == 1:
        with pytest.raises(TrainingError, match="only class"):
            metrics.auc(y, score)
        return
    won = [(p > n) + (p == n) / 2 for p in score[y == 1] for n in score[y == 0]]
    assert metrics.auc(y, score) == pytest.approx(np.mean(won))


def test_one_class_has_no_auc_and_the_class_is_named() -> None:
    with pytest.raises(TrainingError, match="only class 1 in 3 rows"):
        metrics.auc([1, 1, 1], [0.1, 0.2, 0.3])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.01, 1.01])
@pytest.mark.parametrize("metric", [metrics.log_loss, metrics.auc])
def test_a_score_that_is_no_probability_is_refused_with_its_row(metric, bad: float) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TrainingError, match="score of row 2"):
        metric([0, 1, 1], [0.5, 0.5, bad])


@pytest.mark.parametrize("y", [[0, 1, 2], [0, 1, np.nan], [], [0, 1]])
def test_labels_that_are_not_binary_or_do_not_fit_are_refused(y: list[float]) -> None:
    with pytest.raises(TrainingError):
        metrics.log_loss(y, [0.5, 0.5, 0.5])


def test_no_skill_is_the_entropy_when_the_rate_held() -> None:
    y = np.array([0.0, 0.0, 0.0, 1.0])
    found = metrics.summary("binary", y, y * 0.8 + 0.1, np.array(0.25))
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert found["no_skill_log_loss"] == pytest.approx(entropy)
    assert found["holdout_auc"] == 1.0


def test_a_class_the_model_never_saw_costs_as_much_as_certain_error() -> None:
    score = np.array([[0.9, 0.1], [0.2, 0.8]])
    known = metrics.row_losses("log_loss", np.array([0.0, 1.0]), score)
    unseen = metrics.row_losses("log_loss", np.array([0.0, -1.0]), score)
    assert known == pytest.approx(-np.log([0.9, 0.8]))
    assert unseen[1] == pytest.approx(-np.log(metrics.EPSILON))


def test_two_classes_cost_the_same_as_columns_and_as_one_probability() -> None:
    y, score = np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.7, 0.4])
    both = np.column_stack([1 - score, score])
    assert metrics.row_losses("log_loss", y, both) == pytest.approx(metrics.row_log_loss(y, score))


def test_a_regression_is_summed_up_in_the_units_of_its_target() -> None:
    y, score = np.array([1.0, 3.0]), np.array([2.0, 1.0])
    found = metrics.summary("regression", y, score, np.array(2.0))
    assert found["holdout_rmse"] == pytest.approx(np.sqrt(2.5))
    assert found["holdout_mae"] == 1.5
    assert found["no_skill_rmse"] == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_regression_score_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(TrainingError, match="score of row 1: expected finite numbers"):
        metrics.checked([1.0, 2.0], [0.0, bad], "squared_error")
