"""The page of a drift check: one HTML file, made of what the ledger holds alone."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from retrue import check_facts
from retrue.drift_page import course_sections, feature_sections, more_sections
from retrue.files import write_atomically
from retrue.home import lake_dir
from retrue.html_page import document
from retrue.html_page.charts import safe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from retrue.check_facts import CheckFacts
    from retrue.ledger import Check

_MOST_CHECKS = 90
"""Of the course: three months of daily checks are still told apart on a screen."""


@dataclass(frozen=True)
class Shown:
    """What a page tells of."""

    now: CheckFacts
    course: Sequence[CheckFacts]
    """Oldest first; the last is `now`."""
    report: Mapping[str, Any]
    """As the ledger has it, with what else is known of the window."""
    pages: Mapping[int, str]
    """File names of the pages of earlier checks, by their ids in the ledger."""


def page_path(check: Check | CheckFacts) -> Path:
    """Where the page of a check is: in the lake of its problem, named by version and window."""
    start, end = (
        check_facts.moment(one).replace(" ", "T").replace(":", "")
        for one in (check.window_start, check.window_end)
    )
    name = f"drift-v{check.model_version}-{start}-{end}.html"
    return lake_dir(check.problem) / "pages" / name


def write_page(
    check: Check, checks: Sequence[Check], more: Mapping[str, Any] | None = None
) -> Path:
    """Write the page of a check.

    Parameters
    ----------
    checks : sequence of Check
        Of the same problem; those of earlier windows are its course.
    more : mapping, optional
        What else is known of the window, as plain JSON by the name of its section:
        `performance`, `triage`. A report that holds such a part itself needs none.
    """
    course = check_facts.course(checks, check, _MOST_CHECKS)
    paths = {one.id: page_path(one) for one in course[:-1]}
    links = {id_: path.name for id_, path in paths.items() if path.exists()}
    report = {**(more or {}), **check_facts.report_of(check)}
    path = page_path(check)
    write_atomically(path, page(Shown(course[-1], course, report, links)))
    return path


def page(found: Shown) -> str:
    """The whole page as text; nothing in it asks for anything outside of it."""
    now = found.now
    moved, rows = feature_sections.moved(found.report), feature_sections.features(found.report)
    parts = [
        ("overview", "Overview", course_sections.overview(found)),
        ("course", "Over time", course_sections.over_time(found)),
        ("moved", "What moved", moved),
        ("features", "All features", rows),
        ("outputs", "Predictions and labels", feature_sections.outputs(found.report)),
        *more_sections.parts(found.report),
        ("reading", "How to read this", course_sections.reading(found.report)),
    ]
    style = files("retrue.drift_page").joinpath("page.css").read_text(encoding="utf-8")
    title = f"{now.problem}: drift check of {now.window}"
    return document(title, [(name, safe(head), text) for name, head, text in parts], style=style)
