"""The explanation page of any task needs nothing but itself; nothing from the data runs in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser

from retrue.config import Problem
from retrue.interpretation.asked_rows import AskedRow
from retrue.interpretation.report import explain_model
from retrue.interpretation.seen_values import rows_as_json
from retrue.interpretation.study import Study, study
from retrue.interpretation_page import page, write_page
from tests.unit.explained import as_model, define, fitted, rows
from tests.unit.html_outline import Outline
from tests.unit.screens import opened

TASKS = ["binary", "multiclass", "regression"]
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path))


def studied(problem: Problem, frame: pd.DataFrame | None = None, **more: Any) -> Study:
    return study(problem, as_model(fitted(problem, frame)), **more)


def given(frame: pd.DataFrame) -> AskedRow:
    names = ["rises", "falls", "noise", "gappy", "kind", "since", "note"]
    return AskedRow("row-1", "The row that was given", rows_as_json(frame, names)[0])


@pytest.mark.parametrize("task", TASKS)
def test_the_page_of_any_task_is_whole_and_asks_for_nothing_outside(task: str) -> None:
    problem = define(task)
    champion = as_model(fitted(define(task, training__seed=8)), 2)
    asked = given(rows(1, seed=5).assign(kind=HOSTILE, note="<script>alert(2)</script>"))
    found = studied(problem, asked=asked, champion=champion)
    text = page(problem, found)
    outline = Outline(text)
    for tag, attributes in outline.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), f"{tag} {name}"
            if name in ("src", "href"):
                assert value is not None and value.startswith(("#", "data:,"))
    assert not re.search(r"url\(|@import|https?://", text)
    assert [tag for tag, _ in outline.tags].count("script") == 1
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    main = text.partition("<main")[2]
    assert not re.search(r'="(nan|inf|-inf|None)|[ "(>](nan|inf)[ ",)<]', main)
    pictures = re.findall(r'<svg class="[^"]*" role="img"[^>]*>(.{0,7})', text)
    assert len(pictures) > 12 and set(pictures) == {"<title>"}
    assert set(re.findall(r'<a href="#([^"]+)"', text)) == set(
        re.findall(r'<section id="([^"]+)"', text)
    )
    assert "version 2: the rankings agree to nDCG" in text
    assert text.count('<div class="row">') == len(found.rows) >= 3
    if task == "regression":
        assert "A regression decides nothing" in text
    else:
        assert "would have to be" in text


def test_the_same_study_gives_the_same_page() -> None:
    problem = define()
    ref = as_model(fitted(problem))
    assert page(problem, study(problem, ref)) == page(problem, study(problem, ref))


def test_what_is_doubtful_stands_at_the_top() -> None:
    turned = rows()
    turned["y"] = -turned["y"]
    problem = define()
    champion = as_model(fitted(problem, turned), 2)
    text = page(problem, studied(problem, champion=champion))
    overview = text.partition('<section id="leans">')[0]
    assert "Worth a look" in overview
    assert "Explanation change: rises lowered the score" in overview
    assert "(ICE direction -" in overview


def test_three_hundred_features_stay_one_page_in_seconds() -> None:
    rng = np.random.default_rng(6)
    wide = pd.DataFrame(rng.normal(size=(900, 300))).add_prefix("a_long_name_of_a_column_")
    names = list(wide.columns)
    wide["y"] = wide[names[:5]].sum(axis=1)
    wide["at"] = pd.date_range("2024-01-01", "2024-02-28", periods=900, tz="UTC")
    wide["id"] = np.arange(900)
    features = {"numeric": names}
    problem = define(features=features, processing={}, training__num_boost_round=10)
    text = page(problem, studied(problem, wide))
    assert len(text) < 600_000
    assert "features are asked about by no tree" in text


@pytest.mark.parametrize("names", [["rises"], ["same"]])
def test_a_single_feature_or_one_that_never_changes_is_explained(names: list[str]) -> None:
    frame = rows().assign(same=1.0)
    problem = define(features={"numeric": names}, processing={})
    Outline(page(problem, studied(problem, frame)))


def test_a_row_that_was_given_has_a_page_of_its_own_and_its_figures_add_up() -> None:
    problem = define()
    found = explain_model(problem, as_model(fitted(problem), 3), None, given(rows(1, seed=5)))
    assert found.page.name == "explanation-model-v3-row-1.html"
    assert found.page.exists()
    assert found.artifact == ""  # what one person sent stays on this disk
    assert found.row is not None
    total = found.row.base + sum(found.row.contributions.values())
    assert total == pytest.approx(found.row.margin, abs=1e-6)
    assert found.shap_sum_error < 1e-6


@pytest.mark.browser
def test_a_reader_sees_it_on_a_wide_and_a_narrow_screen_and_nothing_is_fetched(
    browser: Browser,
) -> None:
    problem = define()
    path = write_page(problem, studied(problem, asked=given(rows(1, seed=5))), "row-1")
    asked: list[str] = []
    said: list[str] = []
    for width in (1400, 390):
        shown = opened(browser, path, width, asked, said)
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        shown.get_by_text("All 7 values of the row").first.click()
        assert shown.locator(".row dl").first.is_visible()
        shown.get_by_role("link", name="Single rows").click()
        shown.close()
    assert asked == [path.as_uri()] * 2
    assert said == []
