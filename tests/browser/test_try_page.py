"""A person asks the served model by hand: on paper, in the dark, and on a phone."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect

from retrue import processes
from retrue.serving.log_reading import read_after
from tests.browser.conftest import SHOTS
from tests.serving.tiny_model import RICH, RICH_PROCESSING, Made, Server, json_rows, make_bundle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """A bundle of each task, with features of every kind."""
    folder = tmp_path_factory.mktemp("try")
    tasks = ("binary", "multiclass", "regression")
    return {task: make_bundle(folder / task, 7, task, RICH, RICH_PROCESSING) for task in tasks}


@pytest.fixture(params=["binary", "multiclass", "regression"])
def served(
    request: pytest.FixtureRequest, made: dict[str, Made], tmp_path: Path
) -> Iterator[tuple[str, Made, Server]]:
    """A server of each task."""
    bundle, port = made[request.param], processes.free_port()
    command = [sys.executable, "-m", "retrue.serving", "--bundle", str(bundle.path)]
    command += ["--sha256", bundle.sha256, "--port", str(port), "--log-dir", str(tmp_path)]
    command += ["--model-version", "3", "--boot-nonce", "n"]
    with subprocess.Popen(command) as process:
        server = Server(process, port, tmp_path / "3-n.sqlite", tmp_path / "stderr")
        try:
            for _ in range(300):
                try:
                    urlopen(f"{server.url}/ping", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield request.param, bundle, server
        finally:
            process.kill()


def test_a_person_asks_and_reads_score_decision_and_contributions(
    page: Page, served: tuple[str, Made, Server]
) -> None:
    task, made, server = served
    SHOTS.mkdir(exist_ok=True)
    faults: list[str] = []
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(server.url)
    golden = json_rows(made.frame.head(1))[0]
    for feature in made.features:
        value = golden[feature["name"]]
        field = page.get_by_label(re.compile(f"^{feature['name']} "))
        expect(field).to_have_value("" if value is None else str(value))
    expect(page.get_by_label("Write it to the prediction log")).not_to_be_checked()
    page.get_by_label(re.compile("^origin ")).select_option("LGA")
    page.get_by_label(re.compile("^temp ")).fill("")
    page.get_by_role("button", name="Ask").press("Enter")

    row = golden | {"origin": "LGA", "temp": None}
    _, expected = server.post({"instances": [row]}, "/explain?log=false")
    result = page.locator("#result")
    expect(result.locator("dd").nth(2)).to_have_text("3")
    expect(result.locator("dd").nth(3)).to_have_text("none: not written to the log")
    (decision,), (prediction,) = expected["decisions"], expected["predictions"]
    said = {"binary": "yes (1)" if decision else "no (0)", "regression": "none: a value"}
    expect(result.locator("dd").first).to_have_text(said.get(task, str(decision)))
    score = max(prediction) if task == "multiclass" else prediction
    assert float(page.locator(".score").inner_text()) == pytest.approx(score, rel=1e-3)
    contributions = result.locator("table").last
    named = contributions.locator("th").all_inner_texts()
    assert sorted(named) == sorted(feature["name"] for feature in made.features)
    of_row = expected["contributions"][0]
    if task == "multiclass":
        of_row = of_row[prediction.index(score)]
    assert named[0] == max(of_row, key=lambda name: abs(of_row[name]))
    assert read_after(server.log, 0) == []

    page.screenshot(path=SHOTS / f"try-{task}-light.png", full_page=True)
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=SHOTS / f"try-{task}-dark.png", full_page=True)
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    page.screenshot(path=SHOTS / f"try-{task}-narrow.png", full_page=True)

    page.get_by_label("Write it to the prediction log").check()
    page.get_by_role("button", name="Ask").click()
    expect(result.locator("dd").nth(3)).to_have_text(re.compile("^[0-9a-f]{32}$"))
    ((_, prediction_id, *_rest),) = read_after(server.log, 0)
    assert result.locator("dd").nth(3).inner_text() == prediction_id
    page.get_by_label(re.compile("^time ")).fill("noon")
    page.get_by_role("button", name="Ask").click()
    expect(result.locator(".error")).to_contain_text("expected an ISO 8601 time or null")
    faults = [fault for fault in faults if "400" not in fault]  # the browser's word on that answer
    assert faults == []
