"""Pictures of drift as inline SVG: its course, what it is made of, and distributions that moved."""

from __future__ import annotations

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
    label,
    line,
    percent,
    safe,
    short,
    svg,
    tick_places,
)

if TYPE_CHECKING:
    from retrue.check_facts import CheckFacts

COLOURS = {"drift": "#b3261e", "no drift": "#1a7f4b", "cannot tell": "#9a5b00"}
UNKNOWN = "#7b8794"
REST = "#9fb3c8"
"""Of the features that are not told apart."""
Bar = tuple[str, float, float]
"""Name of a bin, and its share of the reference and of the current rows, 0 to 1."""

_LEFT, _TOP, _BOTTOM = 46.0, 20.0, 190.0
_CALM = 820.0
"""Fits beside the contents on a screen of 1,200 pixels."""


def magnitude_chart(checks: Sequence[CheckFacts], title: str) -> str:
    """Magnitude of each check with its interval; dashed steps are the threshold.

    A circle is no drift, a square drift, a question mark below the axis "cannot tell".
    """
    step = _step(len(checks))
    width = max(_LEFT + step * len(checks) + 14, 240.0)
    body = _frame(checks, step, width)
    known = [
        (_middle(i, step), _height(one.magnitude))
        for i, one in enumerate(checks)
        if one.magnitude is not None
    ]
    path = "".join(f"{'ML'[i > 0]}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(known))
    body += f'<path d="{path}" fill="none" stroke="{REST}" stroke-width="1.5"/>'
    for i, one in enumerate(checks):
        x = _middle(i, step)
        if one.threshold is not None:
            y = _height(one.threshold)
            start, end = _LEFT + i * step, _LEFT + (i + 1) * step
            body += line(start, y, end, y, INK, ' stroke-dasharray="5 3"')
        body += _mark(one, x, min(5.0, step / 3))
    return svg(width, _BOTTOM + 44, title, body)


def contributions_chart(checks: Sequence[CheckFacts], names: Sequence[str], title: str) -> str:
    """The magnitude of each check, divided among `names` by their contributions, the rest grey."""
    step = _step(len(checks))
    width = max(_LEFT + step * len(checks) + 14, 240.0)
    body = _frame(checks, step, width)
    for i, one in enumerate(checks):
        if one.magnitude is None:
            body += label(_middle(i, step), _BOTTOM - 5, "?", "middle")
            continue
        foot = 0.0
        named = [(name, one.contributions.get(name, 0.0)) for name in names]
        rest = sum(one.contributions.values()) - sum(share for _, share in named)
        for j, (name, share) in enumerate([*named, ("all others", max(rest, 0.0))]):
            part = one.magnitude * share / 100
            if part < 0.05:
                continue
            fill = PALETTE[j] if j < len(names) else REST
            what = f"{name}: {share:.0f} % of {one.magnitude:.0f} %, {one.window}"
            top, base = _height(foot + part), _height(foot)
            x, wide = _LEFT + i * step + step * 0.15, step * 0.7
            body += box(x, top, wide, base - top, fill, what)
            foot += part
    return svg(width, _BOTTOM + 44, title, body)


def pair_chart(bars: Sequence[Bar], title: str) -> str:
    """Bins one below the other, the reference's share above the current one's."""
    left, width, right, height = 146.0, 400.0, 52.0, 30.0
    most = max((share for _, ref, cur in bars for share in (ref, cur)), default=0.0) or 1.0
    zoom = (width - left - right) / most
    body = ""
    for i, (name, *shares) in enumerate(bars):
        y = i * height + 2
        body += label(left - 6, y + 17, short(name, 20), "end")
        sides = (("reference", UNKNOWN), ("current", ORANGE))
        for j, (share, (side, fill)) in enumerate(zip(shares, sides, strict=True)):
            place = y + j * 12
            body += box(left, place, share * zoom, 11, fill, f"{name}, {side}: {percent(share)}")
            body += label(left + share * zoom + 4, place + 9.5, percent(share), more=' class="n"')
    body += line(left, 0, left, len(bars) * height, INK)
    return svg(width, len(bars) * height + 2, title, body)


def shares_chart(rows: Sequence[tuple[str, float, bool]], title: str) -> str:
    """Contribution of each feature in %; those with a significant test are blue."""
    left, width, right = 150.0, 460.0, 60.0
    zoom = (width - left - right) / (max((share for _, share, _ in rows), default=0.0) or 1.0)
    body = ""
    for i, (name, share, is_significant) in enumerate(rows):
        y = i * ROW + 3
        said = "significant" if is_significant else "not significant"
        body += label(left - 6, y + 11, short(name, 21), "end")
        fill = BLUE if is_significant else REST
        body += box(left, y, share * zoom, ROW - 7, fill, f"{name}: {share:.1f} %, {said}")
        body += label(left + share * zoom + 5, y + 11, f"{share:.1f} %", more=' class="n"')
    body += line(left, 0, left, len(rows) * ROW, INK)
    return svg(width, len(rows) * ROW + 2, title, body)


def _step(n_checks: int) -> float:
    return min(64.0, max(9.0, (_CALM - _LEFT - 14) / max(n_checks, 1)))


def _middle(i: int, step: float) -> float:
    return _LEFT + step * (i + 0.5)


def _height(share: float) -> float:
    """Place of a percentage, 0 to 100."""
    return _BOTTOM - min(max(share, 0.0), 100.0) / 100 * (_BOTTOM - _TOP)


def _frame(checks: Sequence[CheckFacts], step: float, width: float) -> str:
    """Axes, the last day of some windows, and a line where another model version begins."""
    body = ""
    for mark in (0, 25, 50, 75, 100):
        y = _height(mark)
        body += line(_LEFT, y, width - 12, y, GREY)
        body += label(_LEFT - 6, y + 4, f"{mark} %", "end", ' class="s"')
    wanted = max(1, int(step * len(checks) // 84))
    for i in tick_places(len(checks), wanted):
        x = _middle(i, step)
        body += line(x, _BOTTOM, x, _BOTTOM + 4, INK)
        anchor = "start" if i == 0 and step < 60 else "middle"
        place = x - 6 if anchor == "start" else x
        text = safe(checks[i].window_end[:10])
        body += label(place, _BOTTOM + 36, text, anchor, ' class="s"')
    last = None
    for i, one in enumerate(checks):
        if one.model_version != last:
            x = _LEFT + i * step
            if i:
                body += line(x, _TOP - 16, x, _BOTTOM, UNKNOWN, ' stroke-dasharray="2 3"')
            body += label(x + 3, _TOP - 8, f"v{one.model_version}", more=' class="s"')
        last = one.model_version
    return body


def _mark(one: CheckFacts, x: float, size: float) -> str:
    fill = COLOURS.get(one.verdict, UNKNOWN)
    if one.magnitude is None:
        what = f"{one.window}: {one.verdict}, no magnitude"
        sign = label(x, _BOTTOM + 18, "?", "middle", f' font-weight="700" style="fill:{fill}"')
        return f"<g><title>{safe(what)}</title>{sign}</g>"
    y = _height(one.magnitude)
    what = f"{one.window}: {one.verdict}, {one.magnitude:.0f} %"
    body = ""
    if one.magnitude_low is not None and one.magnitude_high is not None:
        what += f" [{one.magnitude_low:.0f}, {one.magnitude_high:.0f}]"
        low, high = _height(one.magnitude_low), _height(one.magnitude_high)
        body += line(x, low, x, high, fill, ' stroke-width="2"')
    if one.verdict == "drift":
        return body + box(x - size, y - size, 2 * size, 2 * size, fill, what)
    if one.verdict == "cannot tell":
        body += label(x, _BOTTOM + 18, "?", "middle", f' font-weight="700" style="fill:{fill}"')
    title = f"<title>{safe(what)}</title>"
    return body + f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" fill="{fill}">{title}</circle>'
