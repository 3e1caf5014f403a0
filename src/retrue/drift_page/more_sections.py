"""Sections of the drift page that are there only where a check knows more than the comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from retrue.check_facts import number
from retrue.drift_page.course_sections import badge
from retrue.html_page import facts, listed, muted, table
from retrue.html_page.charts import safe

if TYPE_CHECKING:
    from retrue.html_page import Part

Section = Mapping[str, Any]


def parts(report: Mapping[str, Any]) -> list[Part]:
    """The sections that a report has something for, in the order they are read."""
    return [
        (name, heading, write(report[name]))
        for name, heading, write in _SECTIONS
        if isinstance(report.get(name), dict)
    ]


def alarm(found: Section) -> str:
    """How a comparison became a decision."""
    exceeded = ", ".join(str(one) for one in found.get("exceeded") or ())
    told = [
        ("This window by itself", badge(str(found.get("vote", "-")))),
        ("Decided", badge(str(found.get("verdict", "-")))),
        ("Held back by", safe(found.get("held_back") or "nothing")),
        ("Above their thresholds", safe(exceeded or "no single feature")),
        ("A person must look", "yes" if found.get("needs_operator") else "no"),
        ("Reason", safe(found.get("reason") or "-")),
    ]
    return facts(told) + _warnings(found.get("warnings") or ())


def triage(found: Section) -> str:
    """Whether the window is broken or changed."""
    said = [str(one) for one in found.get("changes") or ()]
    rows = [_finding(one) for one in found.get("findings") or () if isinstance(one, dict)]
    header = ("fault", "column", "since", "of the rows", "evidence", "what to do")
    return "".join(
        [
            f"<p><b>{safe(found.get('verdict', '-'))}</b>: {safe(found.get('reason', ''))}</p>",
            table(header, rows, numbers=(3,)) if rows else muted("No fault was found."),
            f"<h3>Moved, and looks real</h3>{listed(said)}" if said else "",
        ]
    )


def performance(found: Section) -> str:
    """What was expected of the model, and what the labels say."""
    expected, came = _part(found, "estimated"), _part(found, "realised")
    metrics = [_part(one, "metrics") for one in (expected, came)]
    names = list(dict.fromkeys([*metrics[0], *metrics[1]]))
    rows = [[safe(name), *(_interval(side.get(name)) for side in metrics)] for name in names]
    told = [
        (word.capitalize(), f"<b>{safe(part.get(key, '-'))}</b>, {safe(part.get('reason', ''))}")
        for word, key in (("concept", "verdict"), ("trust", "state"))
        if (part := _part(found, word))
    ]
    notes = [
        f"{what}: {part['reason']}"
        for what, part in (("No estimate", expected), ("Nothing realised", came))
        if part.get("reason")
    ]
    return "".join(
        [
            f"<p><b>{safe(found.get('verdict', '-'))}</b>: {safe(found.get('reason', ''))}</p>",
            table(("metric", "expected without labels", "realised"), rows, (1, 2)) if rows else "",
            facts(told) if told else "",
            listed(notes) if notes else "",
        ]
    )


_SECTIONS: tuple[tuple[str, str, Callable[[Section], str]], ...] = (
    ("alarm", "From comparison to decision", alarm),
    ("triage", "Broken or changed", triage),
    ("performance", "Performance", performance),
)


def _finding(one: Section) -> list[str]:
    share = number(one.get("share"))
    kind = str(one.get("kind", "-"))
    return [
        safe(kind if one.get("is_certain", True) else f"perhaps {kind}"),
        safe(one.get("column") or "whole rows"),
        safe(one.get("since") or "-"),
        "-" if share is None else f"{share:.0%}",
        safe(one.get("evidence", "")),
        safe(one.get("remedy", "")),
    ]


def _warnings(found: Any) -> str:
    if not found:
        return ""
    items = "".join(f"<li>{safe(one)}</li>" for one in found)
    return f'<div class="warn"><b>Weaker than asked for</b><ul>{items}</ul></div>'


def _part(found: Section, name: str) -> Section:
    one = found.get(name)
    return one if isinstance(one, dict) else {}


def _interval(one: Any) -> str:
    value, low, high = (
        number(one.get(key)) if isinstance(one, dict) else None
        for key in ("value", "lower", "upper")
    )
    if value is None:
        return "-"
    ends = "" if low is None or high is None else f" <small>[{low:.4f}, {high:.4f}]</small>"
    return f"{value:.4f}{ends}"
