"""Markdown of the evidence beside a verdict: metrics, slices, calibration, processing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue import metric_table
from retrue.pages import number, table

if TYPE_CHECKING:
    from retrue.config import Problem
    from retrue.verdicts import Calibration, Interval, ProcessingPerformance, SliceGain, Verdict


def sections(problem: Problem, found: Verdict) -> list[str]:
    """Parts of the gate page, those alone for which there are figures."""
    parts = []
    if found.n_seeds > 1:
        parts.append(
            f"The recipe leaves something to chance: {found.n_seeds} models of as many seeds were"
            " fitted, and the interval of the gain holds their luck."
        )
    if found.metrics:
        parts += _metrics(problem, found)
    if found.slices:
        parts += _slices(problem, found.slices)
    if found.calibration is not None:
        parts += _calibration(problem, found.calibration)
    if found.processing is not None:
        parts += _processing(problem, found.processing)
    if found.doubts:
        parts += ["## A human should look", "\n".join(f"- {doubt}" for doubt in found.doubts)]
    return parts


def _metrics(problem: Problem, found: Verdict) -> list[str]:
    rows = [
        (
            name,
            _interval(found.champion_metrics.get(name)),
            _interval(found.metrics[name]),
            one.better,
            metric_table.unit(name, problem),
            one.tells,
        )
        for name, one in metric_table.TABLE.items()
        if name in found.metrics
    ]
    header = ("metric", "champion", "challenger", "better when", "unit", "what it tells")
    return [
        "## Metrics",
        table(header, rows),
        f"In brackets: {found.confidence:.0%} intervals of the hold-out, drawn by block."
        " A first model's champion is no skill.",
    ]


def _slices(problem: Problem, slices: tuple[SliceGain, ...]) -> list[str]:
    rows = [
        (
            f"{one.name} {one.value}",
            f"{one.n_rows:,}",
            f"{one.champion:.4f}",
            f"{one.challenger:.4f}",
            f"{one.gain:+.4f}",
            f"[{number(one.lower, '+.4f')}, {number(one.upper, '+.4f')}]",
            f"{one.margin:g}",
            "yes" if one.holds else "**no**",
        )
        for one in slices
    ]
    header = ("slice", "rows", "champion", "challenger", "gain", "interval", "margin", "holds")
    return [
        "## Slices",
        table(header, rows),
        f"In {problem.gate.metric}. A slice fails when even the upper end of its interval is worse"
        " than the margin allows; the intervals hold for all slices at once.",
    ]


def _calibration(problem: Problem, found: Calibration) -> list[str]:
    rows = [
        (
            f"{one.lower:.3f} to {one.upper:.3f}",
            f"{one.mean_score:.3f}",
            f"{one.observed:.3f}",
            f"{one.n:,}",
        )
        for one in found.bins
    ]
    line = "The scores are too alike, or too sure, for a recalibration line."
    if found.slope is not None:
        line = (
            f"Recalibration slope {found.slope:.2f} [{number(found.slope_lower, '.2f')},"
            f" {number(found.slope_upper, '.2f')}] (1 is right, below 1 too sure), intercept"
            f" {number(found.intercept, '+.2f')} [{number(found.intercept_lower, '+.2f')},"
            f" {number(found.intercept_upper, '+.2f')}] (0 is right)."
        )
    return [
        "## Calibration",
        f"Probabilities are off by {found.expected_error:.3f} on average, at least"
        f" {found.expected_error_lower:.3f}; champion {number(found.champion_error, '.3f')}."
        f" More than {problem.gate.max_calibration_error:g} for sure, and more than the champion,"
        f" is refused: {'it holds' if found.holds else '**it does not hold**'}. {line}",
        table(("score", "mean score", "came true", "rows"), rows),
    ]


def _processing(problem: Problem, found: ProcessingPerformance) -> list[str]:
    gate = problem.gate
    rows = [
        ("p50 of one-row requests", number(found.p50_ms, ".1f") + " ms", "-"),
        (
            "p99 of one-row requests",
            number(found.p99_ms, ".1f") + " ms",
            f"at most {gate.max_p99_ms:g}",
        ),
        (
            "rows a second in batches",
            number(found.rows_per_s, ",.0f"),
            f"at least {gate.min_rows_per_s:,.0f}",
        ),
        (
            "resident memory",
            number(found.memory_mb, ".0f") + " MB",
            f"at most {gate.max_memory_mb:g}",
        ),
    ]
    return [
        "## Processing performance",
        "Measured on a server of the built bundle on this machine, its log on, its golden scores"
        f" compared: {'it holds' if found.holds else '**it does not hold**'}.",
        table(("what", "measured", "limit"), rows),
        *(["\n".join(f"- {reason}" for reason in found.reasons)] if found.reasons else []),
    ]


def _interval(one: Interval | None) -> str:
    return "-" if one is None else f"{one.value:.4f} [{one.lower:.4f}, {one.upper:.4f}]"
