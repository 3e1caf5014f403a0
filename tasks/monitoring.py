"""Prefect tasks of the loop: collect, compare, decide, announce, and the claim on a retraining."""

from contextlib import AbstractContextManager
from datetime import date
from typing import Any, Literal

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from retrue import ledger, monitoring, pages
from retrue.config import Problem
from retrue.drift import DriftReport
from retrue.events import DRIFT_DETECTED, resource_id
from retrue.ledger import Check, Claim
from retrue.refs import ModelRef
from tasks.pages import publish


@task(cache_policy=NO_CACHE)
def collect(problem: str) -> int:
    """Move logged predictions into the lake."""
    moved = monitoring.collect(problem)
    get_run_logger().info("Collected %d predictions", moved)
    return moved


@task(cache_policy=NO_CACHE)
def compare(problem: Problem, model: ModelRef, since: date, until: date) -> DriftReport:
    """Hold the window against the training reference."""
    report = monitoring.compare(problem, model, since, until)
    publish(pages.drift(problem, report), "drift", problem.name)
    log = get_run_logger()
    (log.info if report.verdict == "no drift" else log.warning)(
        "%s: %s", report.verdict, report.reason
    )
    return report


@task(cache_policy=NO_CACHE)
def decide(
    problem: str, version: int, since: date, until: date, report: DriftReport, flow_run_id: str
) -> Check:
    """Write the decision to the ledger."""
    return monitoring.decide(ledger.connect(), problem, version, since, until, report, flow_run_id)


@task(cache_policy=NO_CACHE)
def announce(problem: str) -> int:
    """Emit an event for each decision that still waits for its retraining."""
    waiting = ledger.open_decisions(ledger.connect(), problem)
    for check in waiting:
        emit_event(
            DRIFT_DETECTED,
            resource={"prefect.resource.id": resource_id(problem)},
            payload=monitoring.announcement(check),
        )
    return len(waiting)


@task(cache_policy=NO_CACHE)
def claim_retraining(problem: str, trigger_key: str) -> Claim:
    """Claim the problem's one retraining."""
    claim = ledger.claim_retraining(ledger.connect(), problem, trigger_key)
    get_run_logger().info("Retraining %s: %s", trigger_key, claim.outcome)
    return claim


def beating(claim: Claim) -> AbstractContextManager[None]:
    """Keep the claim alive during the block, hours of waiting for a person included."""
    mine = claim.retraining
    return ledger.beating(ledger.connect(), "retraining", mine.id, mine.token)


@task(cache_policy=NO_CACHE)
def finish_retraining(
    claim: Claim,
    status: Literal["promoted", "refused", "rejected", "failed"],
    details: dict[str, Any],
) -> None:
    """Write the outcome to the ledger."""
    monitoring.finish_retraining(ledger.connect(), claim, status, details)


@task(cache_policy=NO_CACHE)
def window(problem: Problem, since: date | None, until: date | None) -> tuple[date, date]:
    """Find the days to check."""
    return monitoring.window(problem, since, until)
