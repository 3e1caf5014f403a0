"""Markdown pages for people: the problem, a verdict, a validation, a drift check."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrue.config import Cost, Problem
    from retrue.drift import DriftReport
    from retrue.gate import Verdict
    from retrue.preparation import Prepared


def canvas(problem: Problem) -> str:
    """The problem definition."""
    given = problem.canvas
    facts = (
        ("Decision", given.decision),
        ("Decided by", given.decided_by),
        ("A false alarm costs", _cost(given.cost_false_positive)),
        ("A miss costs", _cost(given.cost_false_negative)),
        ("Success", given.success),
        ("Baseline", given.baseline),
        ("Label", f"{given.label}. Known: {given.label_known}"),
        ("Data", "; ".join(given.data_sources)),
    )
    return "\n".join(
        [f"# {given.question}", "", *(f"- **{name}:** {text}" for name, text in facts)]
    )


def verdict(problem: Problem, found: Verdict) -> str:
    """The gate's answer with its evidence."""
    from retrue.gate_page import sections

    answer = "Promoted" if found.promoted else "Refused"
    return "\n\n".join(
        [
            f"# {answer}",
            found.reason,
            table(
                ("metric", "champion", "challenger", "gain", "interval", "rows", "days"),
                [
                    (
                        found.metric,
                        number(found.champion, ".4f"),
                        number(found.challenger, ".4f"),
                        number(found.gain, "+.4f"),
                        f"[{number(found.lower, '+.4f')}, {number(found.upper, '+.4f')}]"
                        f" at {found.confidence:.0%}",
                        f"{found.n_rows:,}",
                        str(found.n_days),
                    )
                ],
            ),
            f"A gain above 0 means the challenger is better; its lower bound must exceed "
            f"{problem.gate.min_gain:g}.",
            *sections(problem, found),
        ]
    )


def drift(problem: Problem, report: DriftReport) -> str:
    """One drift check: the magnitude, the decision and each feature's part in it."""
    rows = [
        (
            feature.name,
            f"{feature.contribution:.1f} %",
            number(feature.statistic, ".3f"),
            f"{feature.p_value:.2g}",
            f"{feature.missing_reference:.1%}",
            f"{feature.missing_current:.1%}",
        )
        for feature in sorted(report.features, key=lambda one: -one.contribution)
    ]
    alarm = report.alarm
    verdict, reason = (
        (report.verdict, report.reason) if alarm is None else (alarm.verdict, alarm.reason)
    )
    return "\n\n".join(
        [
            f"# {verdict.capitalize()}: magnitude {number(report.magnitude, '.0f')} %"
            f" (alarm above {report.threshold:.0f} %)",
            reason,
            *([] if alarm is None else [f"Warning: {warning}." for warning in alarm.warnings]),
            f"{report.n_reference:,} reference rows, {report.n_current:,} current rows of"
            f" {problem.name}, held against {report.compared_with}. 0 % means alike, 100 % fully"
            " told apart.",
            table(
                ("feature", "contribution", "statistic", "p", "missing before", "missing now"), rows
            ),
        ]
    )


def approval(
    problem: Problem,
    version: int,
    why: Sequence[str],
    card: str,
    run: str,
    how: str,
    deadline: str,
) -> str:
    """What a person is asked before a version may serve: why, how to answer, and its card."""
    return "\n\n".join(
        [
            f"# Shall version {version} of {problem.name} serve?",
            "You are asked because:",
            "\n".join(f"- {one}" for one in why),
            f"**Answer** by *Resume* at the top of [the run that waits]({run}), or with `{how}`."
            f" Without an answer until {deadline} the version is rejected, and what serves now goes"
            " on.",
            card.replace("## ", "### ").replace("# ", "## ", 1),
            canvas(problem).replace("# ", "## ", 1),
        ]
    )


def validation(prepared: Prepared) -> str:
    """What each rule did (stopped, set aside, warned), and how well the tables joined."""
    from retrue.validation_page import page_path
    from retrue.validation_summary import outcomes

    found = outcomes(prepared.validations)
    suites = [
        (
            one.table,
            f"{one.n_rows:,}",
            *(str(one.count(outcome)) for outcome in ("held", "stopped", "set aside", "warned")),
        )
        for one in found
    ]
    failures = [
        (
            one.table,
            rule.outcome,
            rule.rule.expectation,
            rule.rule.column or "",
            rule.rule.observed,
            f"{len(rule.rows):,}" if rule.rows else "",
        )
        for one in found
        for rule in one.rules
        if rule.outcome != "held"
    ]
    joins = [(name, f"{rate:.2%}") for name, rate in prepared.match_rates.items()]
    ref = prepared.ref
    parts = [
        f"# Data version {ref.version}: {ref.n_rows:,} rows until {ref.until}",
        f"Content SHA-256 `{ref.sha256}`; rows set aside: {prepared.n_set_aside:,}.",
        table(("table", "rows", "held", "stopped", "set aside", "warned"), suites),
        table(("table", "outcome", "expectation", "column", "observed", "rows"), failures)
        if failures
        else "Every expectation was met.",
    ]
    if prepared.n_set_aside:
        parts.append(
            f"`retrue data faults {ref.problem}` shows the rows that were set aside. Rows that are"
            f" right after all come back with `retrue data release {ref.problem} FAULT_ID"
            " --by NAME --reason WHY` and the next run."
        )
    parts.append(f"Every rule with its rows: `{page_path(ref.problem, f'v{ref.version}')}`")
    return "\n\n".join([*parts, *([table(("join", "rows that matched"), joins)] if joins else [])])


def number(value: float | None, form: str) -> str:
    """A figure in the given format; a dash where there is none."""
    return "-" if value is None else format(value, form)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_in_a_cell, line)) + " |" for line in lines)


def _in_a_cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _cost(cost: Cost) -> str:
    return f"{cost.amount:g} {cost.unit}: {cost.why}"
