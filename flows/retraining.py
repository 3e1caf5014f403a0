"""The retraining flow: claimed once in the ledger, trained, judged, deployed when better."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.deployment import deploy
from flows.parameters import Key, ProblemName, Reason, RetrainUntil, Search, run_name
from flows.training import Trained, train
from retrue.approval_answers import Rejected
from retrue.monitoring import why_not
from retrue.problems import load_problem
from tasks import data, monitoring


# Kept, since the server may answer with its own copy of the last state, which has no data.
@flow(name="retrain", flow_run_name=run_name, persist_result=True, result_serializer="json")
def retrain(
    problem: ProblemName = "flights",
    until: RetrainUntil = None,
    trigger_key: Key = "",
    reason: Reason = "asked for by hand",
    search: Search = False,
) -> Trained | State[dict[str, str]]:
    """Train on the newest data and deploy the result if it beats the champion.

    Drift events start it, the Prefect UI and `retrue retrain` too. One retraining of a problem runs
    at a time, and one for each trigger key ever. Empty `until`: all the data there is. A person who
    is asked may reject a version that the gate let pass; the champion then goes on.
    """
    config = load_problem(problem)
    claim = monitoring.claim_retraining(problem, trigger_key or f"run:{flow_run.id}")
    if claim.outcome != "claimed":
        why = why_not(claim)
        return Completed(name="Skipped", message=why, data={"outcome": "skipped", "reason": why})
    try:
        with monitoring.beating(claim):
            trained = train(problem, until or data.day_after_newest(config), search)
            if trained.verdict.promoted:
                served = deploy(problem, trained.model.version, reason)
                if isinstance(served, Rejected):
                    trained = trained.model_copy(update={"rejected": served})
    except BaseException as error:
        why = str(error) or type(error).__name__
        monitoring.finish_retraining(claim, "failed", {"asked": reason, "reason": why})
        raise
    monitoring.finish_retraining(claim, trained.outcome, {"asked": reason, **trained.facts()})
    if trained.rejected:
        return Completed(name="Rejected", message=trained.rejected.message, data=trained)
    return Completed(message=f"{trained.outcome}: {trained.verdict.reason}", data=trained)
