"""The rollback flow: the version that served before, through the same door as any other."""

from prefect import flow

from flows.deployment import deploy
from flows.parameters import FormerVersion, ProblemName, Reason, run_name
from retrue.refs import ServingRef
from tasks import service


@flow(name="rollback", flow_run_name=run_name)
def rollback(
    problem: ProblemName = "flights",
    version: FormerVersion = None,
    reason: Reason = "asked for by hand",
) -> ServingRef:
    """Serve the version that served before (or the one named) again."""
    return deploy(problem, version or service.previous_version(problem), f"rollback: {reason}")
