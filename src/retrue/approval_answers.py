"""What counts as a person's answer, and how a rejection is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from retrue.errors import DeployError


def _readable(text: str) -> str:
    unreadable = [c for c in text if not c.isprintable() and c not in "\n\t"]
    if unreadable:
        raise ValueError(f"it holds {unreadable[0]!a}, which no page shows")
    return text


def _word(text: object) -> object:
    return text.strip().lower() if isinstance(text, str) else text


# To be written, not chosen: a list in Prefect's dialog closes at once when a mouse opens it, since
# the dialog takes the focus back from the list's search field.
Decision = Annotated[
    Literal["approve", "reject"],
    BeforeValidator(_word),
    WithJsonSchema({"type": "string", "pattern": r"^\s*([Aa]pprove|[Rr]eject)\s*$"}),
]

# The pattern is for the form: the server that checks it knows nothing of stripped blanks.
Words = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, pattern=r"\S"),
    AfterValidator(_readable),
]


class Answer(BaseModel):
    """A person's answer, as the form in the Prefect UI and the command line take it."""

    model_config = ConfigDict(extra="forbid")

    decision: Decision = Field(
        title="Decision",
        description="Write `approve`, and the version is built and brought into service, or"
        " `reject`, and what serves now goes on",
    )
    reason: Words = Field(
        title="Reason", max_length=2000, description="Why; kept in the ledger and the registry"
    )
    name: Words = Field(title="Name", max_length=200, description="Who decides")


class Rejected(BaseModel):
    """The end of a deployment that a person, or their silence, did not let through."""

    problem: str
    model_version: int
    rejected_by: str
    rejected_at: str
    reason: str

    @property
    def message(self) -> str:
        """One line for people."""
        return f"version {self.model_version} was rejected by {self.rejected_by}: {self.reason}"

    def error(self) -> DeployError:
        """The same as a refusal, for whoever asked for the deployment by hand."""
        return DeployError(
            f"an approval of version {self.model_version}",
            f"a rejection by {self.rejected_by}: {self.reason}",
            self.problem,
            "what served before still serves; name another version",
        )
