"""Which rows a window is held against, read from what was really served."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from retrue.alarms import windows
from retrue.alarms.windows import Against
from retrue.drift.reference import summarise
from retrue.lake import write_version
from retrue.refs import ModelRef
from tests.unit.conftest import Small
from tests.unit.late_labels import make_problem, serve, write_bundle
from tests.unit.synthetic import learnable
from tests.unit.test_alarm_decision import make_model
from tests.unit.trained import Workshop

A_YEAR_BEFORE = range(-355, -345)
"""10 to 19 February 2023, as days of February 2024."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))


def against(folder: Path, learned_until: date = date(2024, 2, 1)) -> Against:
    problem = make_problem()
    drift = problem.drift.model_copy(update={"min_rows": 10})
    problem = problem.model_copy(update={"drift": drift})
    kept = pd.DataFrame({"amount": [1.0, 2.0], "shop": ["A", "B"]})
    model = make_model(folder, None, kept.to_parquet(), learned_until)
    counts = summarise(kept, problem.features)
    return windows.reference(problem, model, counts, date(2024, 2, 10), date(2024, 2, 20))


def test_rows_served_in_the_same_season_a_year_ago_are_the_reference(tmp_path: Path) -> None:
    serve([{"day": day} for day in (*A_YEAR_BEFORE, 3)], write_bundle())
    found = against(tmp_path)
    assert found.described == "served rows of 2023-02-03 to 2023-02-26, the same season"
    assert (found.counts.n_rows, len(found.sample)) == (10, 10)
    assert found.sample["amount"].min() == 1.5


def test_without_an_earlier_year_it_is_the_reference_in_the_bundle(tmp_path: Path) -> None:
    serve([{"day": day} for day in range(1, 20)], write_bundle())
    found = against(tmp_path)
    assert found.described == "the training reference"
    assert (found.counts.n_rows, len(found.sample)) == (2, 2)


def test_a_season_after_the_end_of_the_models_data_is_not_taken(tmp_path: Path) -> None:
    serve([{"day": day} for day in A_YEAR_BEFORE], write_bundle())
    assert against(tmp_path, date(2023, 2, 1)).described == "the training reference"


def test_training_rows_of_the_season_are_taken_where_none_was_served(small: Small) -> None:
    workshop, frame = Workshop(small), learnable()
    frame["at"] = frame["at"].dt.floor("D")  # so that some are at the very end of the season
    bundle = workshop.fit(write_version("visits", frame, ["visit"], "2024-01-20"))
    model = ModelRef(problem="visits", version=1, run_id="run", bundle=bundle)
    problem = workshop.problem
    drift = problem.drift.model_copy(update={"min_rows": 10, "season_days": 0})
    problem = problem.model_copy(update={"drift": drift})
    counts = summarise(frame.head(5), problem.features)
    found = windows.reference(problem, model, counts, date(2025, 1, 5), date(2025, 1, 15))
    assert found.described == "training rows of 2024-01-05 to 2024-01-14, the same season"
    assert found.counts.n_rows == frame["at"].dt.day.between(5, 14).sum()
