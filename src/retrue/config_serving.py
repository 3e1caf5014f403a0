"""How a champion is served and taken over from, and how long what it served is kept."""

from typing import Literal

from pydantic import Field

from retrue.config_section import Section


class Rollout(Section):
    """How a version takes over from the one that serves, and what stops it on the way.

    A bound holds in every stage that can see it; a breach takes the version out again.
    """

    shadow_s: float = Field(default=1, ge=0, le=86_400)
    """How long served rows are answered for nobody; never less than one pass over the rows."""
    shadow_rows: int = Field(default=300, ge=50, le=10_000)
    """Rows of a pass, from the newest that were served and from the bundle's own sample."""
    canary_share: float = Field(default=0.1, gt=0, lt=1)
    """Share of the requests that the new version answers for a trial."""
    canary_s: float = Field(default=1.5, ge=0, le=604_800)
    canary_requests: int = Field(default=10_000, ge=1)
    """Once the new version has answered so many, the trial ends before its time."""
    watch_s: float = Field(default=1.5, ge=0, le=604_800)
    """After the switch, while the old version is kept ready to take over again."""
    answer_timeout_s: float = Field(default=10, gt=0, le=60)
    """Of one answer to the golden requests and in the shadow."""
    max_error_share: float = Field(default=0, ge=0, lt=1)
    """Of requests that got no answer or a 5xx, and more of them than of the champion's."""
    max_nan_share: float = Field(default=0, ge=0, lt=1)
    """Of rows whose score is no number."""
    max_constant_share: float = Field(default=0.9, gt=0, le=1)
    """Of distinct rows with one and the same score, where the champion tells them apart."""
    max_latency_ratio: float = Field(default=5, gt=1)
    """Over the champion: of the 99th percentile in the shadow, of the mean afterwards."""
    max_score_shift: float = Field(default=0.5, gt=0, le=1)
    """Kolmogorov-Smirnov distance of the scores, both from those of the bundle's own sample and
    from the champion's; it is the smaller one that must not be above it."""
    max_memory_growth_mb: float = Field(default=32, gt=0)
    """Of the server, in one stage."""


class Serving(Section):
    """How the champion is served."""

    port: int = Field(default=8080, ge=1024, le=65_535)
    target: Literal["auto", "container", "process"] = "auto"
    base_image: str = "python:3.11-slim-bookworm"
    memory_mb: int = Field(default=512, ge=64, le=65_536)
    ready_timeout_s: float = Field(default=30, gt=0, le=600)
    on_log_failure: Literal["refuse", "answer"] = "refuse"
    """Of a request whose record cannot be made durable: 503, or an answer without a record."""
    rollout: Rollout = Rollout()


class Retention(Section):
    """How long served rows are kept, once collected; for ever where nothing is given.

    Rows that a drift check has yet to decide on, or a retraining to answer, are kept in any case.
    """

    log_days: float | None = Field(default=None, ge=0, le=36_600)
    """Of a log that no server writes any more; its rows are in the lake by then."""
    row_days: float | None = Field(default=None, gt=0, le=36_600)
    """Of a served row in the lake, after it was answered."""
    max_mb: float | None = Field(default=None, gt=0)
    """Of logs and served rows together; beyond it the oldest are deleted first."""
