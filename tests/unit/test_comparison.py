"""Versions side by side: figures that can be ranked apart from those that cannot."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from typer.testing import CliRunner

from flows.cli import app
from retrue import comparison, gate, lineage, tracking
from retrue.comparison import page
from retrue.comparison.newest import newest_data, on_newest
from retrue.config import Problem
from retrue.errors import TrainingError
from retrue.refs import ModelRef
from tests.unit.conftest import make_project
from tests.unit.html_outline import Outline
from tests.unit.trained import Workshop, explain


@dataclass(frozen=True)
class Shelf:
    """Version 1 of old data, which serves; version 2 of the newest; version 3 of other rounds."""

    workshop: Workshop
    old: ModelRef
    new: ModelRef
    other: ModelRef

    @property
    def problem(self) -> Problem:
        """With enough days to resample."""
        return self.workshop.problem


def changed(problem: Problem, **training: object) -> Problem:
    update = problem.training.model_copy(update=training)
    return problem.model_copy(update={"training": update})


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("shelf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETRUE_HOME", str(folder / "home"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tracking.client.cache_clear()
        project = make_project(folder / "project")
        project.replace("configs/visits.yaml", "holdout_days: 5", "holdout_days: 7")
        made = Workshop(project)
        old = made.train(made.data("2024-01-13"))
        made.deploy(old)
        newest = made.data("2024-01-20")
        new = made.train(newest, champion=old)
        other = made.train(newest, changed(made.problem, num_boost_round=14), old)
        yield Shelf(made, old, new, other)
    tracking.client.cache_clear()


def test_all_versions_are_scored_on_the_same_newest_rows(shelf: Shelf) -> None:
    found = comparison.compare(shelf.problem).comparison
    assert found.newest is not None
    assert (found.serving, found.newest.base) == (1, 1)
    assert found.newest.span == "2024-01-13 to 2024-01-20"
    assert [one.why_not for one in found.newest.scored] == [None, None, None]
    base, *rest = found.newest.scored
    assert base.gain is None
    for one in rest:
        assert one.gain is not None
        ours, theirs = one.metrics["log_loss"], base.metrics["log_loss"]
        assert one.gain.value == pytest.approx(theirs.value - ours.value)
        assert one.gain.lower <= one.gain.value <= one.gain.upper


def test_a_version_that_was_fitted_on_the_rows_gets_no_figures(shelf: Shelf) -> None:
    """A longer hold-out reaches into the days that the newer versions learned from."""
    longer = changed(shelf.problem, holdout_days=9)
    found = comparison.compare(longer).comparison.newest
    assert found is not None
    old, new, other = found.scored
    assert old.why_not is None and old.metrics
    for one in (new, other):
        assert one.metrics == {} and one.gain is None
        assert "was fitted on rows until 2024-01-13" in str(one.why_not)
    made = page.page(comparison.compare(longer))
    assert made.count("not comparable") == 2
    assert "not fair" in made


def test_without_a_comparable_champion_there_are_figures_but_no_gains(shelf: Shelf) -> None:
    shelf.workshop.deploy(shelf.new)
    try:
        longer = changed(shelf.problem, holdout_days=9)
        found = comparison.compare(longer).comparison.newest
        assert found is not None
        assert found.base is None
        assert all(one.gain is None for one in found.scored)
        assert "Gains: no version serves, or the one" in page.page(comparison.compare(longer))
    finally:
        shelf.workshop.deploy(shelf.old)


def test_a_version_of_another_label_is_not_compared(shelf: Shelf) -> None:
    label = shelf.problem.label.model_copy(update={"expression": "delay > 4"})
    found = comparison.compare(shelf.problem.model_copy(update={"label": label})).comparison.newest
    assert found is not None
    assert {one.why_not for one in found.scored} == {"it predicts another label: delay > 5"}


def test_rows_held_out_by_hash_are_fair_to_a_version_that_held_out_as_many(shelf: Shelf) -> None:
    data = shelf.problem.data.model_copy(update={"time": None})
    problem = changed(shelf.problem.model_copy(update={"data": data}), holdout_share=0.2)
    timeless = shelf.workshop.train(newest_data(problem), problem)

    def reason(now: Problem) -> str | None:
        found = comparison.compare(now, [timeless.version]).comparison.newest
        assert found is not None
        return found.scored[0].why_not

    assert reason(problem) is None
    assert reason(changed(problem, holdout_share=0.1)) is None
    assert "it held out other rows" in str(reason(changed(problem, holdout_share=0.3)))
    assert "without a time column" in str(reason(shelf.problem))
    in_time = comparison.compare(problem, [shelf.new.version]).comparison.newest
    assert in_time is not None
    assert "held out other rows" in str(in_time.scored[0].why_not)


def test_a_hold_out_that_cannot_be_made_is_told_and_the_rest_stands(shelf: Shelf) -> None:
    label = shelf.problem.label.model_copy(update={"expression": "gone > 4"})
    found = comparison.compare(shelf.problem.model_copy(update={"label": label})).comparison
    assert found.newest is None
    assert "expected the column gone" in str(found.why_no_newest)
    assert len(found.versions) >= 3


def test_parameters_that_differ_are_told_and_no_others(shelf: Shelf) -> None:
    found = comparison.compare(shelf.problem, [2, 3], newest=False).comparison
    assert found.newest is None and found.why_no_newest is None
    assert found.parameters["num_boost_round"] == {2: "10", 3: "14"}
    assert set(found.parameters) == {"num_boost_round", "config_sha256"}


def test_a_version_that_is_not_there_is_refused(shelf: Shelf) -> None:
    with pytest.raises(TrainingError, match="expected model version 77, found versions 1, 2, 3"):
        comparison.compare(shelf.problem, [1, 77])


def test_the_page_draws_versions_curves_and_importance(shelf: Shelf) -> None:
    explain(shelf.old, {"amount": 0.9, "<img src=x>": -0.8})
    found = comparison.compare(shelf.problem)
    made = page.page(replace(found, effects={**found.effects, 2: ()}))
    tags = [tag for tag, _ in Outline(made).tags]
    assert "script" not in tags and "img" not in tags
    assert not re.search(r"url\(|@import|https?://", made)
    assert "different hold-outs" in made
    assert "v1 serves" in made
    assert "No explanation: v2" in made
    titles = re.findall(r"<svg[^>]*><title>([^<]+)</title>", made)
    assert {"log_loss", "auc", "Hold-out log loss by round"} <= set(titles)
    assert "Share of the importance by version" in titles


def test_the_command_prints_tables_or_one_document(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shelf.workshop.small.root)
    told = CliRunner().invoke(app, ["compare", "visits", "--versions", "1,2"]).output
    assert "do not rank versions by those figures" in told
    assert "gain over v1" in told
    document = json.loads(CliRunner().invoke(app, ["compare", "visits", "--json"]).output)
    assert document["newest"]["scored"][1]["gain"]["value"]
    assert document["page"].endswith("compare.html")
    assert CliRunner().invoke(app, ["compare", "visits", "--versions", "a"]).exit_code == 2


def test_the_gain_is_the_gates_own(shelf: Shelf) -> None:
    found = on_newest(shelf.problem, [lineage.of_model("visits", n) for n in (1, 2)], serving=1)
    verdict = lineage.of_model("visits", 2).verdict
    assert verdict is not None
    assert isinstance(verdict, gate.Verdict)
    gain = found.scored[1].gain
    assert gain is not None
    assert (gain.value, gain.lower, gain.upper) == (verdict.gain, verdict.lower, verdict.upper)
