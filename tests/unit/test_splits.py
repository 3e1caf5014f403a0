"""Splits: by time where there is one, by key where there is none; labels for all three tasks."""

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from retrue import splits, training
from retrue.config import Problem
from retrue.errors import TrainingError
from tests.unit.synthetic import learnable

if TYPE_CHECKING:
    from tests.unit.conftest import Small

UNTIL = date(2024, 1, 20)


def other(small: "Small", *changes: tuple[str, str]) -> Problem:
    """The small problem with words of its definition replaced."""
    for old, new in changes:
        small.replace("configs/visits.yaml", old, new)
    return small.problem


def timeless(small: "Small") -> Problem:
    return other(
        small,
        ("  time: at\n", ""),
        ("  start: 2024-01-01\n  until: 2024-01-20\n", ""),
        ("on: {at: hour}", "on: {visit: hour}"),
    )


def test_without_time_a_row_stays_on_its_side_whatever_comes_later(small: "Small") -> None:
    problem, frame = timeless(small), learnable()
    whole = splits.split(frame, problem, date.max)
    half = splits.split(frame.iloc[::2], problem, date.max)

    assert whole.cut is None
    assert 0.1 < len(whole.holdout) / len(frame) < 0.3
    assert set(half.holdout["visit"]) <= set(whole.holdout["visit"])
    assert not set(half.train["visit"]) & set(whole.holdout["visit"])


def test_without_time_the_blocks_are_even_and_do_not_depend_on_the_order(small: "Small") -> None:
    problem = timeless(small)
    holdout = splits.split(learnable(), problem, date.max).holdout
    blocks = pd.Series(splits.blocks(holdout, problem), index=holdout["visit"])
    turned = holdout.iloc[::-1]
    again = pd.Series(splits.blocks(turned, problem), index=turned["visit"])

    assert blocks.value_counts().max() - blocks.value_counts().min() <= 1
    pd.testing.assert_series_equal(blocks.sort_index(), again.sort_index())


def test_classes_are_those_of_the_training_part_and_others_are_unknown(small: "Small") -> None:
    problem = other(
        small,
        ("{expression: delay > 5,", "{task: multiclass, expression: shop,"),
        ("categorical: [shop, shop_kind]", "categorical: [shop_kind]"),
    )
    frame = learnable()
    frame["shop"] = frame["shop"].astype(str)
    frame.loc[frame["at"] >= pd.Timestamp("2024-01-17", tz="UTC"), "shop"] = "new"
    parts = splits.split(frame, problem, UNTIL)

    assert "new" not in parts.classes
    y = splits.target(parts.holdout, problem, parts.classes)
    np.testing.assert_array_equal(y == -1, parts.holdout["shop"] == "new")


def test_a_binary_expression_that_is_no_yes_or_no_is_refused(small: "Small") -> None:
    problem = other(small, ("expression: delay > 5", "expression: delay"))
    with pytest.raises(TrainingError, match="expected true or false in each row"):
        splits.split(learnable(), problem, UNTIL)


@pytest.mark.parametrize(
    ("task", "expression", "metric", "loss"),
    [
        ("multiclass", "shop_kind", "log_loss", "holdout_log_loss"),
        ("regression", "delay", "squared_error", "holdout_rmse"),
    ],
)
def test_other_tasks_are_fitted_and_judged_by_their_own_loss(
    small: "Small", task: str, expression: str, metric: str, loss: str
) -> None:
    problem = other(
        small,
        ("{expression: delay > 5,", f"{{task: {task}, expression: {expression},"),
        ("categorical: [shop, shop_kind]", "categorical: [shop]"),
        ("  seed: 7", f"  seed: 7\ngate: {{metric: {metric}}}"),
    )
    parts = splits.split(learnable(), problem, UNTIL)
    fitted = training.fit(parts, problem)
    scores = training.score(fitted.model_text, fitted.features, parts.holdout)

    assert fitted.metrics[loss] < fitted.metrics[loss.replace("holdout", "no_skill")]
    assert scores.shape == (len(parts.holdout), *([len(parts.classes)] if parts.classes else []))
