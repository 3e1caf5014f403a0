"""Prefect tasks of the search: begin, work in lanes, choose."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from retrue.config import Problem
from retrue.refs import DataRef
from retrue.search import page, run, runs
from retrue.search.recipe import Recipe
from retrue.search.run import Begun
from tasks.pages import publish


@task(cache_policy=NO_CACHE)
def begin(problem: Problem, data: DataRef) -> Begun:
    """Open the search of a data version, or go on with one that was cut off."""
    return run.begin(problem, data)


@task(task_run_name="lane {number}", cache_policy=NO_CACHE)
def lane(problem: Problem, data: DataRef, begun: Begun, number: int) -> int:
    """Run trials until the budget is spent; `number` tells lanes apart in the UI."""
    del number
    log = runs.TrialLog(begun, data, problem.gate.metric, get_run_logger().info)
    return run.lane(problem, data, begun, log)


@task(cache_policy=NO_CACHE)
def choose(problem: Problem, data: DataRef, begun: Begun) -> tuple[Recipe, str]:
    """Take the simplest of the best trials, log them all and write the page; also its run's id."""
    found = run.finish(problem, data, begun)
    run_id = runs.log(found)
    publish(page.markdown(found, page.write_page(found)), "search", problem.name)
    get_run_logger().info("%s", found.reason)
    return found.recipe, run_id
