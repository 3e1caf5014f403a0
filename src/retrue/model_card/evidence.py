"""Sections about how good a model is: metrics, slices, calibration, speed, learning, costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrue.exploration_page.sections import scrolled
from retrue.html_page import facts as facts_list
from retrue.html_page import not_measured, table
from retrue.html_page.charts import safe, short
from retrue.metric_table import TABLE
from retrue.model_card.charts import (
    Span,
    calibration_chart,
    figure,
    forest_chart,
    pair_chart,
)

if TYPE_CHECKING:
    from retrue.lineage_facts import Lineage
    from retrue.model_card.facts import Facts
    from retrue.verdicts import Interval

HELD, BROKEN = '<span class="good-text">holds</span>', '<span class="bad-text">does not hold</span>'


@dataclass(frozen=True)
class Figure:
    """One metric of the hold-out; an end that is None was not measured."""

    name: str
    ours: float
    interval: tuple[float, float] | None
    theirs: float | None
    their_interval: tuple[float, float] | None
    no_skill: float | None


def figures(found: Lineage) -> list[Figure]:
    """Metrics with intervals where the verdict has them, else those of the fit without."""
    verdict, stored, is_first = found.verdict, found.metrics, found.champion is None
    measured = verdict.metrics if verdict else {}
    rivals = verdict.champion_metrics if verdict else {}
    named = [name for name in TABLE if f"holdout_{name}" in stored and name not in measured]
    listed = []
    for name in (*measured, *named):
        ours, rival = measured.get(name), rivals.get(name)
        theirs = None if rival is None else rival.value
        if theirs is None and verdict is not None and verdict.metric == name:
            theirs = verdict.champion
        listed.append(
            Figure(
                name,
                ours.value if ours else stored[f"holdout_{name}"],
                _ends(ours),
                None if is_first else theirs,
                None if is_first else _ends(rival),
                # A first version's rival is no skill.
                theirs if is_first and theirs is not None else stored.get(f"no_skill_{name}"),
            )
        )
    return listed


def meaning(name: str) -> str:
    """What a metric tells, and which way is better; nothing for one that the table lacks."""
    known = TABLE.get(name)
    return "" if known is None else f"{known.tells}, {known.better} is better"


def metrics(facts: Facts) -> str:
    """Every metric beside that of the champion and of no skill, and the gain that decided."""
    verdict, rival = facts.lineage.verdict, facts.lineage.champion
    against = f"version {rival}" if rival is not None else "champion"
    rows = [_metric_row(one) for one in figures(facts.lineage)]
    parts = [_span_of_holdout(facts)]
    header = ("metric", "this version", against, "no skill", "", "meaning")
    parts.append(table(header, rows, numbers=(1, 2, 3)))
    if verdict is None or not verdict.metrics:
        parts.append(
            not_measured("Intervals of single metrics. The gain below has one where it was judged.")
        )
    if verdict is not None and verdict.lower is not None:
        seeds = f", {verdict.n_seeds} seeds" if verdict.n_seeds > 1 else ""
        blocks = f"{verdict.n_rows:,} rows, {verdict.n_days} blocks{seeds}"
        parts.append(
            f"<p><b>Gain in {safe(verdict.metric)} over"
            f" {'no skill' if rival is None else against}: {verdict.gain:+.4f}</b>"
            f" [{verdict.lower:+.4f}, {verdict.upper:+.4f}] at {verdict.confidence:.0%}; its lower"
            f" bound must exceed {facts.problem.gate.min_gain:g}. Both were scored on the same rows"
            f" ({blocks}), and whole blocks were drawn again: rows of one day are alike.</p>"
        )
    elif verdict is not None:
        parts.append(not_measured(f"The gain over the champion: {verdict.reason}."))
    return "".join(parts)


def slices(facts: Facts) -> str:
    """The gain in each declared slice, worst first."""
    verdict = facts.lineage.verdict
    if verdict is None or not verdict.slices:
        return not_measured("No slice was declared, so nothing is known of single groups.")
    shown = sorted(verdict.slices, key=lambda one: (one.holds, one.gain or 0.0))
    rows = [
        [
            f'<span class="whole">{short(f"{one.name} {one.value}", 40)}</span>',
            f"{one.n_rows:,}",
            figure(one.champion, ".4f"),
            figure(one.challenger, ".4f"),
            figure(one.gain, "+.4f")
            + f" [{figure(one.lower, '+.4f')}, {figure(one.upper, '+.4f')}]",
            figure(one.margin),
            HELD if one.holds else BROKEN,
        ]
        for one in shown
    ]
    header = ("slice", "rows", "champion", "this version", "gain", "may lose", "")
    n_broken = sum(not one.holds for one in shown)
    said = "Every slice holds." if not n_broken else f"{n_broken} of {len(shown)} do not hold."
    chart = scrolled(forest_chart(shown, f"Gain in {verdict.metric} by slice"))
    return (
        f"<p>{said} Gain in {safe(verdict.metric)}, positive when this version is better; the red"
        f" mark is how much worse a slice may become.</p>{chart}"
        + table(header, rows, numbers=(1, 2, 3, 4, 5))
    )


def calibration(facts: Facts) -> str:
    """Whether a score of 0.3 means 3 in 10."""
    verdict = facts.lineage.verdict
    found = verdict.calibration if verdict else None
    if found is None:
        if facts.problem.label.task == "regression":
            return (
                "<p>A regression's scores are no probabilities: there is nothing to calibrate.</p>"
            )
        return not_measured("Whether scores are frequencies; do not read them as probabilities.")
    pairs = [
        ("Verdict", HELD if found.holds else BROKEN),
        (
            "Expected error",
            f"{found.expected_error:.4f}, at least {found.expected_error_lower:.4f}: mean distance"
            " of score and share",
        ),
        (
            "Slope",
            _ranged(found.slope, found.slope_lower, found.slope_upper)
            + "; 1 is right, below 1 is too sure of itself",
        ),
        (
            "Intercept",
            _ranged(found.intercept, found.intercept_lower, found.intercept_upper)
            + "; 0 is right, below 0 says too much",
        ),
        ("Correction", f"{facts.correction}, of the scores" if facts.correction else "none"),
        ("Champion's error", figure(found.champion_error, ".4f")),
    ]
    chart = scrolled(calibration_chart(found, "Observed share by mean score"))
    return f'<div class="beside"><div>{chart}</div><div>{facts_list(pairs)}</div></div>'


def _ends(found: Interval | None) -> tuple[float, float] | None:
    return None if found is None else (found.lower, found.upper)


def _ranged(value: float | None, lower: float | None, upper: float | None) -> str:
    return f"{figure(value, '.3f')} [{figure(lower, '.3f')}, {figure(upper, '.3f')}]"


def _metric_row(one: Figure) -> list[str]:
    ours, theirs = _span(one.ours, one.interval), _span(one.theirs, one.their_interval)
    return [
        safe(one.name),
        _said(one.ours, one.interval),
        _said(one.theirs, one.their_interval),
        figure(one.no_skill, ".4f"),
        pair_chart(ours, theirs, f"{one.name}: this version above, champion below") if ours else "",
        safe(meaning(one.name)),
    ]


def _span(value: float | None, ends: tuple[float, float] | None) -> Span | None:
    return None if value is None or ends is None else (value, *ends)


def _said(value: float | None, ends: tuple[float, float] | None) -> str:
    if ends is None:
        return figure(value, ".4f")
    return f"{figure(value, '.4f')} <small>[{ends[0]:.4f}, {ends[1]:.4f}]</small>"


def _span_of_holdout(facts: Facts) -> str:
    held = next((one for one in facts.lineage.folds if one.role == "hold-out"), None)
    if held is None:
        return ""
    n_rows = "" if held.n_rows is None else f", {held.n_rows:,} labelled rows"
    return f"<p>On the hold-out {safe(held.span)}{n_rows}, which it was not fitted to.</p>"
