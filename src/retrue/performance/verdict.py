"""From the figures of a window to its verdict: ok, worse, or cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from retrue.metric_table import TABLE
from retrue.performance.report import Performance

if TYPE_CHECKING:
    from retrue.config import Problem
    from retrue.performance.report import Answer, Concept, Estimated, Realised, Trust
    from retrue.verdicts import Interval

Basis = Literal["realised", "estimated"]


def conclude(
    problem: Problem,
    estimated: Estimated,
    realised: Realised,
    concept: Concept,
    trust: Trust,
    baseline: float | None,
    is_right: bool | None,
) -> Performance:
    """Hold the gate's metric against the same metric on the model's hold-out.

    Labels decide where they can tell, else the estimate, unless its trust was withdrawn.

    Returns
    -------
    Performance
        "worse" when the whole interval is worse than the hold-out by more than the share
        `drift.performance_drop`: with labels that asks for a retraining, without them for a human,
        since there is nothing to retrain on. A withdrawn trust asks for a human too: somebody has
        to get labels.
    """
    metric = problem.gate.metric
    basis, interval, why = _basis(metric, estimated, realised, trust)
    verdict: Answer = "cannot tell"
    if interval is not None and baseline is None:
        why = f"{metric} on the model's hold-out is not known: nothing to compare with"
    elif interval is not None and baseline is not None:
        drop = problem.drift.performance_drop
        verdict = "worse" if _is_worse(metric, interval, baseline, drop) else "ok"
        said = "worse" if verdict == "worse" else "not shown to be worse"
        why = (
            f"{metric} {basis} {interval.value:.4f} [{interval.lower:.4f}, {interval.upper:.4f}],"
            f" {baseline:.4f} on the hold-out: {said} by more than {drop:.0%}"
        )
    return Performance(
        verdict=verdict,
        basis=None if verdict == "cannot tell" else basis,
        metric=metric,
        baseline=baseline,
        asks=_asks(verdict, basis, estimated, trust),
        estimated=estimated,
        realised=realised,
        is_right=is_right,
        concept=concept,
        trust=trust,
        reason=why,
    )


def _basis(
    metric: str, estimated: Estimated, realised: Realised, trust: Trust
) -> tuple[Basis | None, Interval | None, str]:
    if metric in realised.metrics:
        return "realised", realised.metrics[metric], ""
    no_labels = realised.reason or f"{metric} is not defined on the labelled rows"
    if metric not in estimated.metrics:
        nothing = estimated.reason or f"{metric} is not defined on the scores"
        return None, None, nothing if nothing == no_labels else f"{no_labels}; {nothing}"
    if trust.state == "withdrawn":
        return None, None, f"{no_labels}; the estimate is not trusted: {trust.reason}"
    return "estimated", estimated.metrics[metric], ""


def _is_worse(metric: str, interval: Interval, baseline: float, drop: float) -> bool:
    margin = drop * baseline  # no metric of the gate is negative
    if TABLE[metric].better == "lower":
        return interval.lower > baseline + margin
    return interval.upper < baseline - margin


def _asks(
    verdict: Answer, basis: Basis | None, estimated: Estimated, trust: Trust
) -> Literal["retraining", "human"] | None:
    if verdict == "worse":
        return "retraining" if basis == "realised" else "human"
    waits = verdict == "cannot tell" and trust.state == "withdrawn" and bool(estimated.metrics)
    return "human" if waits else None
