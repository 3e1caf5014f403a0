"""Prefect tasks of interpretation: find the row that is asked about, explain the model."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from retrue import service
from retrue.config import Problem
from retrue.interpretation import report
from retrue.interpretation.asked_rows import AskedRow
from retrue.interpretation.report import Explained
from retrue.refs import ModelRef
from tasks.retries import is_transient


@task(cache_policy=NO_CACHE)
def ask(problem: str, prediction_id: str, row: str) -> AskedRow | None:
    """Find the row that is asked about, if one is."""
    return report.ask(problem, prediction_id, row)


@task(cache_policy=NO_CACHE)
def find_rival(model: ModelRef) -> ModelRef | None:
    """Find the version that serves, or served before this one did."""
    return service.rival(model.problem, model.bundle)


@task(
    task_run_name="explain v{model.version}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=2,
    retry_condition_fn=is_transient,
)
def explain(
    problem: Problem, model: ModelRef, champion: ModelRef | None, asked: AskedRow | None
) -> Explained:
    """Explain a model version; its page is on disk and in its MLflow run."""
    found = report.explain_model(problem, model, champion, asked)
    get_run_logger().info("Explained version %d: %s", model.version, found.page)
    return found
