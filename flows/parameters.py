"""Flow parameters as the Prefect UI shows them in its forms."""

from datetime import date
from typing import Annotated

from pydantic import Field

ProblemName = Annotated[
    str,
    Field(title="Problem", description="Name of a file in configs/, without .yaml"),
]
Since = Annotated[
    date | None,
    Field(title="Since", description="First day of the window (UTC). Empty: see the flow"),
]
Until = Annotated[
    date | None,
    Field(
        title="Until",
        description="Use only what was known before this day (UTC). Empty: see the flow",
    ),
]
Version = Annotated[
    int | None,
    Field(
        title="Model version",
        ge=1,
        description="Version in the MLflow registry. Empty: see the flow",
    ),
]
Key = Annotated[
    str,
    Field(
        title="Trigger key",
        description="Work with the same key is done once, however often asked for. Empty: this run",
    ),
]
Reason = Annotated[
    str, Field(title="Reason", description="Why, in your own words; kept in the ledger")
]
