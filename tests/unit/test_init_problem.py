"""From a file to a problem that loads, whose suites hold and whose rows can be trained on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from flows.init_command import init
from retrue.config import Problem, Source
from retrue.errors import ConfigError, DataError, RetrueError
from retrue.initialisation.guessing import label_of
from retrue.initialisation.initialise import Initialised, initialise
from retrue.initialisation.problem_writer import scalar, write_problem
from retrue.initialisation.profiling import profile
from retrue.initialisation.roles import Roles
from retrue.problems import load_problem
from retrue.sources.acquisition import read_source
from retrue.splits import split
from retrue.validation import validate

N = 1_200


def visits(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    size = rng.normal(50, 10, N).round(1)
    late = size + rng.normal(0, 10, N) > 55
    at = pd.date_range("2024-01-01", periods=N, freq="h", tz="UTC")
    return pd.DataFrame(
        {
            "visit id": np.arange(N),
            "방문 시각": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "점포: #1": rng.choice(["서울", "부산", "no"], N),
            "size": size,
            "yes": rng.integers(0, 9, N),
            "left": (at + pd.Timedelta("3h")).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "delay (min)": np.where(late, rng.integers(6, 60, N), rng.integers(0, 6, N)),
            "late?": np.where(late, "yes", "no"),
            "grade": rng.integers(1, 5, N),
            "price": (size * 3 + rng.normal(0, 20, N)).round(2),
        }
    )


def made(root: Path, target: str, frame: pd.DataFrame, **more: Any) -> tuple[Initialised, Problem]:
    file = root / "in" / "Site Visits (2024).csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(file, index=False)
    found = initialise(str(file), root, target, **more)
    return found, load_problem(found.name, root)


def checked(root: Path, found: Initialised, problem: Problem) -> pd.DataFrame:
    """The rows as the problem reads them, after its suites."""
    kinds: dict[str, Any] = dict.fromkeys(problem.features.numeric, "number")
    kinds |= dict.fromkeys(problem.features.categorical, "text")
    if problem.data.time is not None:
        kinds[problem.data.time] = "time"
    frame, *_ = read_source(found.name, problem.data.sources[found.name], root, kinds)
    for suite in (found.name, "linked"):
        said = validate(found.name, suite, frame, root / "expectations", parameters={"days": 50})
        assert said.failed == ()
        assert said.evaluated >= 2
    return frame


def test_a_table_becomes_a_problem_that_loads_holds_and_splits(tmp_path: Path) -> None:
    found, problem = made(tmp_path, "late?", visits())
    frame = checked(tmp_path, found, problem)
    parts = split(frame, problem, problem.training.until)

    assert found.name == problem.name == "site_visits_2024"
    assert found.config == "configs/site_visits_2024.yaml"
    assert found.suites == tuple(
        f"expectations/site_visits_2024/{suite}.json" for suite in ("site_visits_2024", "linked")
    )
    assert (problem.label.task, problem.label.expression) == ("binary", "`late?` == 'yes'")
    assert (problem.data.key, problem.data.time) == (("visit id",), "방문 시각")
    assert problem.data.sources[found.name].path == "in/Site Visits (2024).csv"
    assert problem.features.categorical == ("점포: #1",)
    assert problem.features.numeric == ("size", "yes", "grade", "price")
    assert set(found.leak_suspects) == {"delay (min)", "left"}
    assert (found.n_rows, found.n_columns) == (N, 10)
    assert len(parts.train) > 800
    assert len(parts.holdout) > 200


def test_each_guess_stands_in_the_file_with_its_reason(tmp_path: Path) -> None:
    found, problem = made(tmp_path, "late?", visits())
    text = (tmp_path / found.config).read_text()

    assert '# "delay (min)" left out as a leak: alone it tells the target' in text
    assert "# left left out as a leak: in 100% of rows it lies after 방문 시각." in text
    assert '# "visit id" left out: it identifies the row.' in text
    assert "'yes' is predicted, as it says yes" in text
    assert "to be checked" in problem.canvas.question
    assert any(guess.startswith("Leak suspect left: ") for guess in found.guesses)
    assert any(guess.startswith("Time: 방문 시각, the earliest") for guess in found.guesses)
    suite = json.loads((tmp_path / found.suites[0]).read_text())
    assert all(rule["meta"]["notes"] for rule in suite["expectations"])


@pytest.mark.parametrize(
    ("target", "task", "metric"),
    [("price", "regression", "squared_error"), ("grade", "multiclass", "log_loss")],
)
def test_other_tasks_and_no_time_make_a_problem_too(
    tmp_path: Path, target: str, task: str, metric: str
) -> None:
    frame = visits().drop(columns=["방문 시각", "left", "visit id"])
    found, problem = made(tmp_path, target, frame, name="other-one")
    parts = split(checked(tmp_path, found, problem), problem, problem.training.until)

    assert (problem.label.task, problem.gate.metric) == (task, metric)
    assert (problem.data.time, problem.data.key) == (None, ())
    assert "holdout_days" not in (tmp_path / found.config).read_text()
    assert len(parts.holdout) > 100


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    found, _ = made(tmp_path, "late?", visits())
    before = (tmp_path / found.config).read_bytes()

    with pytest.raises(ConfigError, match="a problem of this name; choose another --name"):
        made(tmp_path, "price", visits())
    assert (tmp_path / found.config).read_bytes() == before
    (tmp_path / found.config).unlink()
    with pytest.raises(ConfigError, match="linked.json"):
        made(tmp_path, "price", visits())
    _, problem = made(tmp_path, "price", visits(), force=True)
    assert problem.label.task == "regression"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"target": "Late"}, "the column Late"),
        ({"target": "방문 시각"}, "numbers or classes"),
        ({"target": "price", "time": "size"}, "times such as"),
        ({"target": "price", "name": "../../etc"}, "lower-case letters"),
    ],
)
def test_a_refusal_writes_nothing(tmp_path: Path, options: Any, expected: str) -> None:
    file = tmp_path / "t.csv"
    visits().to_csv(file, index=False)

    with pytest.raises(RetrueError, match=expected) as error:
        initialise(str(file), tmp_path, **options)

    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == [file]


def test_a_table_of_the_target_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a column to predict from"):
        made(tmp_path, "price", visits()[["price", "visit id"]])
    assert not (tmp_path / "configs").exists()


def test_a_file_that_cannot_be_written_takes_back_the_others(tmp_path: Path) -> None:
    (tmp_path / "configs").write_text("in the way")

    with pytest.raises(ConfigError, match="nothing was changed"):
        made(tmp_path, "late?", visits())
    assert list((tmp_path / "expectations").rglob("*.json")) == []


def test_a_name_is_made_of_the_file_and_a_source_is_never_called_linked(tmp_path: Path) -> None:
    for file, name in (("2024 Sales.csv", "table_2024_sales"), ("linked.csv", "linked")):
        visits().to_csv(tmp_path / file, index=False)
        found = initialise(str(tmp_path / file), tmp_path, "price")
        assert found.name == name
        assert len(set(found.suites)) == 2
    assert "linked_rows" in load_problem("linked", tmp_path).data.sources
    visits().to_csv(tmp_path / "매출.csv", index=False)
    with pytest.raises(ConfigError, match="--name NAME"):
        initialise(str(tmp_path / "매출.csv"), tmp_path, "price")


@settings(max_examples=80)
@given(names=st.lists(st.text(max_size=10), min_size=2, max_size=5, unique=True))
def test_columns_of_any_name_survive_the_file(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    target, *rest = [name.replace("`", "'") for name in names]
    if len({target, *rest}) < len(names):
        return
    frame = pd.DataFrame({target: [0, 1, 1]})
    columns = profile(frame)
    label = label_of(frame[target], columns[target], "t")
    roles = Roles(categorical=rest, left_out={"\n\x85# x": "odd\nreason"})
    text = write_problem(
        "p", "p", Source(path="a: #b.csv"), {"path": "why\nnot"}, columns[target], label, None,
        "none", rest[:1], roles, 0, None, 3,
    )  # fmt: skip
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    problem = load_problem(path)

    assert problem.features.categorical == tuple(rest)
    assert problem.data.key == tuple(rest[:1])
    assert problem.label.expression == label.expression
    assert problem.data.sources["p"].path == "a: #b.csv"


def test_words_that_yaml_reads_otherwise_are_quoted() -> None:
    assert [scalar(word) for word in ("true", "ON", "x1", "1x", "\x07")] == [
        '"true"',
        '"ON"',
        "x1",
        '"1x"',
        '"\\u0007"',
    ]


def test_the_command_tells_the_guesses_or_prints_one_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    visits().to_csv("visits.csv", index=False)
    app = typer.Typer()
    app.command()(init)
    runner = CliRunner()

    told = runner.invoke(app, ["visits.csv", "--target", "late?"])
    assert told.exit_code == 0, told.output
    assert "Leak suspect left: in 100% of rows it lies after 방문 시각." in told.output
    assert "wrote configs/visits.yaml" in told.output
    assert "retrue train visits" in told.output
    printed = runner.invoke(app, ["visits.csv", "--target", "price", "--force", "--json"])
    assert Initialised.model_validate_json(printed.stdout).name == "visits"
    assert sorted(os.listdir()) == ["configs", "expectations", "visits.csv"]
