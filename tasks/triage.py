"""Prefect tasks of the triage: broken or changed, before anything is learned from a window."""

from datetime import date

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from retrue import ledger, loop_decisions, service
from retrue.config import Problem
from retrue.events import DATA_BROKEN, resource_id
from retrue.refs import DataRef, ModelRef
from retrue.triage import Triage, page, windows
from tasks.pages import publish


@task(cache_policy=NO_CACHE)
def served(problem: Problem, model: ModelRef, since: date, until: date) -> Triage:
    """Triage what was served in a window; days at fault are set aside."""
    found = windows.triage_served(problem, model, since, until)
    _act_on(problem, found)
    return found


@task(cache_policy=NO_CACHE)
def fresh(problem: Problem, data: DataRef) -> None:
    """Triage the rows that the champion has not seen; stop where they are broken."""
    found = windows.triage_training(problem, data, service.champion(problem.name))
    if found is not None:
        _act_on(problem, found)
    windows.insist_trainable(problem, found)


def _act_on(problem: Problem, found: Triage) -> None:
    """Set days at fault aside, show what was found, and tell of what is new."""
    is_new = loop_decisions.set_aside(ledger.connect(), problem.name, found)
    publish(page.markdown(problem, found), "triage", problem.name)
    log = get_run_logger()
    (log.info if found.is_trainable else log.error)("%s: %s", found.verdict, found.reason)
    if is_new:
        emit_event(
            DATA_BROKEN,
            resource={"prefect.resource.id": resource_id(problem.name)},
            payload={"verdict": found.verdict, "reason": found.reason},
        )
