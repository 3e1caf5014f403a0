"""The deployment flow: a person's approval where one is needed, image, second slot, switch."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.approval import approval
from flows.parameters import NewestVersion, ProblemName, Reason, run_name
from retrue.approval_answers import Rejected
from retrue.ledger import Claim
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
    answer. The new version passes its golden requests bit for bit, answers what was served in the
    shadow, then a share of the requests, then all of them while it is watched. Out of bounds
    (`serving.rollout`) in any of these, it is taken out and the champion serves on.
    """
    return carry_out(problem, version, reason, goes_back=False)


@flow(
    name="deploy-retrained",
    flow_run_name=run_name,
    validate_parameters=False,
    persist_result=True,
    result_serializer="json",
)
def deploy_retrained(
    problem: str, version: int, reason: str, claim: Claim
) -> ServingRef | State[Rejected]:
    """As `deploy`, for a retraining that must still hold its claim when it begins."""
    return carry_out(problem, version, reason, goes_back=False, claim=claim)


def carry_out(
    problem: str,
    version: int | None,
    reason: str,
    *,
    goes_back: bool,
    claim: Claim | None = None,
) -> ServingRef | State[Rejected]:
    """The steps of a deployment; one that goes back does not wait for what it need not see again.

    It takes over from a deployment under way, uses the image there is, and leaves shadow, canary
    and watch out for a version that served before.
    """
    config = load_problem(problem)
    model = service.find_model(problem, version)
    if why := approvals.reasons_to_ask(config, model):
        approval(config, model, why)
    if rejected := approvals.rejection(model):
        return rejection_state(rejected)
    is_trusted = goes_back and service.has_served(model)
    turn = service.claim_deployment(model, take_over=goes_back, claim=claim)
    try:
        target = service.pick_target(config)
        image = service.build_image(config, model, target, is_trusted)
        return service.bring_in(config, model, turn, target, image, reason, is_trusted)
    except BaseException as error:
        service.give_up(turn, str(error) or type(error).__name__)
        raise


def rejection_state(rejected: Rejected) -> State[Rejected]:
    """How a run ends that a person did not let go on: by their word, not by a failure."""
    return Completed(name="Rejected", message=rejected.message, data=rejected)
