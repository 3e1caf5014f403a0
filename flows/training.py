"""The training flow: ingest, validate, link, fit, evaluate, register."""

from datetime import date
from typing import Any, Literal

from prefect import flow
from prefect.runtime import flow_run
from pydantic import BaseModel

from flows.parameters import ProblemName, Search, TrainUntil, run_name
from flows.searching import search as search_recipe
from retrue.approval_answers import Rejected
from retrue.config import Problem
from retrue.experiment import import_ahead
from retrue.gate import Verdict
from retrue.problems import load_problem
from retrue.refs import DataRef, ModelRef
from retrue.retraining import with_confidence
from tasks import data as data_tasks
from tasks import models as model_tasks
from tasks import monitoring as monitoring_tasks
from tasks import triage as triage_tasks


class Trained(BaseModel):
    """What a training leaves behind."""

    data: DataRef
    model: ModelRef
    verdict: Verdict
    rejected: Rejected | None = None
    """By a person, after the gate had let it pass."""
    searched: str | None = None
    """What a search for another recipe came to, where this is not what it found."""

    @property
    def outcome(self) -> Literal["promoted", "refused", "rejected"]:
        """The gate's answer, or a person's after it."""
        if self.rejected:
            return "rejected"
        return "promoted" if self.verdict.promoted else "refused"

    def facts(self) -> dict[str, Any]:
        """The outcome in short, for the ledger."""
        return {
            "model_version": self.model.version,
            "data_version": self.data.version,
            "data_sha256": self.data.sha256,
            **self.verdict.model_dump(include={"metric", "gain", "lower", "upper", "reason"}),
            **({"searched": self.searched} if self.searched else {}),
            **(self.rejected.model_dump(exclude={"problem"}) if self.rejected else {}),
        }


@flow(name="train", flow_run_name=run_name)
def train(
    problem: ProblemName = "flights", until: TrainUntil = None, search: Search = False
) -> Trained:
    """Make a data version, fit, judge against the champion and register the model version.

    Serving is untouched: `deploy` brings a version into service. The same data, configuration, code
    and lock give the same version again, so a run that was cut off goes on where it stopped. Empty
    `until`: `training.until` of the configuration. With `search` the recipe is looked for first,
    within the configuration's `search`; without it the configured one is used. Rows that the
    champion has not seen and that are broken stop it: their days are set aside, and the next run
    goes without them.
    """
    config = load_problem(problem)
    data = prepare(config, until or config.training.until)
    return fit_and_judge(config, data, search)


def prepare(config: Problem, until: date) -> DataRef:
    """Take in the sources, validate and link them: a data version."""
    if config.listens:
        monitoring_tasks.collect(config.name)
    sources = data_tasks.ingest(config)
    import_ahead()
    data = data_tasks.validate_and_link(config, sources, until)
    triage_tasks.fresh(config, data)
    return data


def fit_and_judge(
    config: Problem, data: DataRef, search: bool, confidence: float | None = None
) -> Trained:
    """Fit, judge and register a version; `confidence` in the place of the gate's own."""
    search_run = None
    if search:
        config, search_run = search_recipe(config, data)
    bundle = model_tasks.fit(config, data, model_tasks.find_provenance())
    judged_by = config if confidence is None else with_confidence(config, confidence)
    verdict = model_tasks.evaluate(judged_by, data, bundle)
    model = model_tasks.register(config, data, bundle, verdict, str(flow_run.id), search_run)
    model_tasks.write_card(config, model)
    return Trained(data=data, model=model, verdict=verdict)
