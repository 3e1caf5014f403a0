"""The drift-check flow: collect, compare, judge the performance, decide, announce."""

from prefect import flow
from prefect.runtime import flow_run
from pydantic import BaseModel

from flows.parameters import ProblemName, Since, WindowEnd, run_name
from retrue.drift import DriftReport
from retrue.monitoring import weigh
from retrue.performance.report import Performance
from retrue.problems import load_problem
from tasks import alarms, alerts, drift_pages, monitoring, service
from tasks import triage as triage_tasks


class Checked(BaseModel):
    """One drift check and the key of the retraining it asks for, if it does."""

    decision: str
    verdict: str
    model_version: int
    report: DriftReport
    performance: Performance


@flow(name="drift-check", flow_run_name=run_name)
def drift_check(
    problem: ProblemName = "flights", since: Since = None, until: WindowEnd = None
) -> Checked:
    """Compare what was served with a reference, decide on an alarm, write it to the ledger.

    Labels that show the model to do worse are drift as well. Each drift decision whose retraining
    is not finished is announced by an event, again at every check: an event may be lost or doubled,
    the ledger sees to it that it is acted on once. Rows that are broken, and not changed, are set
    aside, and no retraining is asked for. Empty days: the last that were served.
    """
    config = load_problem(problem)
    tell = drift_pages.progress(problem)
    monitoring.collect(problem)
    tell(5, "what was served is collected")
    model = service.serving_model(problem)
    start, end = monitoring.window(config, since, until)
    triage = triage_tasks.served(config, model, start, end)
    tell(30, "its rows are triaged")
    report = weigh(config, monitoring.compare(config, model, start, end), triage)
    tell(60, "they are held against the reference")
    performance = monitoring.perform(config, model, start, end, str(flow_run.id))
    tell(90, "the performance is judged")
    report = alarms.weigh(config, model, end, report)
    check = monitoring.decide(problem, model.version, start, end, report, str(flow_run.id))
    monitoring.announce(config)
    parts = {"performance": performance, "triage": triage}
    drift_pages.show(check, {name: part.model_dump(mode="json") for name, part in parts.items()})
    alerts.send(config)
    monitoring.retain(config)
    tell(100, f"{check.verdict}, {check.window_start[:10]} until {check.window_end[:10]}")
    return Checked(
        decision=check.trigger_key,
        verdict=check.verdict,
        model_version=model.version,
        report=DriftReport.model_validate_json(check.report_json),
        performance=performance,
    )
