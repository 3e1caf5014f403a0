"""A person's word before the switch: when it is needed, who gave it, and where it is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from retrue import ledger, tracking
from retrue.approval_answers import Answer, Rejected
from retrue.errors import LedgerError

if TYPE_CHECKING:
    from retrue.config import Problem
    from retrue.ledger import Approval
    from retrue.ledger.approvals import Decision, Via
    from retrue.refs import ModelRef


TIMEOUT = "timeout"
"""Who decided when nobody did."""

_DECISIONS: dict[Literal["approve", "reject"], Decision] = {
    "approve": "approved",
    "reject": "rejected",
}


def rejection(found: Approval | None) -> Rejected | None:
    """The rejection that stands; None for an approval and for a version nobody decided on."""
    if found is None or found.decision != "rejected":
        return None
    return Rejected(
        problem=found.problem,
        model_version=found.model_version,
        rejected_by=str(found.decided_by),
        rejected_at=str(found.decided_at),
        reason=str(found.reason),
    )


def standing(model: ModelRef) -> Approval | None:
    """What the ledger knows of a version: a question, a decision or nothing."""
    return ledger.find_approval(ledger.connect(), model.problem, model.version, model.bundle.sha256)


def reasons_to_ask(problem: Problem, model: ModelRef) -> tuple[str, ...]:
    """Why a person is to be asked before a version is deployed; empty when none needs to be.

    Nobody is asked twice, nor about a version that served before: a rollback must not wait.
    """
    found = standing(model)
    if (found is not None and found.decision) or problem.gate.approval == "never":
        return ()
    if _served_before(model):
        return ()
    doubts = tracking.doubts(model)
    if problem.gate.approval == "required":
        return ("gate.approval is required", *doubts)
    return doubts


def dead_run(model: ModelRef) -> str | None:
    """The run that asked about a version and died before it had its answer."""
    found = standing(model)
    if found is None or found.decision or found.has_a_run:
        return None
    return found.flow_run_id


def ask(problem: Problem, model: ModelRef, why: tuple[str, ...], flow_run_id: str) -> Approval:
    """Write the question down, or find what is known of it."""
    return ledger.request_approval(
        ledger.connect(),
        model.problem,
        model.version,
        model.bundle.sha256,
        why=why,
        timeout_s=problem.gate.approval_timeout_hours * 3600,
        flow_run_id=flow_run_id,
    )


def decide(asked: Approval, answer: Answer, via: Via) -> Approval:
    """Write an answer down unless there is one; give the one that stands."""
    return _record(asked.problem, asked.model_version, asked.bundle_sha256, answer, via)


def look(asked: Approval) -> Approval:
    """How a question stands; past its deadline silence is a rejection, decided now."""
    book = ledger.connect()
    key = asked.problem, asked.model_version, asked.bundle_sha256
    found = ledger.find_approval(book, *key) or asked
    if found.decision or time_left_s(found) > 0:
        return found
    why = f"no answer until {found.deadline_at[:16]} UTC"
    silence = Answer(decision="reject", name=TIMEOUT, reason=why)
    return _record(*key, silence, "timeout")


def time_left_s(asked: Approval) -> float:
    """Seconds until the deadline, negative after it."""
    deadline = datetime.fromisoformat(asked.deadline_at)
    return (deadline - datetime.now(UTC)).total_seconds()


def as_answer(found: Approval) -> Answer:
    """A decision as if it came through the form."""
    return Answer(
        decision="approve" if found.decision == "approved" else "reject",
        name=str(found.decided_by),
        reason=str(found.reason),
    )


def answer_by_hand(problem: str, version: int | None, answer: Answer) -> Approval:
    """Answer from the command line: the version that waits, or the one named, asked about or not.

    Raises
    ------
    LedgerError
        It was decided before, or several or none wait and no version is named.
    TrainingError
        There is no such version.
    """
    if version is None:
        version = _the_waiting_one(problem)
    model = tracking.find(problem, version)
    found = _record(problem, model.version, model.bundle.sha256, answer, "command line")
    given = (_DECISIONS[answer.decision], answer.name, answer.reason)
    if (found.decision, found.decided_by, found.reason) != given:
        raise LedgerError(
            "no decision yet",
            f"{found.decision} by {found.decided_by} at {found.decided_at}: {found.reason}",
            f"{problem} version {version}",
            "the first decision stands",
        )
    mirror(found)
    return found


def settle(model: ModelRef) -> Rejected | None:
    """Mirror the decision on a version, if there is one; give a rejection."""
    found = standing(model)
    if found is not None and found.decision:
        mirror(found)
    return rejection(found)


def mirror(found: Approval) -> None:
    """Show the ledger's decision in the registry."""
    tracking.mark_approval(
        found.problem,
        found.model_version,
        {
            "retrue.approval": found.status,
            "retrue.approved_by": found.decided_by or "",
            "retrue.approved_at": found.decided_at or "",
            "retrue.approval_reason": found.reason or "",
        },
    )


def waiting(problem: str) -> list[Approval]:
    """The versions of a problem that nobody decided on yet."""
    return [one for one in ledger.approvals(ledger.connect(), problem) if one.status == "waiting"]


def rejected(problem: str) -> set[tuple[int, str]]:
    """Version and bundle of each rejection, as `tracking.find` passes over them."""
    found = ledger.approvals(ledger.connect(), problem)
    return {(one.model_version, one.bundle_sha256) for one in found if one.status == "rejected"}


def _record(problem: str, version: int, bundle_sha256: str, answer: Answer, via: Via) -> Approval:
    return ledger.record_decision(
        ledger.connect(),
        problem,
        version,
        bundle_sha256,
        decision=_DECISIONS[answer.decision],
        by=answer.name,
        reason=answer.reason,
        via=via,
    )


def _served_before(model: ModelRef) -> bool:
    return any(
        one.status in ("serving", "retired") and one.bundle_sha256 == model.bundle.sha256
        for one in ledger.history(ledger.connect(), model.problem)
        if one.model_version == model.version
    )


def _the_waiting_one(problem: str) -> int:
    versions = [one.model_version for one in waiting(problem)]
    if len(versions) == 1:
        return versions[0]
    raise LedgerError(
        "one version that waits for an answer",
        ", ".join(map(str, versions)) or "none",
        problem,
        "name one: --version N" if versions else f"`retrue approvals {problem}` lists all",
    )
