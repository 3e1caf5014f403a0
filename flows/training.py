"""The training flow: ingest, validate, link, fit, evaluate, register."""

from typing import Any, Literal

from prefect import flow
from prefect.runtime import flow_run
from pydantic import BaseModel

from flows.parameters import ProblemName, Search, TrainUntil, run_name
from flows.searching import search as search_recipe
from retrue.approval_answers import Rejected
from retrue.experiment import import_ahead
from retrue.gate import Verdict
from retrue.problems import load_problem
from retrue.refs import DataRef, ModelRef
from tasks import data as data_tasks
from tasks import models as model_tasks
from tasks import monitoring as monitoring_tasks


class Trained(BaseModel):
    """What a training leaves behind."""

    data: DataRef
    model: ModelRef
    verdict: Verdict
    rejected: Rejected | None = None
    """By a person, after the gate had let it pass."""

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
    within the configuration's `search`; without it the configured one is used.
    """
    config = load_problem(problem)
    if config.listens:
        monitoring_tasks.collect(problem)
    sources = data_tasks.ingest(config)
    import_ahead()
    data = data_tasks.validate_and_link(config, sources, until or config.training.until)
    if search:
        config = search_recipe(config, data)
    bundle = model_tasks.fit(config, data, model_tasks.find_provenance())
    verdict = model_tasks.evaluate(config, data, bundle)
    model = model_tasks.register(config, data, bundle, verdict, str(flow_run.id))
    model_tasks.write_card(config, model)
    return Trained(data=data, model=model, verdict=verdict)
