"""Sections about what a model leans on, and what is new against the champion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.exploration_page.sections import scrolled
from retrue.html_page import muted, not_measured, table
from retrue.html_page.charts import percent, safe
from retrue.model_card.changes import (
    Change,
    data_changes,
    moved_features,
    parameter_changes,
)
from retrue.model_card.charts import effects_chart, figure
from retrue.model_card.evidence import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrue.model_card.facts import Facts

_MAX_FEATURES = 20
_MAX_CHARS = 90


def explanation(facts: Facts) -> str:
    """Global importance with direction."""
    if not facts.effects:
        return not_measured("What the model leans on: the run has no explanation.")
    shown = facts.effects[:_MAX_FEATURES]
    key = (
        '<p><span class="key"><i style="background:#c05621"></i>↑ a rise raises the score</span>'
        '<span class="key"><i style="background:#2b6cb0"></i>↓ a rise lowers it</span>'
        '<span class="key"><i style="background:#9fb3c8"></i>no clear direction</span></p>'
    )
    rest = len(facts.effects) - len(shown)
    return (
        "<p>Share of each feature in what moves the scores (mean absolute SHAP value, Lundberg et"
        " al. 2020). It says what the model uses, not what causes the label.</p>"
        + key
        + scrolled(effects_chart(shown, "Share of the importance by feature"))
        + (muted(f"Not drawn, having less: {rest}.") if rest > 0 else "")
    )


def changes(facts: Facts) -> str:
    """Data, parameters, metrics and explanation against the version it was judged against."""
    if facts.rival is None:
        return (
            "<p>A first version: it was judged against no skill, so there is nothing before it.</p>"
        )
    ours, theirs = facts.lineage, facts.rival.lineage
    parts = [f"<p>Against version {theirs.version}, which it was judged against.</p>"]
    parts.append("<h3>Data</h3>" + _changed(data_changes(ours, theirs), "The same data."))
    parts.append(
        "<h3>Parameters, definition, code</h3>"
        + _changed(parameter_changes(ours, theirs), "All the same.")
    )
    parts.append("<h3>Metrics on the same hold-out</h3>" + _metrics(facts))
    parts.append("<h3>Explanation</h3>" + _explanation(facts))
    return "".join(parts)


def _changed(found: Sequence[Change], none: str) -> str:
    if not found:
        return f"<p>{none}</p>"
    rows = [[safe(one.what), _cell(one.before), _cell(one.after)] for one in found]
    return table(("", "before", "now"), rows)


def _metrics(facts: Facts) -> str:
    rows = [
        [
            safe(one.name),
            figure(one.theirs, ".4f"),
            figure(one.ours, ".4f"),
            figure(one.ours - one.theirs, "+.4f"),
        ]
        for one in figures(facts.lineage)
        if one.theirs is not None
    ]
    if not rows:
        return not_measured("The champion was not scored on these rows.")
    return table(("metric", "before", "now", "difference"), rows, numbers=(1, 2, 3))


def _explanation(facts: Facts) -> str:
    theirs = facts.rival.effects if facts.rival else ()
    if not facts.effects or not theirs:
        return not_measured("One of the two runs has no explanation.")
    rows = [
        [
            safe(one.name),
            "-" if one.before is None else percent(one.before),
            "-" if one.after is None else percent(one.after),
            '<span class="bad-text">flipped</span>' if one.flipped else "",
        ]
        for one in moved_features(facts.effects, theirs)
    ]
    said = (
        "<p>Features whose share of the importance moved most, and all that turned around; each"
        " version as it was explained on its own hold-out.</p>"
    )
    return said + table(("feature", "before", "now", "direction"), rows, numbers=(1, 2))


def _cell(text: str) -> str:
    """A hash or a long list in the width of a cell; the whole stands under the pointer."""
    if len(text) <= _MAX_CHARS:
        return safe(text)
    return f'<span title="{safe(text)}">{safe(text[:_MAX_CHARS])}…</span>'
