"""Pages as a reader's browser shows them."""

from pathlib import Path

from playwright.sync_api import Browser, Page


def opened(browser: Browser, path: Path, width: int, asked: list[str], said: list[str]) -> Page:
    """A page on a screen of that width; what it fetches and says is added to the lists."""
    shown = browser.new_page(viewport={"width": width, "height": 900})
    shown.on("request", lambda sent: asked.append(sent.url))
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.goto(path.as_uri())
    return shown
