"""Prefect tasks of an approval: ask, announce, decide, show the decision."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from retrue import alerts, approval_facts, approvals, ledger
from retrue.approval_answers import Answer, Rejected
from retrue.config import Problem
from retrue.events import APPROVAL_REQUESTED, resource_id
from retrue.ledger import Approval
from retrue.refs import ModelRef
from tasks.pages import publish
from tasks.retries import is_transient


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=2, retry_condition_fn=is_transient)
def reasons_to_ask(problem: Problem, model: ModelRef) -> tuple[str, ...]:
    """Find out why a person is to be asked, if so."""
    return approvals.reasons_to_ask(problem, model)


@task(cache_policy=NO_CACHE)
def dead_run(model: ModelRef) -> str | None:
    """Find the run that asked before and died."""
    return approvals.dead_run(model)


@task(cache_policy=NO_CACHE)
def ask(problem: Problem, model: ModelRef, why: tuple[str, ...], flow_run_id: str) -> Approval:
    """Write the question to the ledger and put its page on the run."""
    asked, page = approval_facts.ask(problem, model, why, flow_run_id)
    publish(page, "approval", problem.name)
    return asked


@task(cache_policy=NO_CACHE)
def announce(asked: Approval) -> None:
    """Tell people and other systems that a version waits, and how to answer."""
    told = approval_facts.question(asked)
    get_run_logger().warning(
        "Version %d of %s waits for a person (%s): answer at %s or with %s",
        asked.model_version,
        asked.problem,
        told["why"],
        told["page"],
        told["answer"],
    )
    how = approval_facts.how_to_answer(asked)
    alerts.waits_for_approval(ledger.connect(), asked, how)
    emit_event(
        APPROVAL_REQUESTED,
        resource={"prefect.resource.id": resource_id(asked.problem)},
        payload=told,
    )


@task(cache_policy=NO_CACHE)
def decide(asked: Approval, answer: Answer) -> Approval:
    """Write the form's answer to the ledger; what stands there is the decision."""
    found = approvals.decide(asked, answer, "form")
    get_run_logger().info(
        "Version %d: %s by %s: %s",
        found.model_version,
        found.status,
        found.decided_by,
        found.reason,
    )
    return found


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=2, retry_condition_fn=is_transient)
def rejection(model: ModelRef) -> Rejected | None:
    """Show the decision on a version, if there is one, in the registry; give a rejection."""
    return approvals.settle(model)
