"""Pictures of versions side by side, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrue.html_page.charts import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    ROW,
    box,
    label,
    line,
    mixed,
    percent,
    short,
    svg,
    ticks,
)
from retrue.model_card.changes import sign
from retrue.model_card.charts import dot

if TYPE_CHECKING:
    from retrue.model_card.facts import Effect

_DARK = 0.8
"""From it on a cell is so dark that white text is easier to read (WCAG contrast)."""


@dataclass(frozen=True)
class Point:
    """One version's figure; without a value the version has its place and a word instead."""

    version: int
    value: float | None
    interval: tuple[float, float] | None
    serves: bool


def versions_chart(points: Sequence[Point], title: str, absent: str = "") -> str:
    """A figure over the versions with its intervals; the one that serves is orange, with a line."""
    left, top, bottom, step = 56.0, 12.0, 190.0, 58.0
    width = max(left + step * len(points) + 16, 200.0)
    ends = [
        end for one in points if one.value is not None for end in (one.interval or (one.value,))
    ]
    marks = ticks(min(ends, default=0.0), max(ends, default=1.0))
    zoom, body = (bottom - top) / (marks[-1] - marks[0]), ""
    for mark in marks:
        y = bottom - (mark - marks[0]) * zoom
        body += line(left, y, width - 12, y, GREY) + label(left - 6, y + 4, f"{mark:g}", "end")
    for one in points:
        if one.serves and one.value is not None:
            y = bottom - (one.value - marks[0]) * zoom
            body += line(left, y, width - 12, y, ORANGE, ' stroke-dasharray="4 3"')
    for i, one in enumerate(points):
        x, fill = left + step * (i + 0.5), ORANGE if one.serves else BLUE
        name = f"v{one.version}" + (" serves" if one.serves else "")
        body += label(x, bottom + 18, name, "middle")
        if one.value is None:
            body += label(x, (top + bottom) / 2, absent, "middle", ' class="s" fill-opacity="0.7"')
            continue
        what = f"version {one.version}: {one.value:.4f}"
        if one.interval is not None:
            low, high = (bottom - (end - marks[0]) * zoom for end in one.interval)
            what += f" [{one.interval[0]:.4f}, {one.interval[1]:.4f}]"
            body += line(x, low, x, high, fill, ' stroke-width="2"')
            body += line(x - 4, low, x + 4, low, fill) + line(x - 4, high, x + 4, high, fill)
        body += dot(x, bottom - (one.value - marks[0]) * zoom, what, fill)
    return svg(width, bottom + 26, title, body)


def importance_chart(
    effects: Sequence[tuple[int, Sequence[Effect]]], names: Sequence[str], title: str
) -> str:
    """Share of each feature in each version: a row a feature, a column a version."""
    left, cell, head = 130.0, 62.0, 22.0
    most = max((one.share for _, found in effects for one in found), default=0.0) or 1.0
    body = ""
    for j, (version, found) in enumerate(effects):
        x = left + j * cell
        body += label(x + cell / 2, 14, f"v{version}", "middle")
        known = {one.name: one for one in found}
        for i, name in enumerate(names):
            one, y = known.get(name), head + i * ROW
            depth = 0.0 if one is None else one.share / most
            arrow = {1: " ↑", -1: " ↓", 0: ""}[0 if one is None else sign(one.direction)]
            said = "-" if one is None else percent(one.share) + arrow
            fill = mixed((247, 250, 252), (43, 108, 176), depth)
            body += box(x + 1, y + 1, cell - 2, ROW - 2, fill, f"{name}, version {version}: {said}")
            ink = "#ffffff" if depth >= _DARK else INK
            more = f' class="s" style="fill:{ink}" pointer-events="none"'
            body += label(x + cell / 2, y + 14, said, "middle", more)
    for i, name in enumerate(names):
        body += label(left - 6, head + i * ROW + 14, short(name, 18), "end")
    return svg(left + cell * len(effects) + 4, head + ROW * len(names) + 4, title, body)
