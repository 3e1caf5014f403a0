"""A person is asked in the Prefect UI: reads the page, fills in the form, and is obeyed."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from retrue import ledger
from retrue.ledger import Approval
from tests.browser.conftest import ASKED, SHOTS
from tests.browser.prefect_ui import PrefectUI

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.timeout(600),
]


def test_a_person_reads_the_page_and_approves_and_the_version_serves(ui: PrefectUI) -> None:
    page = ui.page
    deploy(ui, version=1)

    open_question(ui, version=1)
    ui.tab("artifacts").get_by_text(f"approval-{ASKED}").click()
    shown = page.locator(".artifact-data-markdown")
    expect(shown).to_contain_text(f"Shall version 1 of {ASKED} serve?")
    expect(shown).to_contain_text("gate.approval is required")
    expect(shown).to_contain_text("Will this flight arrive more than 15 minutes late?")
    ui.shoot(SHOTS / "approval-page.png")
    page.go_back()

    form = fill(ui, "approve", reason="", name="Ann")
    form.get_by_role("button", name="Submit").click()
    expect(form).to_contain_text("'reason' is a required property")
    ui.shoot(SHOTS / "approval-form-empty.png")
    page.wait_for_timeout(3000)  # longer than the run takes to notice an answer
    assert decision(1).status == "waiting", "an empty reason decides nothing"
    page.reload()

    form = fill(ui, "approve", reason="The figures hold", name="Ann")
    ui.shoot(SHOTS / "approval-form.png")
    answer(ui, form)
    await_state(ui, "Approved")
    ui.shoot(SHOTS / "approved.png")
    page.locator(".page-heading-flow-run").get_by_text(f"deploy {ASKED} version 1").click()
    ui.await_completion()

    found = decision(1)
    assert (found.status, found.decided_by, found.decided_via) == ("approved", "Ann", "form")
    assert found.reason == "The figures hold"
    served = ledger.should_serve(ledger.connect(), ASKED)
    assert served is not None
    assert served.model_version == 1


def test_a_person_rejects_and_the_run_ends_so_and_the_champion_goes_on(ui: PrefectUI) -> None:
    page = ui.page
    deploy(ui, version=2)

    open_question(ui, version=2)
    form = fill(ui, "reject", reason="Too few days", name="Bob")
    answer(ui, form)
    await_state(ui, "Rejected")
    page.locator(".page-heading-flow-run").get_by_text(f"deploy {ASKED} version 2").click()
    await_state(ui, "Rejected")
    ui.tab("details")
    expect(page.get_by_text("version 2 was rejected by Bob: Too few days")).to_be_visible()
    ui.shoot(SHOTS / "rejected.png")

    found = decision(2)
    assert (found.status, found.decided_by, found.reason) == ("rejected", "Bob", "Too few days")
    served = ledger.should_serve(ledger.connect(), ASKED)
    assert served is not None
    assert served.model_version == 1


def deploy(ui: PrefectUI, version: int) -> None:
    """Start a deployment by the runner, as its form in the UI does."""
    made = ui.api(f"deployments/name/deploy/{ASKED}")["id"]
    ui.api(f"deployments/{made}/create_flow_run", {"parameters": {"version": version}})


def open_question(ui: PrefectUI, version: int) -> None:
    """Find the run that waits in the list of runs, and open its page."""
    ui.open("/runs?state=Paused")
    ui.page.get_by_text(f"approval {ASKED} version {version}", exact=True).first.click()
    await_state(ui, "Paused")


def fill(ui: PrefectUI, choice: str, reason: str, name: str) -> Locator:
    """Open the form of the waiting run and fill it in."""
    ui.page.get_by_role("button", name="Resume").first.click()
    form = ui.page.locator(".p-modal__card")
    expect(form).to_contain_text("You are asked because: gate.approval is required")
    ui.parameter("Decision").locator("textarea").fill(choice)
    ui.parameter("Reason").locator("textarea").fill(reason)
    ui.parameter("Name").locator("textarea").fill(name)
    return form


def answer(ui: PrefectUI, form: Locator) -> None:
    """Send the form of the waiting run off."""
    button = form.get_by_role("button", name="Submit")
    ui.refuse_once("**/resume")
    ui.press(button.click, ui.page.get_by_text("Flow run resumed"), "Failed to resume flow run")


def await_state(ui: PrefectUI, name: str) -> None:
    """Wait until the page of a flow run shows a state."""
    badge = ui.page.locator(".page-heading-flow-run__meta .state-badge")
    expect(badge).to_have_text(name)


def decision(version: int) -> Approval:
    """The ledger's row of a version."""
    (found,) = (
        one for one in ledger.approvals(ledger.connect(), ASKED) if one.model_version == version
    )
    return found
