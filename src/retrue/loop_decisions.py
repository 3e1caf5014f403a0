"""What the loop writes down of its decisions, who is told of them, and how they stand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from retrue import alerts, ledger, retraining_events
from retrue.performance import check as performance_check
from retrue.triage import days_aside

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

    from retrue.config import Problem
    from retrue.drift import DriftReport
    from retrue.ledger import Backoff, Check, Claim, Ledger
    from retrue.performance.report import Performance
    from retrue.triage import Triage


def set_aside(book: Ledger, problem: str, found: Triage) -> bool:
    """Set the days at fault aside, then raise the alert; whether any of it is new.

    In this order, so that nobody is told of rows that are still in use.
    """
    if not days_aside.set_aside(problem, found):
        return False
    at_fault = [f"{one.kind}, {one.column}, {one.since}" for one in found.findings]
    alerts.broken(book, problem, "; ".join(at_fault), found.reason)
    return True


def decide(
    book: Ledger,
    problem: str,
    model_version: int,
    since: date,
    until: date,
    report: DriftReport,
    flow_run_id: str | None,
) -> Check:
    """Write the decision down once, and raise its alert.

    A window that was decided before keeps its decision. It is the alarm's verdict; the comparison's
    own stays in the report.
    """
    check = ledger.record_check(
        book,
        problem,
        model_version,
        since,
        until,
        verdict=report.verdict if report.alarm is None else report.alarm.verdict,
        report_json=report.model_dump_json(),
        flow_run_id=flow_run_id,
    )
    alerts.checked(book, check)
    return check


def perform(
    book: Ledger,
    problem: Problem,
    model_version: int,
    since: date,
    until: date,
    now: datetime,
    flow_run_id: str | None,
) -> Performance:
    """Judge the performance as `retrue.performance.check.check` does, and raise its alert."""
    found = performance_check.check(book, problem, model_version, since, until, now, flow_run_id)
    alerts.performed(book, problem.name, model_version, found)
    return found


def due(book: Ledger, problem: Problem, tell: Callable[[str], None]) -> list[Check]:
    """Decisions whose retraining may be tried now; how the others stand is told.

    One that waits for a person has an alert.
    """
    found = ledger.undone(book, problem.name, backoff(problem))
    for check, stands in found:
        if stands.state != "due":
            tell(f"The retraining of {check.trigger_key} {stands.told}")
        if stands.state == "exhausted":
            alerts.exhausted(book, check, stands)
    return ledger.to_announce(found)


def announcement(check: Check) -> dict[str, str]:
    """What the event of a drift decision tells the retraining it starts."""
    return {
        "decision": check.trigger_key,
        "until": check.window_end[:10],
        "reason": retraining_events.reason_of(check),
    }


def backoff(problem: Problem) -> Backoff:
    """How long this problem waits before a retraining is tried again."""
    given = problem.retraining
    return ledger.Backoff(
        max_attempts=given.max_attempts,
        failed_s=given.failed_wait_minutes * 60,
        refused_s=given.refused_wait_hours * 3600,
    )


def undone(problem: Problem) -> dict[str, str]:
    """Each drift decision without an answer, and how it stands, in plain words."""
    book = ledger.connect()
    running = ledger.running_retraining(book, problem.name)
    now = None if running is None else running.trigger_key
    return {
        check.trigger_key: "is being retrained" if check.trigger_key == now else stands.told
        for check, stands in ledger.undone(book, problem.name, backoff(problem))
    }


def why_not(claim: Claim) -> str:
    """Why a retraining that was asked for is not done, in plain words."""
    other = claim.retraining
    if claim.standing is not None and claim.outcome in ("waits", "exhausted"):
        return f"the retraining {claim.standing.told}"
    if claim.outcome == "finished":
        return f"retraining {other.id} answered this trigger before: {other.status}"
    return f"retraining {other.id} of {other.problem} is running"


def finish_retraining(
    book: Ledger,
    claim: Claim,
    status: Literal["promoted", "refused", "rejected", "failed"],
    details: dict[str, Any],
) -> None:
    """Write the outcome of a claimed retraining down, and raise its alert."""
    mine = claim.mine
    ledger.finish_retraining(book, mine.id, mine.token, status, json.dumps(details))
    alerts.retrained(book, mine, status, details)
