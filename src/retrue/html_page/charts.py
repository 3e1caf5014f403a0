"""Small pictures as inline SVG: no script, no font, nothing fetched; each has a title."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from html import escape

BLUE, ORANGE, GREY, INK = "#2b6cb0", "#c05621", "#d9e2ec", "#1f2933"
PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8ab00", "#8d99a6",
)  # fmt: skip
"""Eight colours that colour-blind people can tell apart (Okabe and Ito 2008), yellow darkened."""
ROW = 20


def safe(text: object) -> str:
    """Text for HTML and its attributes; control characters, which HTML has no place for, shown."""
    plain = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(sign) in ("Cc", "Cs") else sign
        for sign in str(text).replace("\n", "\u23ce").replace("\t", " ")
    )
    return escape(plain)


def short(text: object, width: int) -> str:
    """Text cut to `width` Latin letters, escaped; a Korean letter is as wide as two.

    The middle goes: the names of wide tables differ at their ends.

    Examples
    --------
    >>> short("<departure>", 8), short("출발지연시간", 8), short("arrival", 8)
    ('&lt;depa…e&gt;', '출발…간', 'arrival')
    """
    signs = str(text)
    wide = [2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in signs[: 4 * width]]
    if sum(wide) <= width and len(signs) == len(wide):
        return safe(signs)
    tail_wide = [2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in signs[-width:]]
    head = _fitting(wide, width - 1 - (width - 1) // 3)
    tail = _fitting(tail_wide[::-1], (width - 1) // 3)
    return f"{safe(signs[:head])}…{safe(signs[len(signs) - tail :])}"


def _fitting(widths: Sequence[int], room: int) -> int:
    """How many of the first signs fit."""
    used = 0
    for i, width in enumerate(widths):
        used += width
        if used > room:
            return i
    return len(widths)


def svg(width: float, height: float, title: str, body: str, name: str = "chart") -> str:
    """A picture with a title that a screen reader says."""
    return (
        f'<svg class="{name}" role="img" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}"><title>{safe(title)}</title>{body}</svg>'
    )


def label(x: float, y: float, text: str, anchor: str = "start", more: str = "") -> str:
    """A text (escaped by the caller) at a point."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{text}</text>'


def box(x: float, y: float, width: float, height: float, fill: str, title: str = "") -> str:
    """A filled rectangle that says `title` under the pointer."""
    start = f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" '
    return start + (
        f'fill="{fill}"><title>{safe(title)}</title></rect>' if title else f'fill="{fill}"/>'
    )


def line(x1: float, y1: float, x2: float, y2: float, stroke: str, more: str = "") -> str:
    """A straight line."""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"{more}/>'
    )


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers that cover `low` to `high`, a step of 1, 2 or 5 times a power of ten.

    Examples
    --------
    >>> ticks(0, 0.37)
    [0.0, 0.1, 0.2, 0.3, 0.4]
    """
    if not math.isfinite(low) or not math.isfinite(high) or high - low <= abs(high) * 1e-12:
        high = low + 1.0 if math.isfinite(low) else 1.0
        low = low if math.isfinite(low) else 0.0
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def brief(value: float) -> str:
    """A number in few signs.

    Examples
    --------
    >>> [brief(x) for x in (0.25, 1234.5, 3_400_000, 0.00012, float("nan"))]
    ['0.25', '1,234', '3.4M', '0.00012', '-']
    """
    if not math.isfinite(value):
        return "-"
    for size, sign in ((1e9, "G"), (1e6, "M")):
        if abs(value) >= size:
            return f"{value / size:.3g}{sign}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def percent(share: float) -> str:
    """A share in percent; a small one is not rounded to nothing, a large one not to all.

    Examples
    --------
    >>> [percent(x) for x in (0.0, 0.00004, 0.123, 0.99999, 1.0)]
    ['0 %', '<0.1 %', '12.3 %', '>99.9 %', '100 %']
    """
    if not math.isfinite(share):
        return "-"
    if 0 < share < 0.001:
        return "<0.1 %"
    if 0.999 < share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def sparkline(bars: Sequence[int], title: str) -> str:
    """Bars without axes, 120 by 28."""
    width, height = 120.0, 28.0
    top = max(bars, default=0)
    if not top:
        return ""
    step = min(width / len(bars), 24.0)
    path = "".join(
        f"M{i * step:.1f} {height:g}v-{max(count / top * (height - 1), 1):.1f}"
        f"h{step * 0.86:.1f}V{height:g}z"
        for i, count in enumerate(bars)
        if count
    )
    return svg(width, height, title, f'<path d="{path}" fill="{BLUE}"/>', "spark")


def bar_chart(
    rows: Sequence[tuple[str, float, float, bool]], title: str, form: str = "number"
) -> str:
    """Horizontal bars: name, value, its standard deviation (or 0), and whether it is a feature."""
    write = percent if form == "percent" else brief
    left, width, right = 170.0, 420.0, 70.0
    low = min(0.0, *(value - spread for _, value, spread, _ in rows))
    high = max(0.0, *(value + spread for _, value, spread, _ in rows)) or 1.0
    zoom = (width - left - right) / (high - low)
    zero, body = left - low * zoom, ""
    for i, (name, value, spread, is_feature) in enumerate(rows):
        y, end = i * ROW + 3, zero + value * zoom
        body += label(left - 6, y + 11, short(name, 23), "end")
        what = f"{name}: {write(value)}" + (f" ± {write(spread)}" if spread else "")
        fill = BLUE if is_feature else "#9fb3c8"
        body += box(min(zero, end), y, abs(end - zero), ROW - 7, fill, what)
        if spread:
            body += line(end - spread * zoom, y + 6.5, end + spread * zoom, y + 6.5, INK)
        body += label(max(end + spread * zoom, zero) + 5, y + 11, write(value), more=' class="n"')
    body += line(zero, 0, zero, len(rows) * ROW, INK)
    return svg(width, len(rows) * ROW + 2, title, body)


def heat_map(rows: Sequence[tuple[str, Sequence[float]]], spans: Sequence[str], title: str) -> str:
    """Shares (NaN: no rows) of each name along calendar spans; neighbours alike are one box."""
    left, cell = 180.0, min(30.0, 720 / len(spans))
    body = ""
    for i, (name, shares) in enumerate(rows):
        y = i * ROW
        body += label(left - 6, y + 13, short(name, 24), "end")
        start = 0
        said = [percent(share) for share in shares]
        for j in range(1, len(shares) + 1):
            if j < len(shares) and said[j] == said[start]:
                continue
            share = shares[start]
            fill = "#ffffff" if not math.isfinite(share) else shade(share)
            span = spans[start] if j - start == 1 else f"{spans[start]} to {spans[j - 1]}"
            what = f"{name}, {span}: {said[start]} missing"
            x = left + start * cell
            body += box(x, y + 1, (j - start) * cell + 0.2, ROW - 2, fill, what)
            start = j
    bottom = len(rows) * ROW
    for i in tick_places(len(spans)):
        x = left + (i + 0.5) * cell
        body += line(x, bottom, x, bottom + 4, INK) + label(
            x, bottom + 17, safe(spans[i]), "middle"
        )
    return svg(left + len(spans) * cell + 40, bottom + 24, title, body)


def shade(share: float) -> str:
    """White-blue to dark blue for 0 to 1, in steps; nothing missing is almost white."""
    if share <= 0:
        return "#eef3f8"
    depth = round(math.sqrt(min(share, 1.0)) * 10) / 10  # the root: 1 % must be seen
    return mixed((198, 219, 239), (8, 48, 107), depth)


def mixed(light: tuple[int, int, int], dark: tuple[int, int, int], depth: float) -> str:
    """A colour between two, 0 being the light one."""
    pairs = zip(light, dark, strict=True)
    return "#" + "".join(f"{round(a + (b - a) * depth):02x}" for a, b in pairs)


def tick_places(n: int, wanted: int = 8) -> list[int]:
    """At most `wanted` evenly spread places of `n`."""
    return list(range(0, n, max(1, -(-n // wanted))))
