"""A real stack and a real Chromium: a small project, trained and deployed once, and its pages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from retrue import processes, service, stack
from retrue.problems import load_problem
from tests.browser.prefect_ui import TIMEOUT_S, PrefectUI

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "test-artifacts"
NAME = "flights"
ASKED = "asked"
"""A second problem, whose versions wait for a person's word; none is in service."""

N_DEPLOYMENTS = 12

TRAIN_AND_DEPLOY = f"""
from datetime import date
from retrue import stack
stack.connect()
from flows.deployment import deploy
from flows.training import train
train({NAME!r})
deploy({NAME!r})
train({ASKED!r})
train({ASKED!r}, date(2013, 1, 25))
"""

SEALED = (
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    # As on a machine without a network: no name is found.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

failed = pytest.StashKey[bool]()


@dataclass(frozen=True)
class Stack:
    """A running stack: its folder, its ports and where its pages are."""

    root: Path
    ports: Mapping[str, str]
    at: stack.Urls


@pytest.fixture(scope="session")
def executable() -> str:
    """Path of the browser."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no Chromium; on Debian: apt-get install chromium")
    return found


# Not for the session: while it lives the worker has an event loop, and other tests start their own.
@pytest.fixture(scope="module")
def browser(executable: str) -> Iterator[Browser]:
    """One headless Chromium that finds nothing but this machine."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=TIMEOUT_S * 1000)
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=executable, args=[*SEALED, *sandbox])
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def running(executable: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start it all and have one version in service; stop it all, also after a failure.

    An idle stack takes a fifth of a core, so it does not wait for the end of the session.
    """
    root = tmp_path_factory.mktemp("browser")
    (root / "configs").mkdir()
    (root / "expectations").mkdir()
    for name, approval in ((NAME, "never"), (ASKED, "required")):
        (root / "configs" / f"{name}.yaml").write_text(small_problem(name, approval))
        (root / "expectations" / name).symlink_to(ROOT / "expectations" / NAME)
    ports = {server: str(processes.free_port()) for server in stack.SERVERS}
    with ExitStack() as undo:
        undo.callback(stop, root, ports)
        with environment(root, ports):
            urls = stack.up(print)
            subprocess.run([sys.executable, "-c", TRAIN_AND_DEPLOY], check=True, timeout=300)
            stack.wait_for_deployments(urls, N_DEPLOYMENTS)
        yield Stack(root, ports, urls)


def stop(root: Path, ports: Mapping[str, str]) -> None:
    """Stop all of it."""
    with environment(root, ports), ExitStack() as undo:
        undo.callback(stack.down, print)
        undo.callback(service.stop_all, root, print)


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh page; it must not have asked anything of another host by the end of the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, locale="en-US")
    context.set_default_timeout(TIMEOUT_S * 1000)
    asked: set[str] = set()

    def note(sent: Request) -> None:
        # blob: and data: stay inside the browser.
        if (host := urlsplit(sent.url).hostname) is not None:
            asked.add(host)

    context.on("request", note)
    shown = context.new_page()
    yield shown
    if request.node.stash.get(failed, False):
        shown.screenshot(path=SHOTS / f"failed-{request.node.name}.png", full_page=True)
        (SHOTS / f"failed-{request.node.name}.html").write_text(shown.content())
    context.close()
    assert asked <= {stack.HOST}, f"the page asked for {sorted(asked)}"


@pytest.fixture
def ui(running: Stack, page: Page) -> Iterator[PrefectUI]:
    """The Prefect UI of the stack, with the test working in its project folder."""
    with environment(running.root, running.ports):
        yield PrefectUI(page, running.at.prefect)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the `page` fixture know how the test ended."""
    report = yield
    item.stash[failed] = item.stash.get(failed, False) or report.failed
    return report


@contextmanager
def environment(root: Path, ports: Mapping[str, str]) -> Iterator[None]:
    """State, ports and working directory of this stack; restored for the worker's other tests."""
    before, here = dict(os.environ), Path.cwd()
    os.environ["RETRUE_HOME"] = str(root / ".retrue")
    for server, port in ports.items():
        os.environ[f"RETRUE_{server.upper()}_PORT"] = port
    os.chdir(root)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)


def small_problem(name: str, approval: str) -> str:
    """Flights, but one month and few trees, served by a process; JSON is YAML."""
    tree = load_problem(NAME, ROOT).model_dump(mode="json")
    tree["training"] |= {"until": "2013-02-01", "holdout_days": 7, "num_boost_round": 20}
    # Two threads that wait for each other take minutes on a machine that is busy with other tests.
    tree["training"]["num_threads"] = 1
    tree["name"] = name
    tree["gate"] |= {"resamples": 100, "approval": approval}
    tree["serving"] = {"port": processes.free_port(), "target": "process"}
    return json.dumps(tree)
