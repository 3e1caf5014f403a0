"""What is told of an approval: to people, machines and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retrue import approvals, model_card, pages
from retrue.stack import run_page

if TYPE_CHECKING:
    from retrue.config import Problem
    from retrue.ledger import Approval
    from retrue.refs import ModelRef


def facts(found: Approval) -> dict[str, Any]:
    """One approval for people and machines."""
    return {
        "model_version": found.model_version,
        "status": found.status,
        "why": list(found.why),
        "asked_at": found.asked_at,
        "deadline_at": found.deadline_at,
        "page": _page(found),
        "decided_by": found.decided_by,
        "decided_at": found.decided_at,
        "decided_via": found.decided_via,
        "reason": found.reason,
        "bundle_sha256": found.bundle_sha256,
    }


def question(found: Approval) -> dict[str, str]:
    """An open question in short: what, why, where to answer and until when."""
    return {
        "problem": found.problem,
        "model_version": str(found.model_version),
        "why": "; ".join(found.why),
        "page": _page(found) or "no run waits; `retrue deploy` asks again",
        "answer": how_to_answer(found),
        "deadline_at": found.deadline_at,
    }


def ask(
    problem: Problem, model: ModelRef, why: tuple[str, ...], flow_run_id: str
) -> tuple[Approval, str]:
    """Write the question to the ledger; give it with its page."""
    asked = approvals.ask(problem, model, why, flow_run_id)
    card = model_card.card_path(problem.name, model.version)
    page = pages.approval(
        problem,
        version=model.version,
        why=asked.why,
        card=model_card.markdown(model_card.gather(problem, model), card),
        run=_page(asked) or "",
        how=how_to_answer(asked),
        deadline=f"{asked.deadline_at[:16].replace('T', ' ')} UTC",
    )
    return asked, page


def how_to_answer(found: Approval) -> str:
    """The command that answers, for a log line or a page."""
    which = f"{found.problem} --version {found.model_version}"
    return f"retrue approve|reject {which} --by NAME --reason WHY"


def _page(found: Approval) -> str | None:
    return run_page(found.flow_run_id) if found.has_a_run else None
