"""Prefect tasks of deployment: find, claim, build, bring in."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from retrue import ledger, pages, service, slots
from retrue.config import Problem
from retrue.ledger import Deployment
from retrue.refs import ModelRef, ServingRef
from tasks.pages import publish
from tasks.retries import is_transient


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=2, retry_condition_fn=is_transient)
def find_model(problem: str, version: int | None) -> ModelRef:
    """Find a registered version and its bundle."""
    return service.find_model(problem, version)


@task(cache_policy=NO_CACHE)
def serving_model(problem: str) -> ModelRef:
    """Find the version that should serve."""
    return service.serving_model(problem)


@task(cache_policy=NO_CACHE)
def previous_version(problem: str) -> int:
    """Find the version that served before."""
    return service.previous_version(problem)


@task(cache_policy=NO_CACHE)
def claim_deployment(model: ModelRef) -> Deployment:
    """Claim the problem's one deployment."""
    return ledger.start_deployment(
        ledger.connect(), model.problem, model.version, model.bundle.sha256
    )


@task(cache_policy=NO_CACHE)
def pick_target(problem: Problem) -> str:
    """Choose container or process, and say why."""
    target, why = slots.choose_target(problem.serving)
    get_run_logger().info("Serving by %s: %s", target, why)
    return target


@task(task_run_name="build image of v{model.version}", cache_policy=NO_CACHE)
def build_image(problem: Problem, model: ModelRef, target: str) -> str | None:
    """Build the container image of a version."""
    return service.image_for(problem, model, target)


@task(task_run_name="bring in v{model.version}", cache_policy=NO_CACHE)
def bring_in(
    problem: Problem, model: ModelRef, turn: Deployment, target: str, image: str | None, reason: str
) -> ServingRef:
    """Start beside the old version, ask the golden requests, switch, stop the old one."""
    server = service.bring_in(problem, model, turn, target, image, reason)
    publish(pages.serving(server, reason), "serving", problem.name)
    return server


@task(cache_policy=NO_CACHE)
def give_up(turn: Deployment, error: str) -> None:
    """Write down that a deployment failed."""
    service.give_up(turn, error)
