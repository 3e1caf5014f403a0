"""The deployment flow: a person's approval where one is needed, image, second slot, switch."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.approval import approval
from flows.parameters import NewestVersion, ProblemName, Reason, run_name
from retrue.approval_answers import Rejected
from retrue.problems import load_problem
from retrue.refs import ServingRef
from tasks import approvals, service


# Kept, since the server may answer with its own copy of the last state, which has no data.
@flow(name="deploy", flow_run_name=run_name, persist_result=True, result_serializer="json")
def deploy(
    problem: ProblemName = "flights",
    version: NewestVersion = None,
    reason: Reason = "asked for by hand",
) -> ServingRef | State[Rejected]:
    """Bring a model version (empty: the newest) into service beside the champion, then switch.

    Where `gate.approval` asks for one, a person is asked first, and nothing is built before the
    answer. The champion answers requests until the new version has passed its golden requests bit
    for bit; when anything fails before that, the champion goes on as if nothing had been asked.
    """
    config = load_problem(problem)
    model = service.find_model(problem, version)
    if why := approvals.reasons_to_ask(config, model):
        approval(config, model, why)
    if rejected := approvals.rejection(model):
        return rejection_state(rejected)
    turn = service.claim_deployment(model)
    try:
        target = service.pick_target(config)
        image = service.build_image(config, model, target)
        return service.bring_in(config, model, turn, target, image, reason)
    except BaseException as error:
        service.give_up(turn, str(error) or type(error).__name__)
        raise


def rejection_state(rejected: Rejected) -> State[Rejected]:
    """How a run ends that a person did not let go on: by their word, not by a failure."""
    return Completed(name="Rejected", message=rejected.message, data=rejected)
