"""Flow parameters as the Prefect UI shows them in its forms, and names of runs made from them."""

from datetime import date
from typing import Annotated, Any

from prefect.runtime import flow_run
from pydantic import Field


def _form(title: str, description: str, ge: int | None = None) -> Any:
    """What a form says about a field.

    Prefect puts the parameter's name in place of a field's own title and drops its description;
    what stands in the extra part of the schema it keeps.
    """
    return Field(ge=ge, json_schema_extra={"title": title, "description": description})


ProblemName = Annotated[
    str,
    _form(title="Problem", description="Name of a file in configs/, without .yaml"),
]
Since = Annotated[
    date | None,
    _form(
        title="Since",
        description="First day of the window (UTC). Empty: drift.window_days before its end",
    ),
]
WindowEnd = Annotated[
    date | None,
    _form(
        title="Until",
        description="First day after the window (UTC). Empty: all that was served",
    ),
]
TrainUntil = Annotated[
    date | None,
    _form(
        title="Until",
        description="Use only what was known before this day (UTC). Empty: training.until of the"
        " configuration",
    ),
]
RetrainUntil = Annotated[
    date | None,
    _form(
        title="Until",
        description="Use only what was known before this day (UTC). Empty: all the data there is",
    ),
]
NewestVersion = Annotated[
    int | None,
    _form(
        title="Model version",
        ge=1,
        description="Version in the MLflow registry. Empty: the newest that its gate let pass",
    ),
]
FormerVersion = Annotated[
    int | None,
    _form(
        title="Model version",
        ge=1,
        description="Version in the MLflow registry. Empty: the one that served before",
    ),
]
Search = Annotated[
    bool,
    _form(
        title="Search",
        description="Look for a better recipe first, within the configuration's `search`",
    ),
]
Key = Annotated[
    str,
    _form(
        title="Trigger key",
        description="Work with the same key is done once, however often asked for. Empty: this run",
    ),
]
EventJson = Annotated[
    str,
    _form(
        title="Event",
        description="The event that started the run, as JSON. Empty: asked for by hand",
    ),
]
PredictionId = Annotated[
    str,
    _form(
        title="Prediction",
        description="Id of a logged prediction to explain, as the service answered it. Empty: none",
    ),
]
RowJson = Annotated[
    str,
    _form(
        title="Row",
        description="A row to explain, a JSON object of the features, or a file. Empty: none",
    ),
]
Reason = Annotated[
    str, _form(title="Reason", description="Why, in your own words; kept in the ledger")
]


def run_name() -> str:
    """Name of the present flow run: the flow, the problem, and the days or version it was given."""
    given = flow_run.parameters
    told = [f"{name} {given[name]}" for name in ("version", "since", "until") if given.get(name)]
    return " ".join([flow_run.flow_name or "run", given["problem"], *told])
