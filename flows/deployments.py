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
    """Start `retrain` for each drift event, ours or another system's, as its payload tells.

    Without a `decision` in the payload the key is the event's id: delivered twice, it is one.
    """
    return DeploymentEventTrigger(
        name=f"retrain {problem.name} on drift",
        description=f"Starts retrain/{problem.name} when a drift check, or another system, asks.",
        expect={DRIFT_DETECTED, RETRAIN_REQUESTED},
        match={"prefect.resource.id": resource_id(problem.name)},
        parameters={
            "problem": problem.name,
            "until": _from_event("event.payload.get('until')"),
            "trigger_key": _from_event("event.payload.get('decision') or event.id | string"),
            "reason": _from_event("event.payload.get('reason') or event.event"),
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


def _from_event(expression: str) -> dict[str, object]:
    """A parameter rendered from the event; JSON, because a template alone can only give text."""
    template = {"__prefect_kind": "jinja", "template": f"{{{{ ({expression}) | tojson }}}}"}
    return {"__prefect_kind": "json", "value": template}


if __name__ == "__main__":
    serve(*deployments(Path.cwd()), pause_on_shutdown=False, print_starting_message=False)
