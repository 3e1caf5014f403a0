"""Flow parameters as the Prefect UI shows them in its forms."""

from datetime import date
from typing import Annotated, Any

from pydantic import Field


def _form(title: str, description: str, ge: int | None = None) -> Any:
    """What a form says about a field.

    Prefect replaces a field's own title and description by the parameter's name and nothing; what
    stands in the extra part of the schema it keeps.
    """
    return Field(ge=ge, json_schema_extra={"title": title, "description": description})


ProblemName = Annotated[
    str,
    _form("Problem", "Name of a file in configs/, without .yaml"),
]
Since = Annotated[
    date | None,
    _form("Since", "First day of the window (UTC). Empty: see the flow"),
]
Until = Annotated[
    date | None,
    _form("Until", "Use only what was known before this day (UTC). Empty: see the flow"),
]
Version = Annotated[
    int | None,
    _form("Model version", "Version in the MLflow registry. Empty: see the flow", ge=1),
]
Key = Annotated[
    str,
    _form(
        "Trigger key",
        "Work with the same key is done once, however often asked for. Empty: this run",
    ),
]
Reason = Annotated[
    str,
    _form("Reason", "Why, in your own words; kept in the ledger"),
]
