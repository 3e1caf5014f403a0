"""What an alarm is: the answer to one check, and why."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Answer = Literal["drift", "no drift", "cannot tell"]
HeldBack = Literal["too few windows", "cool-down"] | None


class Alarm(BaseModel):
    """The decision on one check, made from its own vote and those before it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Answer
    """What the ledger gets: "drift" asks for a retraining."""
    vote: Answer
    """What this window says by itself; later checks count it."""
    exceeded: tuple[str, ...] = ()
    """Features whose effect is above their thresholds, largest excess first."""
    held_back: HeldBack = None
    """Why a vote for drift is no alarm."""
    needs_operator: bool = False
    """A person must look: nothing was found out."""
    reason: str
    warnings: tuple[str, ...] = ()
    """What makes the thresholds weaker than asked for, such as a short reference."""
