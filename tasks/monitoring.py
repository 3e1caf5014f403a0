"""Prefect tasks of the loop: collect, compare, decide, announce, and the claim on a retraining."""

from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from typing import Any, Literal

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from retrue import (
    ledger,
    loop_decisions,
    loop_metrics,
    monitoring,
    retention,
    retraining_events,
)
from retrue.config import Problem
from retrue.drift import DriftReport
from retrue.events import DRIFT_DETECTED, resource_id
from retrue.ledger import Check, Claim
from retrue.performance import page as performance_page
from retrue.performance.report import Performance
from retrue.refs import ModelRef
from retrue.retention import Retained
from retrue.retraining_events import Asked
from tasks.pages import publish


@task(cache_policy=NO_CACHE)
def collect(problem: str) -> int:
    """Move logged predictions into the lake."""
    moved = monitoring.collect(problem)
    get_run_logger().info("Collected %d predictions", moved)
    return moved


@task(cache_policy=NO_CACHE)
def retain(problem: Problem) -> Retained:
    """Delete what was collected and is older than `retention` wants."""
    left = retention.retain(problem, ledger.connect(), datetime.now(UTC))
    log = get_run_logger()
    (log.warning if left.is_over else log.info)(
        "Deleted %d logs and %d served rows; %.1f MB are left",
        left.n_logs,
        left.n_rows,
        left.size_bytes / 1e6,
    )
    return left


@task(cache_policy=NO_CACHE)
def compare(problem: Problem, model: ModelRef, since: date, until: date) -> DriftReport:
    """Hold the window against the training reference."""
    report = monitoring.compare(problem, model, since, until)
    log = get_run_logger()
    (log.info if report.verdict == "no drift" else log.warning)(
        "%s: %s", report.verdict, report.reason
    )
    return report


@task(cache_policy=NO_CACHE)
def perform(
    problem: Problem, model: ModelRef, since: date, until: date, flow_run_id: str
) -> Performance:
    """Estimate the window's metrics, and realise them where labels have come."""
    book = ledger.connect()
    found = loop_decisions.perform(
        book, problem, model.version, since, until, datetime.now(UTC), flow_run_id
    )
    earlier = ledger.performance_checks(book, problem.name)
    publish(performance_page.markdown(problem, found, earlier), "performance", problem.name)
    log = get_run_logger()
    (log.info if found.verdict == "ok" else log.warning)(
        "Performance %s: %s", found.verdict, found.reason
    )
    return found


@task(cache_policy=NO_CACHE)
def decide(
    problem: str, version: int, since: date, until: date, report: DriftReport, flow_run_id: str
) -> Check:
    """Write the decision to the ledger."""
    book = ledger.connect()
    return loop_decisions.decide(book, problem, version, since, until, report, flow_run_id)


@task(cache_policy=NO_CACHE)
def announce(problem: Problem) -> int:
    """Emit an event for each decision whose retraining is due; say of the others how they stand."""
    due = loop_decisions.due(ledger.connect(), problem, get_run_logger().warning)
    for check in due:
        emit_event(
            DRIFT_DETECTED,
            resource={"prefect.resource.id": resource_id(problem.name)},
            payload=loop_decisions.announcement(check),
        )
    return len(due)


@task(cache_policy=NO_CACHE)
def asked(event: str, problem: str) -> Asked:
    """What an event may ask for."""
    return retraining_events.asked(event, problem, ledger.connect())


@task(cache_policy=NO_CACHE)
def claim_retraining(problem: Problem, trigger_key: str, is_by_event: bool) -> Claim:
    """Claim the problem's one retraining; what a machine asks for may have to wait."""
    backoff = loop_decisions.backoff(problem) if is_by_event else None
    claim = ledger.claim_retraining(ledger.connect(), problem.name, trigger_key, backoff=backoff)
    get_run_logger().info("Retraining %s: %s", trigger_key, claim.outcome)
    return claim


def beating(claim: Claim) -> AbstractContextManager[None]:
    """Keep the claim alive during the block, hours of waiting for a person included."""
    mine = claim.mine
    return ledger.beating(ledger.connect(), "retraining", mine.id, mine.token)


@task(cache_policy=NO_CACHE)
def finish_retraining(
    claim: Claim,
    status: Literal["promoted", "refused", "rejected", "failed"],
    details: dict[str, Any],
) -> None:
    """Write the outcome to the ledger, and the metrics."""
    book = ledger.connect()
    loop_decisions.finish_retraining(book, claim, status, details)
    loop_metrics.write_or_tell(book, claim.mine.problem, get_run_logger().error)


@task(cache_policy=NO_CACHE)
def window(problem: Problem, since: date | None, until: date | None) -> tuple[date, date]:
    """Find the days to check."""
    return monitoring.window(problem, since, until)
