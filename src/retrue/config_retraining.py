"""The configuration of what follows a drift decision: retraining, waiting, telling."""

from typing import Annotated, Literal

from pydantic import Field

from retrue.config_section import Section

Reference = Annotated[str, Field(pattern=r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$")]


class Retraining(Section):
    """How a retraining goes about it, and how long is waited after one that came to nothing."""

    search: Literal["never", "when_refused", "always"] = "when_refused"
    """When a new recipe is looked for; before that it is the champion's."""
    search_s: float = Field(default=60, gt=0, le=2_592_000)
    """Seconds of such a search, and no more than `search.budget_s`."""
    max_attempts: int = Field(default=3, ge=1, le=100)
    """Of one drift decision; after so many failures it waits for a person."""
    failed_wait_minutes: float = Field(default=15, ge=0, le=1440)
    """After a decision's first failure; doubled with each further one, at most a day."""
    refused_wait_hours: float = Field(default=24, ge=0, le=672)
    """After the first refusal for a model version, of time or of new data; doubled with each
    further one, at most 28 days."""


class Alerts(Section):
    """Who is told, by Apprise or by Prefect's notification blocks."""

    urls: tuple[Reference, ...] = ()
    """Apprise URLs, each in a variable of the environment, as in `${RETRUE_ALERT_URL}`: they
    hold passwords."""
    blocks: tuple[str, ...] = ()
    """Notification blocks of the Prefect server, as in `slack-webhook/operations`."""
    min_level: Literal["info", "warning", "error"] = "info"
    """info: promoted. error: failed, waits for a person, broken data. warning: all else."""
