"""What a triage answers: findings, and one verdict."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Verdict = Literal["broken", "changed", "nothing", "cannot tell"]


class Finding(BaseModel):
    """One fault, or a suspicion of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    """Such as `units changed` or `stuck`; see `retrue.triage.faults.REMEDIES`."""
    column: str
    """Columns joined by ` and `; empty where whole rows are at fault."""
    is_certain: bool
    """False: as likely a fault as a real change, so a person must say."""
    evidence: str
    figures: dict[str, float]
    """The numbers of `evidence`; shares from 0 to 1."""
    since: date | None
    """First day at fault (UTC); None where rows have no time."""
    days: tuple[date, ...]
    """All days at fault, each once, in order."""
    share: float = Field(ge=0, le=1)
    """Of the window's rows, on these days."""
    remedy: str


class Triage(BaseModel):
    """Whether a window is broken, changed, neither, or nobody can tell yet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    findings: tuple[Finding, ...]
    changes: tuple[str, ...]
    """What moved that looks real, each in words."""
    reason: str
    n_rows: int

    @property
    def is_trainable(self) -> bool:
        """Whether the window may be learned from without asking anybody."""
        return self.verdict in ("changed", "nothing")

    @property
    def broken_days(self) -> tuple[date, ...]:
        """Days (UTC) to set aside, in order; none where nothing is certain or rows have no time."""
        found = {day for one in self.findings if one.is_certain for day in one.days}
        return tuple(sorted(found))
