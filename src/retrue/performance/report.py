"""What a check of the performance answers, as frozen models."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from retrue.verdicts import Interval

Answer = Literal["ok", "worse", "cannot tell"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimated(_Frozen):
    """What is expected of a window's rows by their scores alone."""

    metrics: dict[str, Interval] = {}
    """By their names in `retrue.metric_table`; none when nothing can be estimated."""
    n_rows: int
    n_days: int
    reason: str = ""
    """Why nothing is estimated; empty when something is."""


class Realised(_Frozen):
    """What the labels that have come say of a window's rows."""

    metrics: dict[str, Interval] = {}
    expected: Interval | None = None
    """Log loss that was to be expected of the same, labelled rows."""
    gap: Interval | None = None
    """Realised minus expected log loss (nats a row), row by row, with its interval by days."""
    n_labelled: int
    share_labelled: float = Field(ge=0, le=1)
    n_days: int
    """Days with a labelled row."""
    reason: str = ""
    """Why nothing is judged; empty when something is."""


class Term(_Frozen):
    """One way in which the model's errors may have changed."""

    name: str
    """`all rows`, `score`, a numeric feature, or `feature = category`."""
    z: float
    """Change of the mean error along it, in its standard errors."""


class Concept(_Frozen):
    """Whether labels depend on the features otherwise than they did on the model's hold-out."""

    verdict: Literal["changed", "unchanged", "cannot tell"]
    p_value: float | None = None
    terms: tuple[Term, ...] = ()
    """The three that moved most."""
    n_days: int = 0
    n_reference_days: int = 0
    reason: str


class Trust(_Frozen):
    """Whether the estimate may speak for a window that has no labels."""

    state: Literal["trusted", "withdrawn", "untested"]
    n_scored: int
    """Windows, none overlapping another, whose estimate the labels judged."""
    reason: str


class Performance(_Frozen):
    """The answer on one window and one model version."""

    verdict: Answer
    basis: Literal["realised", "estimated"] | None
    """What the verdict rests on."""
    metric: str
    """The gate's."""
    baseline: float | None
    """The same metric on the model's own hold-out."""
    asks: Literal["retraining", "human"] | None
    estimated: Estimated
    realised: Realised
    is_right: bool | None
    """Whether the labels bear the estimate out; None when they cannot tell."""
    concept: Concept
    trust: Trust
    reason: str
