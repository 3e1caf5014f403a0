"""Folds: the time to come is predicted from what was known, and the hold-out is not touched."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retrue import splits
from retrue.config import Canvas, Cost, Data, Features, Label, Problem, Search, Source, Training
from retrue.errors import TrainingError
from retrue.search.folds import MIN_ROWS, Fold, folds, recipe_share
from retrue.search.recipe import recipe_of
from tests.unit.search_problem import untimed, with_search
from tests.unit.synthetic import learnable

if TYPE_CHECKING:
    from tests.unit.conftest import Small


COST = Cost(amount=1, unit="call", why="a call")
CANVAS = Canvas(
    question="late?", decision="call", decided_by="us", cost_false_positive=COST,
    cost_false_negative=COST, success="less loss", baseline="none", data_sources=("visits",),
    label="late", label_known="the next day",
)  # fmt: skip


def _frame(seed: int, n_rows: int, n_hours: int) -> pd.DataFrame:
    """Rows at hours by chance, several in one, in time order."""
    hours = np.sort(np.random.default_rng(seed).integers(0, n_hours, n_rows))
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(hours, unit="h")
    return pd.DataFrame({"at": times, "visit": range(n_rows)})


def _problem(n_folds: int, lag_days: int, holdout_days: int, time: str | None = "at") -> Problem:
    return Problem(
        name="visits",
        canvas=CANVAS,
        features=Features(numeric=("amount",)),
        data=Data(sources={"a": Source(path="a.csv")}, main="a", key=("visit",), time=time),
        label=Label(expression="delay > 5", known_after_days=lag_days),
        training=Training(num_boost_round=1, seed=1, holdout_days=holdout_days),
        search=Search(n_folds=n_folds),
    )


SPANS = {
    "seed": st.integers(0, 2**31),
    "n_rows": st.integers(300, 2_000),
    "n_hours": st.integers(1, 24 * 300),
    "n_folds": st.integers(2, 6),
    "lag_days": st.integers(0, 9),
    "holdout_days": st.integers(1, 120),
}


@settings(max_examples=60, deadline=None)
@given(**SPANS)
def test_no_fold_learns_from_a_label_that_was_not_known_when_its_window_began(
    seed: int, n_rows: int, n_hours: int, n_folds: int, lag_days: int, holdout_days: int
) -> None:
    frame = _frame(seed, n_rows, n_hours)
    try:
        made = folds(frame, _problem(n_folds, lag_days, holdout_days))
    except TrainingError:
        return
    for fold in made:
        newest_known = frame["at"].iloc[fold.train].max() + pd.Timedelta(days=lag_days)
        assert newest_known < frame["at"].iloc[fold.valid].min()


@settings(max_examples=40, deadline=None)
@given(**SPANS)
@example(seed=3, n_rows=1738, n_hours=1048, n_folds=3, lag_days=0, holdout_days=3)
def test_windows_move_on_to_the_newest_row_and_the_past_only_grows(
    seed: int, n_rows: int, n_hours: int, n_folds: int, lag_days: int, holdout_days: int
) -> None:
    frame = _frame(seed, n_rows, n_hours)
    try:
        made = folds(frame, _problem(n_folds, lag_days, holdout_days))
    except TrainingError:
        return
    if made[-1].valid[-1] != len(frame) - 1:  # a newest window of too few rows is left out
        span = frame["at"].max() - frame["at"].min()
        newest = frame["at"].max() - min(pd.Timedelta(days=holdout_days), span / 3)
        assert (frame["at"] > newest).sum() < MIN_ROWS
    starts = [int(fold.valid[0]) for fold in made]
    assert starts == sorted(starts)
    for fold in made[:-1]:
        window = frame["at"].iloc[fold.valid]
        assert window.max() - window.min() <= pd.Timedelta(days=holdout_days)
    sizes = [len(fold.train) for fold in made]
    assert sizes == sorted(sizes)


@settings(max_examples=20, deadline=None)
@given(n_folds=st.integers(2, 5), seed=st.integers(0, 1000))
def test_without_a_time_rows_of_one_key_are_on_one_side(n_folds: int, seed: int) -> None:
    keys = np.random.default_rng(seed).integers(0, 400, 3_000)
    problem = _problem(n_folds, 0, 28, time=None)
    frame = pd.DataFrame({"visit": keys})
    held_out = splits.key_hash(frame, problem) < problem.training.holdout_share
    train = frame[~held_out]
    made = folds(train, problem)
    for fold in made:
        old, new = train["visit"].iloc[fold.train], train["visit"].iloc[fold.valid]
        assert not set(old) & set(new)
        assert len(new) > len(train) / n_folds / 2
    assert sum(len(fold.valid) for fold in made) == len(train)


def test_the_hold_out_of_the_gate_is_in_no_fold(small: Small) -> None:
    problem = with_search(small.problem)
    frame = learnable()
    parts = splits.split(frame, problem, date(2024, 1, 20))
    made = folds(parts.train, problem)
    assert parts.cut is not None
    assert parts.train["at"].iloc[made[-1].valid].max() < parts.cut


def test_too_few_rows_for_two_folds_are_refused_with_the_remedy(small: Small) -> None:
    problem = untimed(with_search(small.problem, n_folds=20))
    with pytest.raises(
        TrainingError, match=r"n_folds 20: .* widen the span, lower search\.n_folds"
    ):
        folds(learnable(600), problem)


def test_a_fold_bears_the_rounds_of_its_share_of_the_rows_that_still_count(small: Small) -> None:
    ages = np.arange(100.0)[::-1]
    older = Fold(np.arange(50), np.arange(50, 60))
    steady = recipe_of(small.problem)
    assert recipe_share(steady, ages, older) == 0.5
    forgetful = steady.model_copy(update={"half_life_days": 5.0})
    assert 0.99 < recipe_share(forgetful, ages, older) < 1
    forest = steady.model_copy(update={"params": {"boosting": "rf"}})
    assert recipe_share(forest, ages, older) == 1
