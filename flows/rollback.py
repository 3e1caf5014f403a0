"""The rollback flow: the version that served before, through the same door as any other."""

from prefect import flow
from prefect.client.schemas.objects import State

from flows.deployment import carry_out
from flows.parameters import FormerVersion, ProblemName, Reason, run_name
from retrue.approval_answers import Rejected
from retrue.refs import ServingRef
from tasks import service


# Kept, since the server may answer with its own copy of the last state, which has no data.
@flow(name="rollback", flow_run_name=run_name, persist_result=True, result_serializer="json")
def rollback(
    problem: ProblemName = "flights",
    version: FormerVersion = None,
    reason: Reason = "asked for by hand",
) -> ServingRef | State[Rejected]:
    """Serve the version that served before (or the one named) again, at once.

    A deployment under way is ended, and the champion that it was to replace serves on.
    """
    version = version or service.previous_version(problem)
    return carry_out(problem, version, f"rollback: {reason}", goes_back=True)
