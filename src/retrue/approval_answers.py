"""What counts as a person's answer, and how a rejection is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from retrue.errors import DeployError


def _readable(text: str) -> str:
    unreadable = [c for c in text if not c.isprintable() and c not in "\n\t"]
    if unreadable:
        raise ValueError(f"it holds {unreadable[0]!a}, which no page shows")
    return text


# The pattern is for the form: the server that checks it knows nothing of stripped blanks.
Words = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, pattern=r"\S"),
    AfterValidator(_readable),
]


class Answer(BaseModel):
    """A person's answer, as the form in the Prefect UI and the command line take it."""

    model_config = ConfigDict(extra="forbid")

    decision: Literal["approve", "reject"] = Field(
        title="Decision", description="Approved, the version is built and brought into service"
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
