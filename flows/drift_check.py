"""The drift-check flow: collect, compare, decide, announce."""

from prefect import flow
from prefect.runtime import flow_run
from pydantic import BaseModel

from flows.parameters import ProblemName, Since, WindowEnd, run_name
from retrue.drift import DriftReport
from retrue.problems import load_problem
from tasks import monitoring, service


class Checked(BaseModel):
    """One drift check and the key of the retraining it asks for, if it does."""

    decision: str
    verdict: str
    model_version: int
    report: DriftReport


@flow(name="drift-check", flow_run_name=run_name)
def drift_check(
    problem: ProblemName = "flights", since: Since = None, until: WindowEnd = None
) -> Checked:
    """Compare what was served with the training reference; write the decision to the ledger.

    Each drift decision whose retraining is not finished is announced by an event, again at every
    check: an event may be lost or doubled, the ledger sees to it that it is acted on once. Empty
    days: the last `drift.window_days` that were served.
    """
    config = load_problem(problem)
    monitoring.collect(problem)
    model = service.serving_model(problem)
    start, end = monitoring.window(config, since, until)
    report = monitoring.compare(config, model, start, end)
    check = monitoring.decide(problem, model.version, start, end, report, str(flow_run.id))
    monitoring.announce(problem)
    return Checked(
        decision=check.trigger_key,
        verdict=check.verdict,
        model_version=model.version,
        report=DriftReport.model_validate_json(check.report_json),
    )
