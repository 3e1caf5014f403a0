"""A triage as a Markdown page for an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.pages import table

if TYPE_CHECKING:
    from retrue.config import Problem
    from retrue.triage.result import Finding, Triage


def markdown(problem: Problem, found: Triage) -> str:
    """The verdict, each fault with its evidence and remedy, and what moved."""
    parts = [
        f"# {found.verdict.capitalize()}: {found.n_rows:,} rows of {problem.name}",
        found.reason,
    ]
    if found.findings:
        header = ("fault", "column", "since", "days", "of the rows", "evidence", "what to do")
        parts.append(table(header, [_line(one) for one in found.findings]))
        name = problem.name
        parts.append(
            "Days at fault are set aside: no data version and no drift check has them. A suspicion"
            " leaves them in and keeps retrainings waiting. Were they right after all, then"
            f" `retrue data faults {name}` lists them, and `retrue data release {name} --rule FAULT"
            " --by NAME --reason WHY` lets them in."
        )
    if found.changes:
        parts.append("What moved and looks real:")
        parts.append("\n".join(f"- {one}" for one in found.changes))
    return "\n\n".join(parts)


def _line(one: Finding) -> tuple[str, ...]:
    since = "" if one.since is None else one.since.isoformat()
    kind = one.kind if one.is_certain else f"perhaps {one.kind}"
    return (
        kind,
        one.column,
        since,
        str(len(one.days)),
        f"{one.share:.0%}",
        one.evidence,
        one.remedy,
    )
