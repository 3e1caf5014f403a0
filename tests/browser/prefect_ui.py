"""The Prefect UI as a person uses it: what is on a page, and the few clicks of the tests."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, expect

TIMEOUT_S = 120
"""For a page; on an idle machine each is there in one second."""

RUN_TIMEOUT_S = 240
"""For a flow run; on an idle machine a retraining takes 20 s."""

ENDED = re.compile("Completed|Failed|Crashed|Cancelled")

# Proxy variables are for the outside.
_client = httpx.Client(trust_env=False, timeout=TIMEOUT_S)


@dataclass(frozen=True)
class PrefectUI:
    """A page of the browser, and the server behind it."""

    page: Page
    url: str

    def open(self, path: str) -> None:
        """Go to a page by its address."""
        self.page.goto(f"{self.url}{path}")

    def open_deployments(self, problem: str) -> None:
        """Go to the list of deployments, which shows ten at a time, and ask for a problem's."""
        self.open("/deployments")
        self.page.get_by_placeholder("Search deployments").fill(problem)

    def row(self, flow: str, problem: str) -> Locator:
        """The row of a flow's deployment for a problem in the list of deployments."""
        of_flow = self.page.get_by_role("link", name=flow, exact=True)
        of_problem = self.page.get_by_role("link", name=problem, exact=True)
        return self.page.get_by_role("row").filter(has=of_flow).filter(has=of_problem)

    def open_deployment(self, flow: str, problem: str) -> None:
        """Go where the list links to: it is drawn anew while it is searched, and loses a click."""
        link = self.row(flow, problem).locator("a[href*='/deployments/deployment/']")
        self.open(link.get_attribute("href") or "")

    def parameter(self, title: str) -> Locator:
        """A parameter of the form, by its title."""
        label = self.page.locator(".schema-form-property__label")
        return self.page.locator(".schema-form-property").filter(
            has=label.filter(has_text=re.compile(rf"^{title}\b"))
        )

    def pick_day(self, title: str, day: date) -> None:
        """Fill a parameter that is a day or nothing."""
        field = self.parameter(title)
        field.get_by_role("button", name="date", exact=True).click()
        field.locator(".p-date-button__control").click()
        calendar = self.page.locator(".p-date-picker")
        calendar.locator(".p-date-picker__title-year").click()
        calendar.get_by_role("button", name=str(day.year), exact=True).click()
        calendar.locator(".p-date-picker__title-month").click()
        calendar.get_by_role("button", name=f"{day:%B}", exact=True).click()
        days = calendar.locator(".p-calendar-date-picker__date--in-month")
        days.get_by_text(str(day.day), exact=True).click()
        calendar.get_by_role("button", name="Apply").click()

    def tab(self, name: str) -> Locator:
        """Open a tab of the page and give its content."""
        self.page.locator(f"li.p-tab#{name}").click()
        return self.page.locator(f"#{name}-content")

    def press(self, press: Callable[[], None], done: Locator, refused: str) -> None:
        """Press a button; a server whose database is busy refuses, and is asked again."""
        notice = self.page.get_by_text(refused)
        for _ in range(5):
            press()
            expect(done.or_(notice).first).to_be_visible()
            if done.first.is_visible():
                return
            notice.first.wait_for(state="hidden")
        raise AssertionError(f"five times: {refused}")

    def refuse_once(self, address: str) -> None:
        """The next request is answered as by a server whose database is busy."""
        self.page.route(address, lambda route: route.fulfill(status=503), times=1)

    def submit(self) -> None:
        """Send the form of a run off, and open the run."""
        made = self.page.locator("a[href*='/runs/flow-run/']")
        button = self.page.get_by_role("button", name="Submit")
        # By a key: a notice may lie over the button.
        self.press(
            lambda: button.press("Enter"),
            made,
            "Something went wrong trying to create a flow run",
        )
        made.first.click()

    def quick_run(self, row: Locator) -> None:
        """Start a run from the menu of a deployment's row, and open it."""

        def press() -> None:
            row.get_by_role("button").last.click()
            self.page.get_by_role("button", name="Quick run").click()

        made = self.page.get_by_role("button", name="View run")
        self.press(press, made, "Failed to schedule flow run")
        # The UI lays the same notice twice, one over the other.
        made.last.click()

    def flow_run_id(self) -> str:
        """Id of the flow run whose page is open."""
        self.page.wait_for_url("**/runs/flow-run/*")
        return self.page.url.rpartition("/")[2].partition("?")[0]

    def await_completion(self) -> None:
        """Watch the page of a flow run until it says how the run ended; Completed, that is."""
        state = self.page.locator(".page-heading-flow-run__meta .state-badge")
        expect(state).to_have_text(ENDED, timeout=RUN_TIMEOUT_S * 1000)
        assert state.inner_text().strip() == "Completed"

    def shoot(self, path: Path) -> None:
        """Keep what the page shows."""
        self.page.wait_for_load_state("networkidle")
        self.page.screenshot(path=path)

    def api(self, path: str, body: Any = None) -> Mapping[str, Any]:
        """Ask the server itself; one whose database is busy says 503 and is asked again."""
        method = "GET" if body is None else "POST"
        for _ in range(TIMEOUT_S):
            answer = _client.request(method, f"{self.url}/api/{path}", json=body)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        assert answer.is_success, answer.text
        found: Mapping[str, Any] = answer.json()
        return found
