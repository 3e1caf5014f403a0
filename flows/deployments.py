"""Serve the flows: one deployment of each for every problem, with schedules and event triggers.

Run as `python -m flows.deployments`; `retrue up` does.
"""

from pathlib import Path

from prefect import serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.types.entrypoint import EntrypointType

from flows.deployment import deploy
from flows.drift_check import drift_check
from flows.explanation import explain
from flows.retraining import retrain
from flows.rollback import rollback
from flows.training import train
from retrue.config import Problem
from retrue.events import DRIFT_DETECTED, RETRAIN_REQUESTED, resource_id
from retrue.problems import all_problems

FLOWS = (train, deploy, retrain, drift_check, rollback, explain)

ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
"""For tidiness: two retrainings side by side are kept apart by the ledger, not by this."""


def retrain_on_event(problem: Problem) -> DeploymentEventTrigger:
    """Start `retrain` for each drift event and each request of another system.

    The run is handed the event whole: whether it is true and still wanted the ledger says.
    """
    handed_on = (
        "{'event': event.event, 'received': event.received | string, 'payload': event.payload}"
    )
    return DeploymentEventTrigger(
        name=f"retrain {problem.name} on drift",
        description=f"Starts retrain/{problem.name} when a drift check, or another system, asks.",
        expect={DRIFT_DETECTED, RETRAIN_REQUESTED},
        match={"prefect.resource.id": resource_id(problem.name)},
        parameters={
            "problem": problem.name,
            "event": {
                "__prefect_kind": "jinja",
                "template": f"{{{{ {handed_on} | tojson }}}}",
            },
        },
    )


def deployments(root: Path) -> list[RunnerDeployment]:
    """All deployments of the problems in `root/configs`."""
    made = []
    for problem in all_problems(root):
        for one in FLOWS:
            made.append(
                RunnerDeployment.from_flow(
                    one,
                    name=problem.name,
                    description=one.description,
                    parameters={"problem": problem.name},
                    tags=["retrue", problem.name],
                    cron=problem.drift.schedule if one is drift_check else None,
                    triggers=[retrain_on_event(problem)] if one is retrain else None,
                    concurrency_limit=ONE_AT_A_TIME,
                    entrypoint_type=EntrypointType.MODULE_PATH,
                )
            )
    return made


if __name__ == "__main__":
    serve(*deployments(Path.cwd()), pause_on_shutdown=False, print_starting_message=False)
