"""Model cards (Mitchell et al. 2019): one page a version, for who must answer for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue import registry, run_files
from retrue.files import write_atomically
from retrue.home import lake_dir
from retrue.html_page import document, listed, tiles
from retrue.html_page.charts import percent, safe
from retrue.model_card import evidence, operation, origin, reading
from retrue.model_card.facts import Facts, find, gather
from retrue.model_card.markdown import markdown

if TYPE_CHECKING:
    from pathlib import Path

    from retrue.config import Problem
    from retrue.refs import ModelRef


__all__ = ["Facts", "absent", "card_path", "find", "gather", "markdown", "page", "write_card"]


def write_card(problem: Problem, model: ModelRef) -> tuple[Path, Facts]:
    """Write the card of a registered version under RETRUE_HOME, and log it to its run.

    Written again, it is the same but for what happened since: approval and deployments.

    Returns
    -------
    path : Path
        One file that loads nothing else.
    facts : Facts
        What it tells, for a short form.
    """
    facts = gather(problem, model)
    path = card_path(problem.name, model.version)
    text = page(facts)
    write_atomically(path, text)
    registry.write_file(registry.run(model.run_id), run_files.CARD, text)
    return path, facts


def card_path(problem_name: str, version: int) -> Path:
    """Where the card of a version is."""
    return lake_dir(problem_name) / "pages" / f"card-v{version}.html"


def page(facts: Facts) -> str:
    """The card as text; what was not measured says so in its place."""
    found = facts.lineage
    parts = (
        ("overview", "Overview", _overview(facts)),
        ("problem", "Problem", origin.canvas(facts)),
        ("metrics", "Metrics", evidence.metrics(facts)),
        ("costs", "Costs and threshold", operation.costs(facts)),
        ("slices", "Slices", evidence.slices(facts)),
        ("calibration", "Calibration", evidence.calibration(facts)),
        ("explanation", "Explanation", reading.explanation(facts)),
        ("limits", "Limits", origin.limits(facts)),
        ("changes", "Changed since the champion", reading.changes(facts)),
        ("data", "Data", origin.data(facts)),
        ("inputs", "Inputs and processing", origin.preparation(facts)),
        ("learning", "Learning", operation.learning(facts)),
        ("performance", "Processing performance", operation.processing(facts)),
        ("lineage", "Lineage", origin.lineage(facts)),
        ("approval", "Approval and service", origin.approval(facts)),
    )
    return document(f"{found.problem}: model card of version {found.version}", parts)


def _overview(facts: Facts) -> str:
    found = facts.lineage
    shown = [*_headline(facts)]
    if facts.checkpoint is not None:
        shown.append((f"{facts.checkpoint.n_rows:,}", "training rows"))
    shown += [
        (f"{found.data.version}", f"data version, until {safe(found.data.until)}"),
        (f"{len(facts.inputs)}", "inputs"),
        ("yes" if found.serves else "no", "serves now"),
        (safe(found.approval.status) if found.approval else "none", "a person's word"),
    ]
    doubts = found.verdict.doubts if found.verdict else ()
    asks = (
        f'<div class="warn"><b>Why a person is to look</b>{listed(doubts)}</div>' if doubts else ""
    )
    kind, words = "bad", "Refused by the gate"
    if found.promoted:
        kind, words = ("ask", "Passed, with doubts") if doubts else ("good", "Promoted by the gate")
    return (
        f"<h1>{safe(found.problem)}: model card of version {found.version}</h1>"
        f'<p class="lead">{safe(facts.problem.canvas.question)}</p>'
        f'<p><span class="verdict {kind}">{words}</span></p><p>{safe(found.reason)}</p>'
        f"{asks}{tiles(shown)}{_absent(facts)}"
    )


def _headline(facts: Facts) -> list[tuple[str, str]]:
    shown = []
    for one in evidence.figures(facts.lineage)[:2]:
        ends = "" if one.interval is None else f" [{one.interval[0]:.3f}, {one.interval[1]:.3f}]"
        shown.append((f"{one.ours:.4f}", f"{safe(one.name)} on the hold-out{ends}"))
    stored = facts.lineage.metrics
    if stored.get("no_skill_cost_total"):
        saved = 1 - stored["holdout_cost_total"] / stored["no_skill_cost_total"]
        words = "of the cost saved" if saved >= 0 else "dearer than no model"
        shown.append((percent(abs(saved)), words))
    return shown


def absent(facts: Facts) -> list[str]:
    """The parts that were not measured, by name: one look tells what the card does not say."""
    verdict = facts.lineage.verdict
    is_regression = facts.problem.label.task == "regression"
    parts = (
        ("intervals of metrics", bool(verdict and verdict.metrics)),
        ("slices", bool(verdict and verdict.slices)),
        ("calibration", is_regression or bool(verdict and verdict.calibration)),
        ("explanation", bool(facts.effects)),
        ("processing performance", bool(verdict and verdict.processing)),
    )
    return [name for name, there in parts if not there]


def _absent(facts: Facts) -> str:
    names = absent(facts)
    return f'<p class="absent"><b>Not measured:</b> {", ".join(names)}.</p>' if names else ""
