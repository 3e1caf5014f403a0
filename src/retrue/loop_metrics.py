"""What the loop found, in Prometheus' text format, for a node exporter's textfile collector."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from retrue import check_facts, ledger, loop_status
from retrue.files import write_atomically
from retrue.home import home
from retrue.serving.metrics import sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from retrue.ledger import Ledger, Retraining

_VERDICTS = ("drift", "no drift", "cannot tell")
_OUTCOMES = ("running", "promoted", "refused", "rejected", "failed")
_READABLE = 0o644
"""The collector is another user; figures of drift are no secret on this machine."""

_HELP = {
    "retrue_serving_model_version": "Model version that should serve.",
    "retrue_drift_magnitude_percent": "Magnitude of the last check; absent when it has none.",
    "retrue_drift_magnitude_low_percent": "Lower end of its 95 % interval.",
    "retrue_drift_magnitude_high_percent": "Upper end of its 95 % interval.",
    "retrue_drift_threshold_percent": "Drift is a magnitude above it.",
    "retrue_drift_contribution_percent": "Share of a feature in the magnitude.",
    "retrue_drift_verdict": "1 for the verdict of the last check, 0 for the others.",
    "retrue_drift_decided_timestamp_seconds": "When the last decision was made.",
    "retrue_drift_check_ran_timestamp_seconds": "When a check last ran to its end.",
    "retrue_drift_open_decisions": "Drift decisions whose retraining has no answer yet.",
    "retrue_retraining_outcome": "1 for how the last retraining stands, 0 for the others.",
    "retrue_retraining_timestamp_seconds": "When the last retraining ended, or began.",
    "retrue_retrainings": "Retrainings in the ledger by how they stand.",
}
_Sample = tuple[str, dict[str, str], float]


def write(book: Ledger, problem: str) -> Path:
    """Write `metrics/NAME.prom` in the state folder, in one step, readable by all."""
    path = home() / "metrics" / f"{problem}.prom"
    write_atomically(path, render(book, [problem]), _READABLE)
    return path


def write_or_tell(book: Ledger, problem: str, tell: Callable[[str], None]) -> None:
    """As `write`; what goes wrong is told, not raised: the loop does not rest on metrics."""
    try:
        write(book, problem)
    except (OSError, ValueError) as error:
        tell(f"metrics of {problem} were not written: {error}")


def render(book: Ledger, problems: Sequence[str]) -> str:
    """Text of all series, those of one name together, as the format asks.

    Moments are given, not ages: a file is read long after it was written. A figure that is not
    known has no series; it is never 0.
    """
    found: dict[str, list[str]] = {name: [] for name in _HELP}
    for problem in problems:
        for name, labels, value in _samples(book, problem):
            found[name].append(sample(name, {"problem": problem, **labels}, value))
    lines = [
        line
        for name, samples in found.items()
        if samples
        for line in (f"# HELP {name} {_HELP[name]}", f"# TYPE {name} gauge", *samples)
    ]
    return "\n".join([*lines, ""])


def _samples(book: Ledger, problem: str) -> Iterable[_Sample]:
    serving = ledger.should_serve(book, problem)
    if serving is not None:
        yield "retrue_serving_model_version", {}, serving.model_version
    yield from _check(book, problem)
    open_ = len(ledger.open_decisions(book, problem))
    yield "retrue_drift_open_decisions", {}, open_
    yield from _retrainings(ledger.retrainings(book, problem))


def _check(book: Ledger, problem: str) -> Iterable[_Sample]:
    checks = ledger.checks(book, problem)
    if not checks:
        return
    last = check_facts.read(loop_status.newest(checks))
    figures = {
        "retrue_drift_magnitude_percent": last.magnitude,
        "retrue_drift_magnitude_low_percent": last.magnitude_low,
        "retrue_drift_magnitude_high_percent": last.magnitude_high,
        "retrue_drift_threshold_percent": last.threshold,
        "retrue_drift_decided_timestamp_seconds": _seconds(last.decided_at),
        "retrue_drift_check_ran_timestamp_seconds": _seconds(loop_status.check_ran_at(problem)),
    }
    for name, value in figures.items():
        if value is not None:
            yield name, {}, value
    for feature, share in last.contributions.items():
        yield "retrue_drift_contribution_percent", {"feature": feature}, share
    for verdict in _VERDICTS:
        yield "retrue_drift_verdict", {"verdict": verdict}, float(verdict == last.verdict)


def _retrainings(done: list[Retraining]) -> Iterable[_Sample]:
    if not done:
        return
    last = max(done, key=lambda one: (one.claimed_at, one.id))
    for outcome in _OUTCOMES:
        yield "retrue_retraining_outcome", {"outcome": outcome}, float(outcome == last.status)
        n = sum(one.status == outcome for one in done)
        yield "retrue_retrainings", {"outcome": outcome}, n
    when = _seconds(last.finished_at or last.claimed_at)
    if when is not None:
        yield "retrue_retraining_timestamp_seconds", {}, when


def _seconds(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()
