"""A person works the loop from the Prefect UI alone."""

from __future__ import annotations

import json
import re
from datetime import date

import pytest
from playwright.sync_api import expect

from retrue import lake, ledger
from tests.browser.conftest import NAME, SHOTS
from tests.browser.prefect_ui import PrefectUI

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.timeout(600),
]

TITLES = ("Problem", "Until", "Trigger key", "Reason", "Search", "Event")
FLOWS = ("train", "deploy", "retrain", "drift-check", "rollback", "explain")
UNTIL = date(2013, 2, 15)
SOME_WORDS = re.compile(r"\w+ \w+ \w+")
REASON = "Asked for in the browser"


def test_every_way_in_is_a_deployment_and_the_drift_check_has_its_schedule(ui: PrefectUI) -> None:
    ui.open_deployments(NAME)

    for flow in FLOWS:
        row = ui.row(flow, NAME)
        expect(row).to_have_count(1)
        expect(row).to_contain_text("Ready")
    # 0 6 * * * in words, and nowhere else: only the drift check comes by itself.
    for flow in FLOWS:
        scheduled = ui.row(flow, NAME).filter(has_text="At 06:00 AM every day")
        expect(scheduled).to_have_count(1 if flow == "drift-check" else 0)
    ui.shoot(SHOTS / "deployments.png")


def test_a_retraining_asked_for_in_the_form_is_done_once_and_as_asked(ui: PrefectUI) -> None:
    page = ui.page
    before = ledger.retrainings(ledger.connect(), NAME)
    ui.open_deployments(NAME)
    ui.open_deployment("retrain", NAME)
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("button", name="Custom run").click()

    labels = page.locator(".schema-form-property__label")
    expect(labels).to_have_text([re.compile(f"^{title}") for title in TITLES])
    for title in TITLES:
        said = ui.parameter(title).locator(".schema-form-property__description")
        expect(said).to_have_text(SOME_WORDS)
    ui.pick_day("Until", UNTIL)
    ui.parameter("Reason").locator("textarea").fill(REASON)
    ui.shoot(SHOTS / "custom-run-form.png")
    ui.refuse_once("**/create_flow_run")
    ui.submit()
    run_id = ui.flow_run_id()
    ui.await_completion()
    expect(page.locator(".page-heading-flow-run")).to_contain_text(f"retrain {NAME}")
    ui.shoot(SHOTS / "completed-run.png")

    asked = ui.api(f"flow_runs/{run_id}")["parameters"]
    assert (asked["until"], asked["reason"]) == (str(UNTIL), REASON)
    done = ledger.retrainings(ledger.connect(), NAME)[len(before) :]
    assert [one.trigger_key for one in done] == [f"run:{run_id}"]
    found = json.loads(done[0].details_json)
    # The form promises that the ledger keeps it.
    assert REASON in found.values()
    assert done[0].status in ("promoted", "refused")
    untils = {one.sha256: one.until for one in lake.list_versions(NAME)}
    assert untils[found["data_sha256"]] == str(UNTIL)

    # The verdict a person reads is the one in the ledger.
    ui.tab("artifacts").get_by_text(f"gate-{NAME}").first.click()
    verdict = page.locator(".artifact-data-markdown")
    expect(verdict).to_contain_text(found["reason"])
    expect(verdict).to_contain_text("Promote" if done[0].status == "promoted" else "Refuse")
    expect(verdict.get_by_role("table").first).to_contain_text("log_loss")
    ui.shoot(SHOTS / "gate-verdict.png")


def test_a_quick_run_from_the_menu_of_a_deployment_deploys(ui: PrefectUI) -> None:
    page = ui.page
    before = ledger.history(ledger.connect(), NAME)
    ui.open_deployments(NAME)
    ui.refuse_once("**/create_flow_run")
    ui.quick_run(ui.row("deploy", NAME))
    ui.await_completion()

    after = ledger.history(ledger.connect(), NAME)
    assert len(after) == len(before) + 1
    assert after[-1].status == "serving"
    ui.tab("artifacts").get_by_text(f"serving-{NAME}").click()
    expect(page.locator(".artifact-data-markdown")).to_contain_text(
        f"{NAME} version {after[-1].model_version} serves"
    )
    ui.shoot(SHOTS / "deployed.png")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("dashboard", "Task Runs"),
        ("runs", f"train {NAME}"),
        ("flows", "drift-check"),
        ("automations", f"retrain {NAME} on drift"),
        ("events", "prefect.flow-run."),
    ],
    ids=lambda one: one.split()[0],
)
def test_pages_need_nothing_from_outside(ui: PrefectUI, path: str, text: str) -> None:
    broken: list[str] = []
    ui.page.on("pageerror", lambda error: broken.append(str(error)))

    ui.open(f"/{path}")

    expect(ui.page.get_by_text(text).first).to_be_visible()
    ui.shoot(SHOTS / f"page-{path}.png")
    assert broken == []
