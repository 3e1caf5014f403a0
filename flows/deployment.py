"""The deployment flow: image, second slot, golden requests, switch."""

from prefect import flow

from flows.parameters import NewestVersion, ProblemName, Reason, run_name
from retrue.problems import load_problem
from retrue.refs import ServingRef
from tasks import service


@flow(name="deploy", flow_run_name=run_name)
def deploy(
    problem: ProblemName = "flights",
    version: NewestVersion = None,
    reason: Reason = "asked for by hand",
) -> ServingRef:
    """Bring a model version (empty: the newest) into service beside the champion, then switch.

    The champion answers until the new version has passed its golden requests bit for bit; when
    anything fails before that, the champion goes on as if nothing had been asked.
    """
    config = load_problem(problem)
    model = service.find_model(problem, version)
    turn = service.claim_deployment(model)
    try:
        target = service.pick_target(config)
        image = service.build_image(config, model, target)
        return service.bring_in(config, model, turn, target, image, reason)
    except BaseException as error:
        service.give_up(turn, str(error) or type(error).__name__)
        raise
