"""The performance of one window in Markdown: expected beside realised, and whom to believe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.metric_table import TABLE, unit
from retrue.pages import number, table
from retrue.performance.report import Performance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrue.config import Problem
    from retrue.ledger import PerformanceCheck
    from retrue.verdicts import Interval

_N_WINDOWS = 12
_BORNE_OUT = {True: "yes", False: "no", None: "-"}


def markdown(problem: Problem, found: Performance, checks: Sequence[PerformanceCheck]) -> str:
    """One check's page.

    Parameters
    ----------
    checks : sequence of PerformanceCheck
        Of the ledger, in order of their windows; the last twelve are shown.
    """
    came = found.realised
    asked = {"retraining": "This asks for a retraining.", "human": "A person should look at this."}
    parts = [
        f"# Performance: {found.verdict}",
        found.reason,
        *([asked[found.asks]] if found.asks else []),
        _metrics(problem, found),
        f"{found.estimated.n_rows:,} rows of {problem.name}, {came.n_labelled:,}"
        f" ({came.share_labelled:.0%}) with labels."
        + (f" No estimate: {found.estimated.reason}." if found.estimated.reason else "")
        + (f" Nothing realised: {came.reason}." if came.reason else ""),
        f"**Estimate:** {found.trust.state}, {found.trust.reason}. It rests on calibrated scores"
        " and is blind to a change of what the features mean.",
        f"**Concept:** {found.concept.verdict}, {found.concept.reason}.",
    ]
    if checks:
        parts += ["## Expected and realised log loss", _windows(checks[-_N_WINDOWS:])]
    return "\n\n".join(parts)


def _metrics(problem: Problem, found: Performance) -> str:
    expected, came = found.estimated.metrics, found.realised.metrics
    named = [name for name in TABLE if name in expected or name in came or name == found.metric]
    return table(
        ("metric", "expected", "realised", "hold-out", "unit"),
        [
            (
                name,
                _interval(expected.get(name)),
                _interval(came.get(name)),
                number(found.baseline if name == found.metric else None, ".4f"),
                unit(name, problem),
            )
            for name in named
        ],
    )


def _windows(checks: Sequence[PerformanceCheck]) -> str:
    rows = []
    for one in checks:
        found = Performance.model_validate_json(one.report_json)
        rows.append(
            (
                f"{one.window_start[:10]} to {one.window_end[:10]}",
                f"v{one.model_version}",
                _interval(found.estimated.metrics.get("log_loss")),
                _interval(found.realised.metrics.get("log_loss")),
                f"{found.realised.share_labelled:.0%}",
                _BORNE_OUT[one.is_right],
                one.verdict,
            )
        )
    header = ("window", "model", "expected", "realised", "labelled", "borne out", "performance")
    return table(header, rows)


def _interval(one: Interval | None) -> str:
    return "-" if one is None else f"{one.value:.4f} [{one.lower:.4f}, {one.upper:.4f}]"
