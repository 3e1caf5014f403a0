"""The comparison as one HTML page that loads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.comparison.charts import Point, importance_chart, versions_chart
from retrue.exploration_page.label_charts import legend
from retrue.exploration_page.sections import scrolled
from retrue.files import write_atomically
from retrue.home import lake_dir
from retrue.html_page import code, document, not_measured, table, tiles
from retrue.html_page.charts import safe
from retrue.model_card.charts import curves_chart, figure
from retrue.model_card.evidence import meaning

if TYPE_CHECKING:
    from pathlib import Path

    from retrue.comparison import Compared, Comparison, Side
    from retrue.comparison.newest import OnNewest, Scored
    from retrue.verdicts import Interval

_MAX_FEATURES = 15
_MAX_METRICS = 4
"""That are drawn, and told of what was judged; the first ones decide."""


def write_page(found: Compared) -> Path:
    """Write the page to `pages/compare.html` in the lake of the problem."""
    path = lake_dir(found.comparison.problem) / "pages" / "compare.html"
    write_atomically(path, page(found))
    return path


def page(found: Compared) -> str:
    """The whole page as text."""
    told = found.comparison
    parts = (
        ("overview", "Overview", _overview(told)),
        ("newest", "On the same newest hold-out", _newest(told)),
        ("judged", "As each was judged", _judged(told)),
        ("parameters", "Parameters that differ", _parameters(told)),
        ("curves", "Learning curves", _curves(found)),
        ("importance", "Importance side by side", _importance(found)),
    )
    return document(f"{told.problem}: model versions side by side", parts)


def _overview(told: Comparison) -> str:
    newest = told.versions[-1]
    shown = [
        (str(len(told.versions)), "versions"),
        ("none" if told.serving is None else f"v{told.serving}", "serves now"),
        (f"v{newest.version}", "newest"),
        (str(sum(one.promoted for one in told.versions)), "promoted by the gate"),
    ]
    return f"<h1>{safe(told.problem)}: model versions side by side</h1>{tiles(shown)}{_best(told)}"


def _best(told: Comparison) -> str:
    """The one sentence that a reader takes away, if the evidence carries one."""
    newest = told.newest
    if newest is None or newest.base is None:
        return ""
    better = [one for one in newest.scored if one.gain is not None and one.gain.lower > 0]
    base = f"version {newest.base}, which serves"
    if not better:
        return f"<p>No comparable version is surely better than {base}, on the newest hold-out.</p>"
    names = ", ".join(f"{one.version}" for one in better)
    return (
        f'<div class="warn"><b>Surely better than {base}, on the newest hold-out: version {names}.'
        "</b></div>"
    )


def _newest(told: Comparison) -> str:
    newest = told.newest
    if newest is None:
        return not_measured(told.why_no_newest or "It was not asked for.")
    names = list(dict.fromkeys(name for one in newest.scored for name in one.metrics))
    against = "" if newest.base is None else f" Gain in {safe(newest.metric)} over version"
    against += "" if newest.base is None else f" {newest.base}, which serves: positive is better."
    parts = [
        f"<p>All were scored on the same {newest.n_rows:,} labelled rows of data version"
        f" {newest.data_version}: {safe(newest.span)}. Lines are intervals at"
        f" {newest.confidence:.0%}, {newest.n_blocks} whole blocks drawn again; each is of one"
        f" version alone.{against} A version that was fitted on some of these rows has no figures"
        " here: they would flatter it.</p>"
    ]
    charts = "".join(
        f"<div><h3>{safe(name)}{_meaning(name)}</h3>"
        + scrolled(versions_chart(_points(newest, name, told.serving), name, "not fair"))
        + "</div>"
        for name in names[:_MAX_METRICS]
    )
    parts.append(f'<div class="beside">{charts}</div>')
    header = ("version", *names, f"gain over v{newest.base}" if newest.base else "gain", "")
    rows = [_newest_row(one, names, newest.base) for one in newest.scored]
    parts.append(table(header, rows, numbers=range(1, len(names) + 2)))
    if newest.base is None:
        parts.append(
            not_measured("Gains: no version serves, or the one that does is not comparable here.")
        )
    return "".join(parts)


def _newest_row(one: Scored, names: list[str], base: int | None) -> list[str]:
    note = safe(one.why_not) if one.why_not else "serves" if one.version == base else ""
    if one.why_not:
        note = f'<span class="bad-text">not comparable</span>: {note}'
    figures = [_interval(one.metrics.get(name), ".4f") for name in names]
    return [f"v{one.version}", *figures, _interval(one.gain, "+.4f"), note]


def _judged(told: Comparison) -> str:
    spans = {one.holdout for one in told.versions}
    names = list(dict.fromkeys(name for one in told.versions for name in one.metrics))[
        :_MAX_METRICS
    ]
    parts = []
    if len(spans) > 1:
        parts.append(
            f'<div class="warn"><b>These figures are of {len(spans)} different hold-outs.</b>'
            " Do not rank versions by them: a quiet month flatters whoever was judged in it.</div>"
        )
    charts = "".join(
        f"<div><h3>{safe(name)}{_meaning(name)}</h3>"
        + scrolled(versions_chart([_own_point(one, name) for one in told.versions], name, "-"))
        + "</div>"
        for name in names
    )
    parts.append(f'<div class="beside">{charts}</div>')
    header = ("version", "data", "rows", "hold-out", "gate", *names, "registered (UTC)")
    rows = [_judged_row(one, names) for one in told.versions]
    parts.append(table(header, rows, numbers=(2, *range(5, 5 + len(names)))))
    return "".join(parts)


def _judged_row(one: Side, names: list[str]) -> list[str]:
    gate = '<span class="good-text">promoted</span>'
    if not one.promoted:
        gate = '<span class="bad-text">refused</span>'
    if one.approval:
        gate += f", {safe(one.approval)}"
    figures = []
    for name in names:
        found = one.metrics.get(name, {})
        low, high = found.get("lower"), found.get("upper")
        text = figure(found.get("value"), ".4f")
        if low is not None and high is not None:
            text += f" <small>[{low:.4f}, {high:.4f}]</small>"
        figures.append(text)
    return [
        f'<span class="whole">v{one.version}{" serves" if one.serves else ""}</span>',
        f"v{one.data_version}",
        f"{one.n_rows:,}",
        f'<span class="whole">{safe(one.holdout or one.until)}</span>',
        f'<span title="{safe(one.reason)}">{gate}</span>',
        *figures,
        f'<span class="whole">{safe(one.registered_at[:16].replace("T", " "))}</span>',
    ]


def _parameters(told: Comparison) -> str:
    if not told.parameters:
        return "<p>None: the versions differ by their data alone.</p>"
    versions = [one.version for one in told.versions]
    rows = [
        [safe(name), *(_value(row[version]) for version in versions)]
        for name, row in told.parameters.items()
    ]
    return table(("", *(f"v{version}" for version in versions)), rows)


def _value(text: str) -> str:
    """A hash is told by its beginning; the whole is under the pointer."""
    if len(text) <= 24:
        return safe(text)
    return f'<span title="{safe(text)}">{code(text[:12])}…</span>'


def _curves(found: Compared) -> str:
    curves = [(f"v{version}", curve) for version, curve in found.curves.items() if curve]
    if not curves:
        return not_measured("Learning curves.")
    return (
        f"<p>{safe(found.curve_name.capitalize())} of each version's own hold-out after each round:"
        " compare their shapes, not their heights.</p>"
        + legend([name for name, _ in curves])
        + scrolled(curves_chart(curves, f"Hold-out {found.curve_name} by round"))
    )


def _importance(found: Compared) -> str:
    known = [(version, effects) for version, effects in found.effects.items() if effects]
    if not known:
        return not_measured("What the versions lean on: no run has an explanation.")
    largest: dict[str, float] = {}
    for _, effects in known:
        for one in effects:
            largest[one.name] = max(largest.get(one.name, 0.0), one.share)
    names = sorted(largest, key=lambda name: -largest[name])[:_MAX_FEATURES]
    absent = [f"v{version}" for version in found.effects if not found.effects[version]]
    rest = not_measured(f"No explanation: {', '.join(absent)}.") if absent else ""
    return (
        "<p>Share of each feature in what moves the scores, as each version was explained at its"
        " own training. ↑ a rise raises the score, ↓ it lowers it.</p>"
        + scrolled(importance_chart(known, names, "Share of the importance by version"))
        + rest
    )


def _points(newest: OnNewest, name: str, serving: int | None) -> list[Point]:
    return [_point(one.version, one.metrics.get(name), serving) for one in newest.scored]


def _point(version: int, found: Interval | None, serving: int | None) -> Point:
    if found is None:
        return Point(version, None, None, version == serving)
    return Point(version, found.value, (found.lower, found.upper), version == serving)


def _own_point(one: Side, name: str) -> Point:
    found = one.metrics.get(name, {})
    low, high = found.get("lower"), found.get("upper")
    ends = None if low is None or high is None else (low, high)
    return Point(one.version, found.get("value"), ends, one.serves)


def _meaning(name: str) -> str:
    return f' <small class="muted">{safe(meaning(name))}</small>'


def _interval(found: Interval | None, form: str) -> str:
    if found is None:
        return "-"
    return f"{found.value:{form}} <small>[{found.lower:{form}}, {found.upper:{form}}]</small>"
