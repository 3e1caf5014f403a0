"""The explanation flow: why a model, or one of its predictions, says what it says."""

from prefect import flow

from flows.parameters import NewestVersion, PredictionId, ProblemName, RowJson, run_name
from retrue.interpretation.report import Explained
from retrue.problems import load_problem
from tasks import interpretation, service


@flow(name="explain", flow_run_name=run_name)
def explain(
    problem: ProblemName = "flights",
    version: NewestVersion = None,
    prediction_id: PredictionId = "",
    row: RowJson = "",
) -> Explained:
    """Explain a model version on its hold-out, and one row: a logged prediction, or one given.

    The page goes to the lake and to the MLflow run of the version. Without a version a prediction
    is explained by the one that answered it.
    """
    config = load_problem(problem)
    asked = interpretation.ask(problem, prediction_id, row)
    if version is None and asked is not None:
        version = asked.model_version
    model = service.find_model(problem, version)
    return interpretation.explain(config, model, interpretation.find_rival(model), asked)
