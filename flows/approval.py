"""The approval flow: pause until a person has answered the form, the command line, or nobody did.

A flow of its own, since the pause must be in a run without a deployment: a deployment's run that
pauses gives its concurrency slot back, and Prefect ends it when it cannot renew it, after 225 s.
"""

from contextlib import suppress
from uuid import UUID

import httpx
from prefect import flow, get_client, get_run_logger
from prefect.client.schemas.objects import State
from prefect.exceptions import FlowPauseTimeout, NotPausedError
from prefect.flow_runs import pause_flow_run, resume_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed
from pydantic import ValidationError

from retrue import approval_watch
from retrue.approval_answers import Answer
from retrue.config import Problem
from retrue.ledger import Approval
from retrue.refs import ModelRef
from tasks import approvals
from tasks.pages import page_of

# Prefect's own deadline would fail the run; ours, in the ledger, comes first and rejects.
MARGIN_S = 3600


class ApprovalForm(RunInput, Answer):
    """The form in the Prefect UI."""


def _name() -> str:
    model = flow_run.parameters["model"]
    return f"approval {model.problem} version {model.version}"


@flow(
    name="approval",
    flow_run_name=_name,
    validate_parameters=False,
    persist_result=True,
    result_serializer="json",
)
def approval(problem: Problem, model: ModelRef, why: tuple[str, ...]) -> State[str]:
    """Ask a person whether a version may serve, and wait; silence until the deadline says no."""
    run_id = flow_run.id
    dead = approvals.dead_run(model)
    asked = approvals.ask(problem, model, why, str(run_id))
    left = _left_behind(UUID(dead), run_id) if dead else None
    if left is not None:
        asked = approvals.decide(asked, left)
    if not asked.decision:
        approvals.announce(asked)
    with approval_watch.watching(asked, lambda answer: _resume(UUID(run_id), answer)):
        while not asked.decision:
            answer = _paused(asked)
            if answer is not None:
                asked = approvals.decide(asked, answer)
    said = f"{asked.status} by {asked.decided_by}: {asked.reason}"
    return Completed(name=asked.status.capitalize(), message=said, data=asked.status)


def _paused(asked: Approval) -> Answer | None:
    """The form's answer; None for one that does not count, which is asked for again."""
    left_s = approval_watch.time_left_s(asked)
    shown = page_of("approval", asked.problem)
    form = ApprovalForm.with_initial_data(
        description=f"Shall version {asked.model_version} of {asked.problem} serve? You are asked"
        f" because: {'; '.join(asked.why)}. [What is known of it]({shown})"
    )
    try:
        return pause_flow_run(
            wait_for_input=form,
            timeout=int(max(left_s, 0)) + MARGIN_S,
            poll_interval=int(approval_watch.LOOK_EVERY_S),
        )
    except ValidationError as error:
        why = "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors())
        get_run_logger().warning("This answer does not count (%s); asking again", why)
        return None
    except FlowPauseTimeout:
        return approval_watch.silence(asked)


def _left_behind(dead: UUID, run_id: str) -> Answer | None:
    """The answer that a person gave to a run whose process had died; its page asks no more."""
    with get_client(sync_client=True) as client:
        gone: State[None] = Cancelled(message=f"its process died; run {run_id} asks instead")
        client.set_flow_run_state(dead, gone, force=True)
        given = client.filter_flow_run_input(
            dead, key_prefix="paused-", limit=100, exclude_keys=set()
        )
    for one in given:
        if one.key.endswith("-response"):
            with suppress(ValidationError):
                return ApprovalForm.load_from_flow_run_input(one)
    return None


def _resume(run_id: UUID, answer: Answer) -> None:
    """Let the paused run go on; where it does not pause yet, or no more, nothing is to be done."""
    with suppress(NotPausedError, FlowPauseTimeout, RuntimeError, httpx.HTTPError):
        resume_flow_run(run_id, run_input=answer.model_dump())
