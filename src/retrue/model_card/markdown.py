"""The short form of a card, for the page of a flow run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.model_card.evidence import figures
from retrue.model_card.limits import known_limits
from retrue.pages import number, table

if TYPE_CHECKING:
    from pathlib import Path

    from retrue.model_card.facts import Facts


def markdown(facts: Facts, path: Path) -> str:
    """Verdict, metrics, doubts and limits, and where the whole card is."""
    found = facts.lineage
    rival = "champion" if found.champion is None else f"version {found.champion}"
    rows = [
        (one.name, number(one.ours, ".4f"), number(one.theirs, ".4f"), number(one.no_skill, ".4f"))
        for one in figures(facts.lineage)
    ]
    parts = [
        f"# {found.problem}: model card of version {found.version}",
        facts.problem.canvas.question,
        f"**{'Promoted' if found.promoted else 'Refused'}**: {found.reason}",
        table(("metric", "this version", rival, "no skill"), rows),
    ]
    if found.verdict is not None and found.verdict.doubts:
        parts += ["## Why a person is to look", _items(found.verdict.doubts)]
    if facts.effects:
        shown = [(one.name, f"{one.share:.1%}") for one in facts.effects[:5]]
        parts += ["## What moves its scores", table(("feature", "share"), shown)]
    parts += ["## Known limits", _items(known_limits(facts))]
    parts.append(
        f"The whole card: `{path}`, and `card.html` of MLflow run `{found.run_id}`. Open it with"
        f" `retrue card {found.problem} --version {found.version} --open`."
    )
    return "\n\n".join(parts)


def _items(texts: tuple[str, ...] | list[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)
