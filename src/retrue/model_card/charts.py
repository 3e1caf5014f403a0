"""Pictures of a model's evidence as inline SVG; they fit a narrow screen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from retrue.html_page.charts import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PALETTE,
    ROW,
    box,
    brief,
    label,
    line,
    percent,
    safe,
    short,
    svg,
    ticks,
)
from retrue.model_card.changes import sign

if TYPE_CHECKING:
    from retrue.model_card.facts import Effect
    from retrue.verdicts import Calibration, SliceGain

WIDTH = 370.0
"""Fits a screen of 400 pixels."""
GREEN, RED = "#1a7f4b", "#b3261e"
Span = tuple[float, float, float]
"""Value, lower and upper end."""


def calibration_chart(found: Calibration, title: str) -> str:
    """Observed share against mean score of each bin; the dashed line is perfect; rows below."""
    left, top, size, foot = 46.0, 8.0, 290.0, 46.0
    known = [one for one in found.bins if one.n]
    high = max((max(one.mean_score, one.observed) for one in known), default=1.0)
    end = min(ticks(0, high)[-1], 1.0) or 1.0
    zoom, bottom, body = size / end, top + size, ""
    for mark in (one for one in ticks(0, end) if one <= end):
        x, y = left + mark * zoom, bottom - mark * zoom
        body += line(left, y, left + size, y, GREY) + label(left - 6, y + 4, percent(mark), "end")
        body += label(x, bottom + foot + 18, percent(mark), "middle")
    body += line(left, bottom, left + size, top, INK, ' stroke-dasharray="4 3"')
    places = [
        (left + one.mean_score * zoom, bottom - min(one.observed, end) * zoom) for one in known
    ]
    path = "".join(f"{'ML'[i > 0]}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(places))
    body += f'<path d="{path}" fill="none" stroke="{BLUE}" stroke-width="1.5"/>'
    most = max((one.n for one in known), default=1)
    for one, (x, y) in zip(known, places, strict=True):
        what = f"said {percent(one.mean_score)}, came true {percent(one.observed)}, {one.n:,} rows"
        height = one.n / most * (foot - 8)
        body += box(x - 4, bottom + foot - height + 2, 8, height, "#9fb3c8", what)
        body += dot(x, y, what)
    body += label(left + size / 2, bottom + foot + 36, "mean score", "middle", ' class="s"')
    body += label(left - 6, bottom + foot, "rows", "end", ' class="s"')
    return svg(WIDTH, bottom + foot + 42, title, body)


def forest_chart(slices: Sequence[SliceGain], title: str) -> str:
    """Gain of each slice with its interval; the short red line is how much worse it may be."""
    left, right = 124.0, 22.0
    ends = [0.0]
    for one in slices:
        ends += [end for end in (one.gain, one.lower, one.upper, -one.margin) if end is not None]
    marks = ticks(min(ends), max(ends), 3)
    zoom = (WIDTH - left - right) / (marks[-1] - marks[0])
    bottom, body = len(slices) * ROW + 4, ""
    for mark in marks:
        x = left + (mark - marks[0]) * zoom
        body += line(x, 0, x, bottom, GREY)
        body += label(x, bottom + 14, f"{mark:+g}" if mark else "0", "middle", ' class="s"')
    zero = left - marks[0] * zoom
    body += line(zero, 0, zero, bottom, INK)
    for i, one in enumerate(slices):
        y = i * ROW + 11
        body += label(left - 6, y + 4, short(f"{one.name} {one.value}", 19), "end", ' class="s"')
        edge = left + (-one.margin - marks[0]) * zoom
        body += line(edge, y - 7, edge, y + 7, RED, ' stroke-width="1.5"')
        if one.gain is None:
            body += label(zero + 6, y + 4, "not measured", more=' class="s"')
            continue
        what = f"{one.name} {one.value}: gain {one.gain:+.4f}, {one.n_rows:,} rows"
        fill = BLUE if one.holds else RED
        if one.lower is not None and one.upper is not None:
            low, high = (left + (end - marks[0]) * zoom for end in (one.lower, one.upper))
            body += line(low, y, high, y, fill, ' stroke-width="2"')
        body += dot(left + (one.gain - marks[0]) * zoom, y, what, fill)
    return svg(WIDTH, bottom + 20, title, body)


def pair_chart(ours: Span, theirs: Span | None, title: str) -> str:
    """Two intervals on one scale, this version above the champion: for a cell of a table."""
    width, height = 150.0, 24.0
    ends = [*ours, *(theirs or ())]
    low, high = min(ends), max(ends)
    zoom = (width - 10) / ((high - low) or 1.0)
    body = ""
    for y, span, fill in ((7.0, ours, BLUE), (18.0, theirs, "#7b8794")):
        if span is not None:
            value, start, end = (5 + (one - low) * zoom for one in span)
            body += line(start, y, end, y, fill, ' stroke-width="2"') + dot(value, y, "", fill)
    return svg(width, height, title, body, "spark")


def effects_chart(effects: Sequence[Effect], title: str) -> str:
    """Share of each feature in what moves scores; the arrow is the direction of its rise."""
    left, right = 124.0, 58.0
    zoom = (WIDTH - left - right) / (max((one.share for one in effects), default=1.0) or 1.0)
    body = ""
    for i, one in enumerate(effects):
        y, way = i * ROW + 3, sign(one.direction)
        body += label(left - 6, y + 11, short(one.name, 17), "end")
        words = {
            1: "a rise raises the score",
            -1: "a rise lowers the score",
            0: "no clear direction",
        }
        fill = {1: ORANGE, -1: BLUE, 0: "#9fb3c8"}[way]
        what = f"{one.name}: {percent(one.share)}, {words[way]}"
        body += box(left, y, one.share * zoom, ROW - 7, fill, what)
        arrow = {1: " ↑", -1: " ↓", 0: ""}[way]
        place = left + one.share * zoom + 5
        body += label(place, y + 11, percent(one.share) + arrow, more=' class="n"')
    return svg(WIDTH, len(effects) * ROW + 4, title, body)


def curves_chart(curves: Sequence[tuple[str, Sequence[float]]], title: str) -> str:
    """Loss of the hold-out after each round, a line each; the dot is the lowest."""
    left, top, bottom = 48.0, 8.0, 200.0
    values = [one for _, curve in curves for one in curve if math.isfinite(one)]
    marks = ticks(min(values, default=0.0), max(values, default=1.0))
    longest = max((len(curve) for _, curve in curves), default=1)
    across = (WIDTH - left - 12) / max(longest - 1, 1)
    zoom, body = (bottom - top) / (marks[-1] - marks[0]), ""
    for mark in marks:
        y = bottom - (mark - marks[0]) * zoom
        body += line(left, y, WIDTH - 12, y, GREY) + label(left - 6, y + 4, f"{mark:g}", "end")
    for at in (one for one in ticks(0, longest, 4) if one <= longest):
        body += label(
            left + max(at - 1, 0) * across, bottom + 16, f"{at:g}", "middle", ' class="s"'
        )
    for i, (name, curve) in enumerate(curves):
        fill = PALETTE[i % len(PALETTE)]
        places = [
            (left + j * across, bottom - (one - marks[0]) * zoom) for j, one in enumerate(curve)
        ]
        path = "".join(f"{'ML'[j > 0]}{x:.1f} {y:.1f}" for j, (x, y) in enumerate(places))
        body += (
            f'<path d="{path}" fill="none" stroke="{fill}" stroke-width="1.6">'
            f"<title>{safe(name)}</title></path>"
        )
        if curve:
            best = min(range(len(curve)), key=curve.__getitem__)
            body += dot(*places[best], f"{name}: {curve[best]:.4f} after {best + 1} rounds", fill)
    body += label((left + WIDTH) / 2, bottom + 32, "boosting rounds", "middle", ' class="s"')
    return svg(WIDTH, bottom + 38, title, body)


def figure(value: float | None, form: str = "") -> str:
    """A figure for a cell; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    return format(value, form) if form else brief(value)


def dot(x: float, y: float, what: str, fill: str = BLUE) -> str:
    """A point that says `what` under the pointer."""
    title = f"<title>{safe(what)}</title>" if what else ""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{fill}">{title}</circle>'
