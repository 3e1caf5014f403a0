"""Prefect tasks of deployment: find, claim, build, bring in."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from retrue import deployment, service, slots
from retrue.config import Problem
from retrue.errors import DeployError
from retrue.ledger import Claim, Deployment
from retrue.refs import ModelRef, ServingRef
from retrue.rollout import page as rollout_page
from retrue.rollout.figures import Stage
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
def has_served(model: ModelRef) -> bool:
    """Whether a version served before, and so need not show itself again in a rollback."""
    return deployment.has_served(model)


@task(cache_policy=NO_CACHE)
def claim_deployment(
    model: ModelRef, take_over: bool = False, claim: Claim | None = None
) -> Deployment:
    """Claim the problem's one deployment; a rollback takes it from one under way."""
    mine = None if claim is None else claim.mine
    return deployment.claim(model, take_over=take_over, for_retraining=mine)


@task(cache_policy=NO_CACHE)
def pick_target(problem: Problem) -> str:
    """Choose container or process, and say why."""
    target, why = slots.choose_target(problem.serving)
    get_run_logger().info("Serving by %s: %s", target, why)
    return target


@task(task_run_name="build image of v{model.version}", cache_policy=NO_CACHE)
def build_image(
    problem: Problem, model: ModelRef, target: str, as_before: bool = False
) -> str | None:
    """Build the container image of a version; for a rollback take the one it had."""
    return service.image_for(problem, model, target, as_before=as_before)


@task(task_run_name="bring in v{model.version}", cache_policy=NO_CACHE)
def bring_in(
    problem: Problem,
    model: ModelRef,
    turn: Deployment,
    target: str,
    image: str | None,
    reason: str,
    is_trusted: bool = False,
) -> ServingRef:
    """Start beside the old version, ask, shadow, canary, switch, watch, stop the old one."""
    stages: list[Stage] = []
    logger = get_run_logger()
    try:
        server = deployment.bring_in(
            problem,
            model,
            turn,
            target,
            image,
            reason,
            is_trusted=is_trusted,
            news=logger.info,
            tell=stages.append,
        )
    except DeployError as error:
        logger.error("Version %s of %s was taken out: %s", model.version, problem.name, error)
        publish(rollout_page.refused(model, stages, str(error)), "serving", problem.name)
        raise
    publish(rollout_page.serving(server, reason, stages), "serving", problem.name)
    return server


@task(cache_policy=NO_CACHE)
def give_up(turn: Deployment, error: str) -> None:
    """Write down that a deployment failed."""
    deployment.give_up(turn, error)
