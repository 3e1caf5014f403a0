"""The page holds what was found, needs nothing but itself, and lets nothing from the data run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser

from retrue.exploration import explore
from retrue.exploration_page import page, write_page
from retrue.lake import write_version
from retrue.refs import DataRef
from tests.unit.exploration_tables import HOSTILE, problem, table
from tests.unit.html_outline import Outline
from tests.unit.screens import opened

REF = DataRef(
    problem="things", path=Path("x"), version=1, sha256="f" * 64, n_rows=1, until="2025-01-01"
)


@pytest.fixture(scope="module")
def text() -> str:
    return page(problem(), REF, explore(problem(), table()))


def test_the_page_is_whole_and_asks_for_nothing_outside(text: str) -> None:
    outline = Outline(text)
    for tag, attributes in outline.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), f"{tag} {name}"
            if name in ("src", "href", "srcset", "action", "data"):
                assert value is not None
                assert value.startswith(("#", "data:,")), f"{tag} {name}={value}"
    assert not re.search(r"url\(|@import|https?://", text)


def test_names_and_values_of_the_data_are_text_never_markup(text: str) -> None:
    outline = Outline(text)
    assert [tag for tag, _ in outline.tags].count("script") == 1
    assert HOSTILE not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "온도 &lt;b&gt;" in text


def test_every_picture_has_a_title_and_every_link_a_target(text: str) -> None:
    pictures = re.findall(r'<svg class="[^"]*" role="img"[^>]*>(.{0,7})', text)
    assert len(pictures) > 10
    assert set(pictures) == {"<title>"}
    ids = set(re.findall(r'<section id="([^"]+)"', text))
    assert set(re.findall(r'<a href="#([^"]+)"', text)) == ids


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("n_rows", [0, 1, 40, 700])
def test_a_page_is_made_of_any_table(task: str, n_rows: int) -> None:
    expression = "y > 0" if task == "binary" else "kind" if task == "multiclass" else "y"
    features = {"numeric": ["strong", "weak", "nothing", "same"]}
    label = {"task": task, "expression": expression}
    defined = problem(label=label, features=features, data__time=None, data__key=[])
    for one in (defined, problem(label=label, features=features)):
        made = page(one, REF, explore(one, table(700).iloc[:n_rows]))
        Outline(made)
        assert not re.search(
            r'="(nan|inf|-inf|None)|[ "](nan|inf)[ ",]', made.partition("<main")[2]
        )


def test_what_should_not_be_scrolled_past_stands_at_the_top() -> None:
    defined = problem(features={"numeric": ["after", "same", "strong"]})
    made = page(defined, REF, explore(defined, table()))
    overview = made.partition('<section id="leaks">')[0]
    assert "Worth a look" in overview
    assert "<code>after</code> is a leak suspect" in overview
    assert "Features constant: <code>same</code>" in overview
    assert "none: every figure is of all rows" in overview


def test_three_hundred_columns_stay_one_small_page() -> None:
    rng = np.random.default_rng(6)
    wide = pd.DataFrame(rng.normal(size=(300, 300))).add_prefix("a_long_name_of_a_column_")
    wide["y"] = rng.normal(size=300)
    wide["at"] = pd.date_range("2024-01-01", periods=300, freq="D", tz="UTC")
    wide["id"] = np.arange(300)
    defined = problem(features={"numeric": list(wide.columns[:300])})
    made = page(defined, REF, explore(defined, wide))
    assert made.count("<tr data-text=") == 303
    assert len(made) < 1_000_000
    # Names are cut in the middle: columns of one family stay apart.
    assert len(set(re.findall(r">(a_long_\w*…\w*)</text>", made))) > 40


def test_the_page_of_a_version_is_written_under_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path))
    ref = write_version("things", table(400), ["id"], "2024-02-01")
    path = write_page(problem(), ref)
    assert path == tmp_path / "lake" / "things" / "pages" / f"exploration-v{ref.version}.html"
    assert ref.sha256 in path.read_text(encoding="utf-8")
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.browser
def test_a_reader_sorts_and_filters_the_columns_and_nothing_is_fetched(
    browser: Browser, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text(text, encoding="utf-8")
    asked: list[str] = []
    said: list[str] = []
    for width in (1400, 390):
        shown = opened(browser, path, width, asked, said)
        rows = shown.locator("#columns-table tbody tr:visible")
        assert rows.count() == len(table().columns)
        shown.locator("#filter").fill("온도")
        assert rows.count() == 1
        shown.locator("#filter").fill("")
        shown.locator("#show").select_option("flagged")
        assert "leak suspect" in rows.all_inner_texts()[1]
        shown.locator("#show").select_option("all")
        shown.get_by_role("button", name="Missing").click()
        assert rows.first.locator("th").inner_text() == "nothing"
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        shown.close()
    assert asked == [path.as_uri()] * 2
    assert said == []
