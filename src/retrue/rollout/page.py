"""The page of a deployment: what serves now, and what each stage saw of the new version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retrue.pages import number, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrue.refs import ModelRef, ServingRef
    from retrue.rollout.figures import Stage

HEADER = (
    "stage",
    "rows",
    "failed",
    "no number",
    "same",
    "fastest",
    "latency",
    "moved",
    "changed",
    "memory",
)
_NOTES = (
    "Beside each figure of the new version stands the champion's. *same*: share of distinct rows"
    " with one and the same score. *fastest*: ms, of the fastest tenth of the requests. *latency*:"
    " ms, the 99th percentile in the shadow, the mean afterwards. *moved*: distance of the scores"
    " from its own sample's, and from the champion's. *changed*: share of rows that get another"
    " decision. *memory*: growth in MB."
)


def serving(server: ServingRef, reason: str, stages: Sequence[Stage]) -> str:
    """What serves now, and why."""
    facts = (
        server.target,
        server.slot,
        server.bundle_sha256[:16],
        (server.image_digest or "none")[:19],
    )
    return "\n\n".join(
        [
            f"# {server.problem} version {server.model_version} serves",
            reason,
            table(("target", "slot", "bundle", "image"), [facts]),
            *_comparison(stages),
        ]
    )


def refused(model: ModelRef, stages: Sequence[Stage], error: str) -> str:
    """What was taken out again, and why."""
    return "\n\n".join(
        [
            f"# {model.problem} version {model.version} does not serve",
            "It was taken out before it took over for good; what served before serves on.",
            error,
            *_comparison(stages),
        ]
    )


def stage_rows(stages: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """One row a stage, cells as in `HEADER`, of `Stage.figures`."""
    return [
        (
            one["stage"],
            one["rows"],
            f"{one['failed']} of {one['requests']}",
            number(one["nan_share"], ".1%"),
            _both(one["constant_share"], one["champion_constant_share"], ".0%"),
            _both(one["fastest_ms"], one["champion_fastest_ms"], ".1f"),
            _both(one["latency_ms"], one["champion_latency_ms"], ".1f"),
            _both(one["shift_from_own_sample"], one["shift_from_champion"], ".2f"),
            number(one["changed_decisions"], ".1%"),
            number(one["memory_growth_mb"], "+.0f"),
        )
        for one in stages
    ]


def _comparison(stages: Sequence[Stage]) -> list[str]:
    if not stages:
        return []
    return [table(HEADER, stage_rows([one.figures() for one in stages])), _NOTES]


def _both(mine: float | None, others: float | None, form: str) -> str:
    return f"{number(mine, form)} / {number(others, form)}"
