"""A card tells what was measured and what was not, and lets nothing of it run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from playwright.sync_api import Browser
from typer.testing import CliRunner

from flows.cli import app
from retrue import experiment, model_card, registry, run_files, tracking
from retrue.config import Problem
from retrue.model_card import Facts, changes, limits
from retrue.model_card.facts import Effect, gather
from retrue.refs import ModelRef
from tests.unit.conftest import make_project
from tests.unit.html_outline import Outline
from tests.unit.trained import Workshop, explain, with_all

HOSTILE = "<script>alert(1)</script>"
ABSENT = [
    "intervals of metrics",
    "slices",
    "calibration",
    "explanation",
    "processing performance",
]


@dataclass(frozen=True)
class Cards:
    """A first version with nothing measured, and one with everything that met it."""

    workshop: Workshop
    bare: ModelRef
    full: ModelRef

    @property
    def problem(self) -> Problem:
        return self.workshop.problem


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cards]:
    folder = tmp_path_factory.mktemp("cards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETRUE_HOME", str(folder / "home"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tracking.client.cache_clear()
        made = Workshop(make_project(folder / "project"))
        bare = made.train(made.data("2024-01-17"))
        made.small.replace("configs/visits.yaml", "Will the visit be late?", f"Late? {HOSTILE}")
        made.small.replace("configs/visits.yaml", "num_boost_round: 10", "num_boost_round: 12")
        later = made.data("2024-01-20", seed=1)
        bundle = made.fit(later)
        verdict = with_all(experiment.judge(made.problem, later, bundle, bare))
        full = experiment.register(
            made.problem, later, bundle, verdict, "flow-run-2", made.small.root
        )
        made.deploy(full)
        yield Cards(made, bare, full)
    tracking.client.cache_clear()


@pytest.fixture(scope="module")
def explained(cards: Cards) -> Facts:
    """Facts of the full version after both were explained."""
    explain(cards.full, {"amount": 0.9, "wind": -0.8, "shop": None})
    explain(cards.bare, {"wind": 0.7, "amount": 0.9, "shop_size": 0.1})
    return gather(cards.problem, cards.full)


def text_of(page: str, section: str) -> str:
    found = re.search(rf'<section id="{section}">(.*?)</section>', page, re.DOTALL)
    assert found is not None, section
    return re.sub(r"<[^>]+>", " ", found.group(1))


def bare_facts(cards: Cards) -> Facts:
    return replace(gather(cards.problem, cards.bare), effects=())


def test_a_card_with_nothing_measured_says_so_in_each_place(cards: Cards) -> None:
    facts = bare_facts(cards)
    page = model_card.page(facts)
    Outline(page)
    assert model_card.absent(facts) == ABSENT
    for section in ("slices", "calibration", "explanation", "performance"):
        assert "Not measured" in text_of(page, section), section
    assert "Not measured: intervals" in " ".join(text_of(page, "overview").split())
    assert "A first version" in text_of(page, "changes")
    assert "nobody decided" in text_of(page, "approval")
    assert "never deployed" in text_of(page, "approval")


def test_a_card_with_everything_tells_all_of_it(cards: Cards, explained: Facts) -> None:
    page = model_card.page(explained)
    Outline(page)
    assert model_card.absent(explained) == []
    assert "Not measured" not in page
    metrics = " ".join(text_of(page, "metrics").split())
    assert "0.4000 [0.3700, 0.4300] 0.4500 [0.4100, 0.4800]" in metrics
    assert "1 of 2 do not hold" in text_of(page, "slices")
    assert page.count("<svg") >= 5
    assert "wind turned" in text_of(page, "overview")
    assert "1.5 ms p99" in text_of(page, "performance")
    lineage = text_of(page, "lineage")
    assert explained.lineage.code_commit in lineage
    assert explained.lineage.bundle_sha256 in lineage
    assert "serving" in text_of(page, "approval")


def test_what_changed_since_the_champion_is_told(cards: Cards, explained: Facts) -> None:
    changed = " ".join(text_of(model_card.page(explained), "changes").split())
    assert "num_boost_round 10 12" in changed
    assert "known until 2024-01-17 2024-01-20" in changed
    assert "canvas.question" in changed
    assert "log_loss 0.4500 0.4000 -0.0500" in changed
    assert re.search(r"wind [\d.]+ % [\d.]+ % flipped", changed)
    assert not re.search(r"amount [\d.]+ % [\d.]+ % flipped", changed)


def test_the_card_of_a_version_tells_the_definition_that_made_it(cards: Cards) -> None:
    assert "<script>" in cards.problem.canvas.question
    page = model_card.page(bare_facts(cards))
    assert "Will the visit be late?" in text_of(page, "problem")


def test_text_of_the_canvas_is_text_and_nothing_is_loaded(explained: Facts) -> None:
    page = model_card.page(explained)
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;b&gt;" in page
    tags = Outline(page).tags
    assert "script" not in [tag for tag, _ in tags]
    for tag, attributes in tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), f"{tag} {name}"
            if name in ("src", "href", "srcset", "action", "data"):
                assert str(value).startswith(("#", "data:,")), f"{tag} {name}={value}"
    assert not re.search(r"url\(|@import|https?://", page)
    ids = set(re.findall(r'<section id="([^"]+)"', page))
    assert set(re.findall(r'<a href="#([^"]+)"', page)) == ids
    assert set(re.findall(r'role="img"[^>]*>(.{7})', page)) == {"<title>"}


def test_limits_follow_from_the_definition_and_the_data(cards: Cards, explained: Facts) -> None:
    said = " ".join(limits.known_limits(explained))
    assert "14 days of training are less than a year" in said
    assert "February, March" in said and "January" not in said
    assert "No slice" not in said
    assert "No slice was measured" in " ".join(limits.known_limits(bare_facts(cards)))
    refused = replace(explained, lineage=explained.lineage.model_copy(update={"promoted": False}))
    assert "Serving: the gate refused this version." in limits.not_for(refused)
    assert not any("Serving" in one for one in limits.not_for(explained))


def test_a_year_of_training_knows_its_seasons(explained: Facts) -> None:
    training = explained.problem.training.model_copy(
        update={"start": explained.problem.training.start.replace(year=2022)}
    )
    problem = explained.problem.model_copy(update={"training": training})
    said = " ".join(limits.known_limits(replace(explained, problem=problem)))
    assert "less than a year" not in said


def test_the_realised_cost_is_that_of_the_threshold(cards: Cards) -> None:
    facts = bare_facts(cards)
    stored = facts.lineage.metrics
    alarms, missed = stored["holdout_false_positives"], stored["holdout_false_negatives"]
    assert stored["holdout_cost_total"] == alarms * 1 + missed * 3
    costs = text_of(model_card.page(facts), "costs")
    assert f"{alarms:,.0f} false alarms" in costs
    assert "act above 0.25" in costs


def test_writing_a_card_keeps_it_with_the_run_and_gives_a_short_form(cards: Cards) -> None:
    path, facts = model_card.write_card(cards.problem, cards.full)
    kept = registry.read_files(registry.run(cards.full.run_id), [run_files.CARD])
    assert kept[run_files.CARD].decode() == path.read_text(encoding="utf-8")
    short = model_card.markdown(facts, path)
    assert str(path) in short
    assert "## Why a person is to look" in short
    assert "| log_loss | 0.4000 | 0.4500 |" in short


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("has_time", [True, False])
def test_a_card_is_made_for_each_task(cards: Cards, task: str, has_time: bool) -> None:
    expression = {"binary": "delay > 5", "multiclass": "shop", "regression": "delay"}[task]
    metric = "squared_error" if task == "regression" else "log_loss"
    problem = cards.problem.model_copy(
        update={
            "label": cards.problem.label.model_copy(
                update={"task": task, "expression": expression}
            ),
            "gate": cards.problem.gate.model_copy(update={"metric": metric}),
            "data": cards.problem.data.model_copy(
                update={"time": cards.problem.data.time if has_time else None}
            ),
            "features": cards.problem.features.model_copy(update={"categorical": ("shop_kind",)}),
        }
    )
    model = cards.workshop.train(cards.workshop.data("2024-01-20", seed=1), problem)
    facts = gather(problem, model)
    page = model_card.page(facts)
    Outline(page)
    figures = page.partition("<main")[2]
    assert not re.search(r'="(nan|inf|None)|[ ">](nan|inf|None)[ ,<]', figures)
    assert "calibration" not in model_card.absent(facts) or task != "regression"
    assert ("act above" in text_of(page, "costs")) == (task == "binary")
    assert ("nothing is said of tomorrow" in text_of(page, "limits")) == (not has_time)
    assert "greatest" in text_of(page, "data") or task != "regression"


def test_directions_that_are_not_clear_do_not_flip() -> None:
    def effect(direction: float | None) -> Effect:
        return Effect(name="a", mean_abs_shap=1, share=1, direction=direction)

    def flipped(ours: float | None, theirs: float | None) -> bool:
        (moved,) = changes.moved_features([effect(ours)], [effect(theirs)])
        return moved.flipped

    assert flipped(0.6, -0.6)
    assert not flipped(0.6, -0.3)
    assert not flipped(0.6, None)
    assert not flipped(0.6, 0.9)


def test_the_command_tells_where_the_card_is(cards: Cards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cards.workshop.small.root)
    found = CliRunner().invoke(app, ["card", "visits", "--version", "1", "--json"])
    told = json.loads(found.output)
    assert told["model_version"] == 1
    assert told["card"].endswith("card-v1.html")
    assert "calibration" in told["not_measured"]


@pytest.mark.browser
def test_a_card_fits_wide_and_narrow_screens_and_asks_for_nothing(
    cards: Cards, browser: Browser
) -> None:
    path, _ = model_card.write_card(cards.problem, cards.full)
    asked: list[str] = []
    said: list[str] = []
    for width in (1200, 400):
        shown = browser.new_page(viewport={"width": width, "height": 900})
        shown.on("request", lambda sent: asked.append(sent.url))
        shown.on("console", lambda message: said.append(message.text))
        shown.on("dialog", lambda dialog: said.append(dialog.message))
        shown.goto(path.as_uri())
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        shown.close()
    assert asked == [path.as_uri()] * 2
    assert said == []
