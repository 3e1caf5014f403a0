"""Prefect tasks of the experiment: fit, evaluate, register."""

from pathlib import Path

from prefect import get_run_logger, task
from prefect.cache_policies import INPUTS, NO_CACHE, TASK_SOURCE

from retrue import bundles, checkpoint, experiment, model_card, pages, provenance
from retrue.config import Problem
from retrue.gate import Verdict
from retrue.refs import BundleRef, DataRef, ModelRef
from tasks.pages import publish
from tasks.retries import is_transient


@task(
    task_run_name="fit on data v{data.version}",
    cache_policy=INPUTS + TASK_SOURCE,
    persist_result=True,
    result_serializer="json",
)
def fit(problem: Problem, data: DataRef, made_by: dict[str, str]) -> BundleRef:
    """Fit and bundle a model; the same data, configuration, code and lock: the stored one."""
    bundle = experiment.fit_bundle(problem, data, made_by)
    publish(checkpoint.markdown(bundles.read_checkpoint(bundle)), "processing", problem.name)
    return bundle


@task(cache_policy=NO_CACHE)
def evaluate(problem: Problem, data: DataRef, challenger: BundleRef) -> Verdict:
    """Compare with the champion, or with no skill, on the newest labelled days."""
    verdict = experiment.evaluate(problem, data, challenger)
    publish(pages.verdict(problem, verdict), "gate", problem.name)
    get_run_logger().info("%s", verdict.reason)
    return verdict


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=2, retry_condition_fn=is_transient)
def register(
    problem: Problem,
    data: DataRef,
    bundle: BundleRef,
    verdict: Verdict,
    flow_run_id: str,
    search_run: str | None = None,
) -> ModelRef:
    """Log the run to MLflow and register its version, each once however often it is called."""
    return experiment.register(problem, data, bundle, verdict, flow_run_id, Path.cwd(), search_run)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=2, retry_condition_fn=is_transient)
def write_card(problem: Problem, model: ModelRef) -> None:
    """Write the model card of a registered version; its short form is this run's page."""
    path, facts = model_card.write_card(problem, model)
    publish(model_card.markdown(facts, path), "card", problem.name)


@task(cache_policy=NO_CACHE)
def find_provenance() -> dict[str, str]:
    """Find the code commit and the lock's hash of this working folder."""
    return provenance.provenance(Path.cwd())
