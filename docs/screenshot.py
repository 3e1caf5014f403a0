"""Shoot a page of a running stack for the README.

Run as `.venv/bin/python docs/screenshot.py URL OUT.png [--wait-text TEXT]`.
"""

import argparse
import os
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

TIMEOUT_S = 60
SETTLE_S = 1
"""The UI's charts are drawn, and fade in, after the last answer has come."""


def shoot(url: str, out: Path, wait_text: str | None) -> None:
    """Write what `url` shows in a window of 1400 x 900, once the network is idle."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-proxy-server", *sandbox]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 900}, locale="en-US")
        page.set_default_timeout(TIMEOUT_S * 1000)
        page.goto(url)
        if wait_text is not None:
            page.get_by_text(wait_text).first.wait_for()
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(SETTLE_S * 1000)
        out.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Shoot a page of a running stack.")
    parser.add_argument("url", help="for example http://127.0.0.1:4200/runs")
    parser.add_argument("out", type=Path, help="PNG file to write")
    parser.add_argument("--wait-text", help="text that must be on the page before")
    given = parser.parse_args()
    shoot(given.url, given.out, given.wait_text)
