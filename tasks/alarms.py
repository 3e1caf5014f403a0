"""The Prefect task that turns a comparison into an alarm, or into none."""

from datetime import date

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from retrue import ledger, pages
from retrue.alarms import decision
from retrue.config import Problem
from retrue.drift import DriftReport
from retrue.refs import ModelRef
from tasks.pages import publish


@task(cache_policy=NO_CACHE)
def weigh(problem: Problem, model: ModelRef, until: date, report: DriftReport) -> DriftReport:
    """Hold a comparison against thresholds, earlier checks and quiet times."""
    report = decision.with_alarm(ledger.connect(), problem, model, until, report)
    publish(pages.drift(problem, report), "drift", problem.name)
    log = get_run_logger()
    if report.alarm is not None:
        for warning in report.alarm.warnings:
            log.warning(warning)
        said = report.alarm.verdict, report.alarm.reason
        (log.error if report.alarm.needs_operator else log.info)("%s: %s", *said)
    return report
