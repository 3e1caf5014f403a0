"""The approval flow: pause until a person has answered the form, the command line, or nobody did.

A flow of its own, since the pause must be in a run without a deployment: a deployment's run that
pauses gives its concurrency slot back, and Prefect ends it when it cannot renew it, after 225 s.
It pauses by the client and not by `pause_flow_run`, which looks at nothing but its own run's state:
the ledger may be answered elsewhere, the server may be away for a while, a run may be cancelled.
"""

import time
from contextlib import suppress
from itertools import count
from uuid import UUID

import httpx
from prefect import flow, get_client, get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.exceptions import PrefectException
from prefect.flow_runs import resume_flow_run
from prefect.input import RunInput
from prefect.input.run_input import keyset_from_paused_state
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Paused
from pydantic import ValidationError

from retrue.approval_answers import Answer
from retrue.approvals import as_answer, look, time_left_s
from retrue.config import Problem
from retrue.errors import DeployError, LedgerError
from retrue.ledger import Approval
from retrue.refs import ModelRef
from tasks import alerts, approvals
from tasks.pages import page_of

LOOK_EVERY_S = 2.0
"""How long an answer may go unnoticed; a look costs the server and the ledger milliseconds."""

MARGIN_S = 3600
"""Prefect's own deadline would fail the run; ours, in the ledger, comes first and rejects."""


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
    run_id = UUID(flow_run.id)
    dead = approvals.dead_run(model)
    asked = approvals.ask(problem, model, why, str(run_id))
    left = _left_behind(UUID(dead), run_id) if dead else None
    if left is not None:
        asked = approvals.decide(asked, left)
    if not asked.decision:
        approvals.announce(asked)
        alerts.send(problem)
    questions = count(1)
    while not asked.decision:
        _pause(run_id, asked, key=f"question-{next(questions)}")
        asked = _wait(run_id, asked)
    said = f"{asked.status} by {asked.decided_by}: {asked.reason}"
    return Completed(name=asked.status.capitalize(), message=said, data=asked.status)


def _pause(run_id: UUID, asked: Approval, key: str) -> None:
    """Show the form."""
    left_s = int(max(time_left_s(asked), 0)) + MARGIN_S
    state: State[None] = Paused(timeout_seconds=left_s, pause_key=key)
    keys = keyset_from_paused_state(state)
    state.state_details.run_input_keyset = {str(name): key for name, key in keys.items()}
    shown = page_of("approval", asked.problem)
    form = ApprovalForm.with_initial_data(
        description=f"Shall version {asked.model_version} of {asked.problem} serve? You are asked"
        f" because: {'; '.join(asked.why)}. [What is known of it]({shown})"
    )
    # A server that is away is seen while waiting: the run is not paused then, and asks again.
    with suppress(httpx.HTTPError), get_client(sync_client=True) as client:
        form.save(keys, run_id)
        client.set_flow_run_state(run_id, state)


def _wait(run_id: UUID, asked: Approval) -> Approval:
    """Wait for a decision, or for an answer that does not count: then it is asked again.

    Raises
    ------
    DeployError
        Somebody cancelled the run that waits; the question stays open.
    """
    while True:
        time.sleep(LOOK_EVERY_S)
        # A server or a ledger that is away or busy now may answer next time.
        with suppress(httpx.HTTPError, LedgerError), get_client(sync_client=True) as client:
            found = look(asked)
            state = client.read_flow_run(run_id).state
            if state is not None and state.is_paused():
                if found.decision:
                    with suppress(
                        RuntimeError, PrefectException
                    ):  # somebody was quicker, by the form
                        resume_flow_run(run_id, run_input=as_answer(found).model_dump())
                continue
            if state is None or not state.is_running():
                if found.decision:
                    return found
                raise DeployError(
                    f"an answer about version {asked.model_version}",
                    f"the run that waits is {state.name if state else 'gone'}",
                    asked.problem,
                    "deploy it again to be asked again",
                )
            answer = _given(client, run_id)
            if answer is not None:
                return approvals.decide(asked, answer)
            get_run_logger().warning("No answer that counts was given; asking again")
            return found


def _left_behind(dead: UUID, run_id: UUID) -> Answer | None:
    """The answer that a person gave to a run whose process had died; its page asks no more."""
    with get_client(sync_client=True) as client:
        gone: State[None] = Cancelled(message=f"its process died; run {run_id} asks instead")
        client.set_flow_run_state(dead, gone, force=True)
        return _given(client, dead)


def _given(client: SyncPrefectClient, run_id: UUID) -> Answer | None:
    """The first answer given to a run that counts."""
    kept = client.filter_flow_run_input(run_id, "paused-", limit=200, exclude_keys=set())
    for one in sorted(kept, key=lambda one: str(one.created)):
        if one.key.endswith("-response"):
            with suppress(ValidationError):
                return ApprovalForm.load_from_flow_run_input(one)
    return None
