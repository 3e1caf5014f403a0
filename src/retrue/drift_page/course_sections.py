"""Sections of the drift page: the decision with its reason, and its course over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retrue.check_facts import number
from retrue.drift_page.charts import REST, contributions_chart, magnitude_chart
from retrue.html_page import facts, listed, muted, table, tiles
from retrue.html_page.charts import PALETTE, safe, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrue.check_facts import CheckFacts
    from retrue.drift_page import Shown

_STYLE_OF = {"drift": "bad", "no drift": "good", "cannot tell": "ask"}
_FOLLOWS = {
    "drift": "A retraining is asked for, once. The model that it makes has to pass the gate before"
    " it serves.",
    "no drift": "Nothing is done.",
    "cannot tell": "This is not an all-clear. Nobody knows whether the data moved: an operator"
    " should look. It is no decision either, so a later check of the same window replaces it.",
}
_NAMED = 6
"""Features that have a colour of their own."""


def overview(found: Shown) -> str:
    """The verdict, its reason, what follows, and of what."""
    now, report = found.now, found.report
    shown = [
        (percentage(now.magnitude), f"magnitude{_interval(now)}"),
        (percentage(now.threshold), "alarm above"),
        (safe(now.top_feature or "-"), _top(now)),
        (_count(report.get("n_current")), "rows in the window"),
        (_count(report.get("n_reference")), "reference rows"),
        (f"v{now.model_version}", "model version"),
    ]
    told = [
        ("Window (UTC)", safe(now.window)),
        ("Held against", safe(report.get("compared_with") or "the training reference")),
        ("Decided (UTC)", safe(now.decided_at[:19].replace("T", " "))),
        ("Backend", safe(report.get("backend") or "-")),
        ("P-values corrected by", safe(report.get("correction") or "-")),
        ("Joint test", f"p {p_value(report.get('p_corrected'))}, corrected"),
    ]
    return (
        f"<h1>{safe(now.problem)}: drift check</h1>"
        f'<p class="lead">{badge(now.verdict)} <b>{safe(_capital(now.reason))}.</b>'
        f" {safe(_follows(report, now.verdict))}</p>{tiles(shown)}{facts(told)}"
    )


def over_time(found: Shown) -> str:
    """Magnitude and contributions of this and earlier checks, as pictures and as a table."""
    course = found.course
    names = leading(course)
    if len(course) == 1:
        first = muted("This is the first check: there is no course yet.")
    else:
        versions = len({one.model_version for one in course})
        against = f", by {versions} model versions" if versions > 1 else ""
        first = f"<p>{len(course)} checks{against}, by the end of their windows.</p>"
    keys = "".join(
        f'<span class="key"><i style="background:{fill}"></i>{short(name, 30)}</span>'
        for name, fill in (*zip(names, PALETTE, strict=False), ("all others", REST))
    )
    return (
        f"{first}<h3>Magnitude</h3>"
        + muted(
            "■ drift, ● no drift, ? cannot tell. Bars: 95 % interval. Dashed: the threshold."
            " A dotted upright begins another model version."
        )
        + scrolled(magnitude_chart(course, f"Drift magnitude of {len(course)} checks"))
        + "<h3>What it is made of</h3>"
        + f"<p>{keys}</p>"
        + scrolled(contributions_chart(course, names, "Magnitude by feature"))
        + "<details><summary>The same as a table</summary>"
        + table(_HEADER, [_row(one, found) for one in reversed(course)], numbers=(3, 4))
        + "</details>"
    )


def reading(report: Mapping[str, Any]) -> str:
    """What the figures mean."""
    return listed(
        [
            "Magnitude: how well a classifier tells the window's rows from the reference's, in %"
            " of a perfect one (Matthews correlation, cross-fitted). 0 % means alike.",
            "Contribution: a feature's share of what that classifier learned. Of two features that"
            " say the same, one may get it all.",
            "PSI: below 0.1 stable, above 0.25 another population (Siddiqi 2006). Bins hold a tenth"
            " of the reference each where its values allow it.",
            "Wasserstein: how far the values moved on average, in standard deviations of the"
            " reference.",
            "p: the chance of such a difference without drift. The corrected one allows for the"
            " number of tests. With many rows, a difference too small to matter is significant.",
            "Missing: the share of rows without a value; it has a test of its own.",
        ]
    ) + muted(
        f"Statistic: K-S distance of numbers, chi-squared of categories"
        f" ({safe(report.get('backend') or 'backend not told')})."
    )


def leading(course: Sequence[CheckFacts]) -> list[str]:
    """Features with the largest part of the magnitude over the course, and of the last check."""
    weights: dict[str, float] = {}
    for i, one in enumerate(course):
        # As much as all others together: the last check is what the page is about.
        weight = float(len(course)) if i == len(course) - 1 else 1.0
        for name, share in one.contributions.items():
            weights[name] = weights.get(name, 0.0) + weight * share * (one.magnitude or 0.0)
    ranked = sorted(weights, key=lambda name: -weights[name])
    return [name for name in ranked if weights[name] > 0][:_NAMED]


def badge(verdict: str) -> str:
    """A verdict in its colour."""
    return f'<span class="verdict {_STYLE_OF.get(verdict, "ask")}">{safe(verdict)}</span>'


def percentage(value: float | None) -> str:
    """A figure in % without decimals; a dash where there is none."""
    return "-" if value is None else f"{value:.0f} %"


def p_value(value: object) -> str:
    """A p-value in two digits; a dash where there is none."""
    found = number(value)
    if found is None:
        return "-"
    return "&lt; 1e-12" if found < 1e-12 else f"{found:.2g}"


def scrolled(picture: str) -> str:
    """A picture that a narrow screen scrolls sideways."""
    return f'<div class="scroll">{picture}</div>'


_HEADER = ("window (UTC)", "model", "verdict", "magnitude", "alarm above", "top feature", "reason")


def _row(one: CheckFacts, found: Shown) -> list[str]:
    window = safe(one.window)
    if one.id in found.pages:
        window = f'<a href="{safe(found.pages[one.id])}">{window}</a>'
    share = one.contributions.get(one.top_feature or "")
    top = safe(one.top_feature or "-") + ("" if share is None else f" ({share:.0f} %)")
    return [
        f'<span class="whole">{window}</span>',
        f"v{one.model_version}",
        f'<span class="whole">{safe(one.verdict)}</span>',
        percentage(one.magnitude) + _interval(one),
        percentage(one.threshold),
        top,
        safe(one.reason),
    ]


def _follows(report: Mapping[str, Any], verdict: str) -> str:
    alarm = report.get("alarm")
    held = alarm.get("held_back") if isinstance(alarm, dict) else None
    if held:
        return f"This window shows drift, but it is held back ({held}): nothing is done yet."
    return _FOLLOWS.get(verdict, "")


def _top(now: CheckFacts) -> str:
    share = now.contributions.get(now.top_feature or "")
    return "no feature leads" if share is None else f"leads, with {share:.0f} % of it"


def _interval(one: CheckFacts) -> str:
    if one.magnitude_low is None or one.magnitude_high is None:
        return ""
    return f" <small>[{one.magnitude_low:.0f}, {one.magnitude_high:.0f}]</small>"


def _count(value: object) -> str:
    found = number(value)
    return "-" if found is None else f"{found:,.0f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:].removesuffix(".")
