"""The retraining flow: claimed once in the ledger, trained, judged, deployed when better."""

from datetime import date

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.deployment import deploy_retrained
from flows.parameters import EventJson, Key, ProblemName, Reason, RetrainUntil, Search, run_name
from flows.training import Trained, fit_and_judge, prepare
from retrue import retraining
from retrue.approval_answers import Rejected
from retrue.config import Problem
from retrue.errors import RequestError
from retrue.ledger import Claim
from retrue.loop_decisions import why_not
from retrue.problems import load_problem
from tasks import alerts, data, monitoring

NOT_DONE = {"waits": "Waits", "exhausted": "WaitsForPerson"}
"""Names of the states of a run that found nothing to claim; others are Skipped."""


# Kept, since the server may answer with its own copy of the last state, which has no data.
@flow(name="retrain", flow_run_name=run_name, persist_result=True, result_serializer="json")
def retrain(
    problem: ProblemName = "flights",
    until: RetrainUntil = None,
    trigger_key: Key = "",
    reason: Reason = "asked for by hand",
    search: Search = False,
    event: EventJson = "",
) -> Trained | State[dict[str, str]]:
    """Train on the newest data and deploy the result if it beats the champion.

    Drift events start it, the Prefect UI and `retrue retrain` too. One retraining of a problem runs
    at a time, and one for each trigger key ever. Empty `until`: all the data there is. The recipe
    is the champion's; `retraining.search` says when another is looked for. A person who is asked
    may reject a version that the gate let pass; the champion then goes on.

    An event must be true: what it says beside `decision` is read in the ledger, and another
    system's is signed. A failed or refused retraining is not tried again before its time.
    """
    config = load_problem(problem)
    if event:
        try:
            told = monitoring.asked(event, problem)
        except RequestError as error:
            return Failed(name="Refused", message=str(error))
        until, trigger_key, reason = told.until, told.trigger_key, told.reason
    claim = monitoring.claim_retraining(
        config, trigger_key or f"run:{flow_run.id}", is_by_event=bool(event)
    )
    if claim.outcome != "claimed":
        why = why_not(claim)
        name = NOT_DONE.get(claim.outcome, "Skipped")
        return Completed(name=name, message=why, data={"outcome": name.lower(), "reason": why})
    try:
        with monitoring.beating(claim):
            trained = _train(config, until or data.day_after_newest(config), search)
            if trained.verdict.promoted:
                trained = _deploy(trained, reason, claim)
    except BaseException as error:
        why = str(error) or type(error).__name__
        monitoring.finish_retraining(claim, "failed", {"asked": reason, "reason": why})
        alerts.send(config)
        raise
    monitoring.finish_retraining(claim, trained.outcome, {"asked": reason, **trained.facts()})
    alerts.send(config)
    if trained.rejected:
        return Completed(name="Rejected", message=trained.rejected.message, data=trained)
    return Completed(message=f"{trained.outcome}: {trained.verdict.reason}", data=trained)


def _train(config: Problem, until: date, search: bool) -> Trained:
    """The champion's recipe on newer rows; where that is not enough and may be, a search's."""
    version = prepare(config, until)
    if search or config.retraining.search == "always":
        return fit_and_judge(config, version, search=True)
    first = fit_and_judge(retraining.with_champions_recipe(config), version, search=False)
    if not retraining.is_worth_a_search(config, first.verdict):
        return first
    second = fit_and_judge(
        retraining.with_a_short_search(config),
        version,
        search=True,
        confidence=retraining.second_confidence(config),
    )
    if second.verdict.promoted:
        return second
    tried = f"version {second.model.version}, of a search, no more: {second.verdict.reason}"
    return first.model_copy(update={"searched": tried})


def _deploy(trained: Trained, reason: str, claim: Claim) -> Trained:
    """Bring it in, unless a person says no."""
    served = deploy_retrained(trained.model.problem, trained.model.version, reason, claim)
    if isinstance(served, Rejected):
        return trained.model_copy(update={"rejected": served})
    return trained
