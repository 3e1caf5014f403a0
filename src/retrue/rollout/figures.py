"""What a stage of a rollout saw of the new version and the champion, and which bounds it breaks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from retrue.data_shift import ks_distance
from retrue.errors import DeployError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.config_serving import Rollout

# With fewer rows a distance of 0.5 or a share of 0.9 may be chance.
MIN_ROWS = 30
# Below it a server's own time is lost in that of the machine: 5 times half a millisecond is slow,
# 5 times a tenth is not.
_LEAST_LATENCY_MS = 0.5
# Of a Fisher test: the new version refuses no more requests than the champion, but by chance.
_REFUSED_BY_CHANCE = 1e-3


@dataclass(frozen=True)
class Seen:
    """What one server gave."""

    n_requests: int = 0
    n_failed: int = 0
    """No answer, or a 5xx."""
    n_refused: int = 0
    """Answers 4xx."""
    fastest_ms: float | None = None
    """Of the fastest tenth of the requests."""
    latency_ms: float | None = None
    """99th percentile in the shadow, the mean afterwards."""
    scores: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """One a distinct row: of several classes the highest; NaN where the answer was no number."""


@dataclass(frozen=True)
class Stage:
    """One stage: what was compared. Where there is no champion, all of it is the new one's."""

    name: str
    rows: str
    """Where the rows came from."""
    new: Seen
    champion: Seen | None
    expected: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """The new version's scores of its bundle's own sample."""
    changed_share: float | None = None
    growth_mb: float | None = None
    fault: str = ""
    """What went wrong beside the figures."""

    def figures(self) -> dict[str, Any]:
        """The figures as JSON; None where there is nothing to judge."""
        new, champion = self.new, self.champion or Seen()
        of_own, of_champion = self.shifts()
        return {
            "stage": self.name,
            "rows": self.rows,
            "requests": new.n_requests,
            "failed": new.n_failed,
            "refused": new.n_refused,
            "champion_requests": champion.n_requests,
            "champion_failed": champion.n_failed,
            "champion_refused": champion.n_refused,
            "nan_share": _round(nan_share(new.scores)),
            "constant_share": _round(constant_share(new.scores)),
            "champion_constant_share": _round(constant_share(champion.scores)),
            "fastest_ms": _round(new.fastest_ms),
            "champion_fastest_ms": _round(champion.fastest_ms),
            "latency_ms": _round(new.latency_ms),
            "champion_latency_ms": _round(champion.latency_ms),
            "shift_from_own_sample": _round(of_own),
            "shift_from_champion": _round(of_champion),
            "changed_decisions": _round(self.changed_share),
            "memory_growth_mb": _round(self.growth_mb),
        }

    def shifts(self) -> tuple[float | None, float | None]:
        """Distances of the scores from the bundle's own sample, and from the champion's."""
        champion = self.champion.scores if self.champion else np.empty(0)
        return _distance(self.new.scores, self.expected), _distance(self.new.scores, champion)


class RolloutError(DeployError):
    """A stage found the new version out of bounds; the champion serves all requests."""


def refuse(stage: Stage, bounds: Rollout, where: str) -> None:
    """Raise RolloutError with every bound that the stage broke, if it broke any."""
    if found := breaches(stage, bounds):
        raise RolloutError(
            f"a {stage.name} within the bounds of serving.rollout",
            "; ".join(found),
            where,
            "what served before serves all requests; mend the model, or widen the bound",
        )


def breaches(stage: Stage, bounds: Rollout) -> list[str]:
    """Which bounds a stage broke, in words; empty when none.

    The champion's own faults are not the new version's: errors, equal answers and moved scores
    count only where the champion does better on the same rows or in the same time.
    """
    found = [stage.fault] if stage.fault else []
    found += _errors(stage, bounds)
    found += _scores(stage, bounds)
    found += _latency(stage, bounds.max_latency_ratio)
    if stage.growth_mb is not None and stage.growth_mb > bounds.max_memory_growth_mb:
        found.append(
            f"memory grew by {stage.growth_mb:.0f} MB in {stage.new.n_requests} requests"
            f" (max_memory_growth_mb {bounds.max_memory_growth_mb:g})"
        )
    return found


def _errors(stage: Stage, bounds: Rollout) -> list[str]:
    new, champion = stage.new, stage.champion or Seen()
    found = []
    if _failed_share(new) > max(bounds.max_error_share, _failed_share(champion)):
        found.append(
            f"{new.n_failed} of {new.n_requests} requests failed"
            f" (max_error_share {bounds.max_error_share:g})"
        )
    if new.n_refused and _refuses_more(new, champion):
        found.append(f"{new.n_refused} of {new.n_requests} requests refused (4xx)")
    return found


def _latency(stage: Stage, ratio: float) -> list[str]:
    new, champion = stage.new, stage.champion or Seen()
    pairs = {
        "latency": (new.latency_ms, champion.latency_ms),
        "latency of the fastest tenth": (new.fastest_ms, champion.fastest_ms),
    }
    return [
        f"{name} {mine:.1f} ms, the champion's {others:.1f} ms (max_latency_ratio {ratio:g})"
        for name, (mine, others) in pairs.items()
        if mine is not None and others is not None and mine > ratio * max(others, _LEAST_LATENCY_MS)
    ]


def _scores(stage: Stage, bounds: Rollout) -> list[str]:
    found = []
    scores = stage.new.scores
    nan, constant = nan_share(scores), constant_share(scores)
    others = constant_share(stage.champion.scores) if stage.champion else None
    if nan is not None and nan > bounds.max_nan_share:
        found.append(f"{nan:.1%} of scores are no number (max_nan_share {bounds.max_nan_share:g})")
    if (constant or 0) > bounds.max_constant_share >= (others or 0):
        found.append(
            f"{constant:.1%} of distinct rows get the same score"
            f" (max_constant_share {bounds.max_constant_share:g})"
        )
    distances = [one for one in stage.shifts() if one is not None]
    if len(distances) == 2 and min(distances) > bounds.max_score_shift:
        found.append(
            f"scores moved by {distances[0]:.2f} from its own sample's and {distances[1]:.2f} from"
            f" the champion's (max_score_shift {bounds.max_score_shift:g})"
        )
    return found


def nan_share(scores: NDArray[np.float64]) -> float | None:
    """Share of the scores that are no finite number; None without any.

    Examples
    --------
    >>> nan_share(np.array([0.5, np.nan, np.inf, 0.25]))
    0.5
    """
    return float(1 - np.isfinite(scores).mean()) if len(scores) else None


def constant_share(scores: NDArray[np.float64]) -> float | None:
    """Share of the most frequent score; None for fewer numbers than MIN_ROWS.

    Examples
    --------
    >>> constant_share(np.array([0.5] * 30 + [0.1] * 10))
    0.75
    """
    numbers = scores[np.isfinite(scores)]
    if len(numbers) < MIN_ROWS:
        return None
    return float(np.unique(numbers, return_counts=True)[1].max() / len(numbers))


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    a, b = a[np.isfinite(a)], b[np.isfinite(b)]
    return ks_distance(np.sort(a), np.sort(b)) if min(len(a), len(b)) >= MIN_ROWS else None


def _refuses_more(new: Seen, champion: Seen) -> bool:
    """Whether more requests were refused than by the champion, beyond chance (Fisher 1922)."""
    if not champion.n_requests:
        return False
    from scipy.stats import fisher_exact

    table = [[one.n_refused, one.n_requests - one.n_refused] for one in (new, champion)]
    return bool(fisher_exact(table, alternative="greater").pvalue < _REFUSED_BY_CHANCE)


def _failed_share(seen: Seen) -> float:
    # A connection that was not made is a failure without a request.
    return seen.n_failed / max(seen.n_requests, seen.n_failed, 1)


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
