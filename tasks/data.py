"""Prefect tasks of the data: ingest, validate, link, version."""

from datetime import date
from pathlib import Path

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from retrue import pages, preparation
from retrue.config import Problem
from retrue.refs import DataRef, SourcesRef
from tasks.pages import publish


@task(cache_policy=NO_CACHE)
def ingest(problem: Problem) -> SourcesRef:
    """Read every source; refuse what cannot be read whole."""
    return preparation.ingest(problem, Path.cwd())


@task(cache_policy=NO_CACHE)
def validate_and_link(problem: Problem, sources: SourcesRef, until: date) -> DataRef:
    """Validate, set aside what fails, link, validate again and write the data version."""
    prepared = preparation.prepare(problem, until, Path.cwd(), sources)
    publish(pages.validation(prepared), "data", problem.name)
    get_run_logger().info(
        "Data version %d: %d rows, %d set aside",
        prepared.ref.version,
        prepared.ref.n_rows,
        prepared.n_set_aside,
    )
    return prepared.ref


@task(cache_policy=NO_CACHE)
def day_after_newest(problem: Problem) -> date:
    """Find the day until which there are data."""
    return preparation.day_after_newest(problem, Path.cwd())
