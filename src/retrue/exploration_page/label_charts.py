"""Pictures of the label: along a column, over time, and of columns against each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from retrue.exploration.associations import Associations
from retrue.exploration.target import Cell
from retrue.html_page.charts import (
    BLUE,
    GREY,
    ORANGE,
    PALETTE,
    ROW,
    box,
    brief,
    label,
    line,
    mixed,
    percent,
    safe,
    short,
    svg,
    tick_places,
    ticks,
)

Write = Callable[[float], str]


def along_chart(
    cells: Sequence[Cell], overall: Cell, classes: Sequence[str], task: str, title: str
) -> str:
    """The label in each bin of a column: rows at the left, rate or mean with interval right."""
    left, counts, start, width = 118.0, 40.0, 168.0, 360.0
    most = max((cell.n for cell in cells), default=0) or 1
    body = ""
    for i, cell in enumerate(cells):
        y = i * ROW
        body += label(left - 6, y + 14, short(cell.label, 18), "end", ' class="s"')
        what = f"{cell.label}: {cell.n:,} labelled rows"
        body += box(left, y + 4, cell.n / most * counts, ROW - 8, "#9fb3c8", what)
    if task == "multiclass":
        for i, cell in enumerate(cells):
            body += _stack(cell, classes, start, i * ROW + 3, width - start - 8, ROW - 6)
        return svg(width, len(cells) * ROW + 4, title, body)
    write: Write = percent if task == "binary" else brief
    marks = ticks(*_range(cells, overall, task), 3)
    zoom = (width - 26 - start) / (marks[-1] - marks[0])
    bottom = len(cells) * ROW + 2
    for mark in marks:
        x = start + (mark - marks[0]) * zoom
        body += line(x, 0, x, bottom, GREY)
        body += label(x, bottom + 14, write(mark), "middle", ' class="s"')
    x = start + (overall.mean - marks[0]) * zoom
    body += line(x, 0, x, bottom, ORANGE, ' stroke-dasharray="4 3"')
    for i, cell in enumerate(cells):
        if cell.n:
            y = i * ROW + 10
            what = f"{cell.label}: {_said(cell, write)}"
            low, high = (start + (end - marks[0]) * zoom for end in _interval(cell))
            body += line(low, y, high, y, BLUE, ' stroke-width="2"')
            body += _dot(start + (cell.mean - marks[0]) * zoom, y, what)
    return svg(width, bottom + 20, title, body)


def course_chart(
    cells: Sequence[Cell], overall: Cell, classes: Sequence[str], task: str, title: str
) -> str:
    """The label over time: rate or mean with its interval, or shares; labelled rows below."""
    left, right, top, middle, foot = 64.0, 900.0, 8.0, 210.0, 262.0
    step = (right - left) / len(cells)
    most = max(cell.n for cell in cells) or 1
    body = ""
    for i, cell in enumerate(cells):
        x, height = left + i * step, cell.n / most * (foot - middle - 22)
        what = f"{cell.label}: {cell.n:,} labelled rows"
        body += box(x, foot - height, step * 0.9, height, "#9fb3c8", what)
    for i in tick_places(len(cells)):
        body += label(left + (i + 0.5) * step, foot + 16, safe(cells[i].label), "middle")
    body += label(left - 8, foot - 2, "0", "end") + label(left - 8, foot - 22, brief(most), "end")
    if task == "multiclass":
        for i, cell in enumerate(cells):
            body += _columns(cell, classes, left + i * step, top, step * 0.9, middle - top)
        for mark in (0.0, 0.5, 1.0):
            y = middle - mark * (middle - top)
            body += label(left - 8, y + 4, percent(mark), "end")
        return svg(right + 40, foot + 24, title, body)
    write: Write = percent if task == "binary" else brief
    marks = ticks(*_range(cells, overall, task))
    zoom = (middle - top) / (marks[-1] - marks[0])

    def at(value: float) -> float:
        return middle - (value - marks[0]) * zoom

    for mark in marks:
        body += line(left, at(mark), right, at(mark), GREY)
        body += label(left - 8, at(mark) + 4, write(mark), "end")
    body += line(left, at(overall.mean), right, at(overall.mean), ORANGE, ' stroke-dasharray="4 3"')
    known = [(left + (i + 0.5) * step, cell) for i, cell in enumerate(cells) if cell.n]
    path = "".join(
        f"{'M' if i == 0 else 'L'}{x:.1f} {at(cell.mean):.1f}" for i, (x, cell) in enumerate(known)
    )
    body += f'<path d="{path}" fill="none" stroke="{BLUE}" stroke-width="1.5"/>'
    for x, cell in known:
        low, high = _interval(cell)
        body += line(x, at(low), x, at(high), BLUE, ' stroke-width="2" opacity="0.55"')
        body += _dot(x, at(cell.mean), f"{cell.label}: {_said(cell, write)}")
    return svg(right + 40, foot + 24, title, body)


def matrix_chart(found: Associations, title: str) -> str:
    """Lower triangle of the associations; blue negative, red positive, violet without a sign."""
    left, cell = 180.0, 17.0
    body, n = "", len(found.names)
    for i, name in enumerate(found.names):
        y = i * cell
        body += label(left - 6, y + 12.5, short(name, 24), "end", ' class="s"')
        for j in range(i):
            strength = found.matrix[i][j]
            is_ranked = found.is_ordered[i] and found.is_ordered[j]
            what = f"{name} and {found.names[j]}: {_strength(strength, is_ranked)}"
            fill = _hue(strength, is_ranked)
            body += box(left + j * cell, y, cell - 1, cell - 1, fill, what)
        x = left + i * cell + 8
        turn = f' transform="rotate(-55 {x + 4:.1f} {n * cell + 10:.1f})" class="s"'
        if i < n - 1:
            body += label(x + 4, n * cell + 10, short(name, 18), "end", turn)
    return svg(left + n * cell + 20, n * cell + 105, title, body)


def legend(classes: Sequence[str]) -> str:
    """Which colour is which class, as HTML."""
    signs = (
        f'<li><svg width="12" height="12" aria-hidden="true"><rect width="12" height="12" '
        f'fill="{PALETTE[i % len(PALETTE)]}"/></svg> {short(name, 30)}</li>'
        for i, name in enumerate(classes)
    )
    return f'<ul class="legend">{"".join(signs)}</ul>'


def _range(cells: Sequence[Cell], overall: Cell, task: str) -> tuple[float, float]:
    known = [end for cell in cells if cell.n for end in (*_interval(cell), cell.mean)]
    known = [*known, overall.mean] if math.isfinite(overall.mean) else known
    if task == "binary":
        # One bin of few rows has an interval that would flatten all others: their means decide.
        sure = [cell.mean for cell in cells if cell.n]
        steady = [cell.high for cell in cells if cell.n >= 30]
        return 0.0, max([*sure, *steady, overall.mean if sure else 1.0, 0.001])
    return min(known, default=0.0), max(known, default=1.0)


def _interval(cell: Cell) -> tuple[float, float]:
    """One row has no interval: its value."""
    return (cell.low, cell.high) if math.isfinite(cell.low) else (cell.mean, cell.mean)


def _said(cell: Cell, write: Write) -> str:
    low, high = _interval(cell)
    return f"{write(cell.mean)} ({write(low)} to {write(high)}), {cell.n:,} rows"


def _dot(x: float, y: float, what: str) -> str:
    place = f'cx="{x:.1f}" cy="{y:.1f}" r="3.5"'
    return f'<circle {place} fill="{BLUE}"><title>{safe(what)}</title></circle>'


def _stack(
    cell: Cell, classes: Sequence[str], x: float, y: float, width: float, height: float
) -> str:
    body = ""
    for i, share in enumerate(cell.shares):
        if cell.n and share > 0:
            what = f"{cell.label}, {classes[i]}: {percent(share)} of {cell.n:,} rows"
            body += box(x, y, share * width, height, PALETTE[i % len(PALETTE)], what)
            x += share * width
    return body


def _columns(
    cell: Cell, classes: Sequence[str], x: float, y: float, width: float, height: float
) -> str:
    body = ""
    for i, share in enumerate(cell.shares):
        if cell.n and share > 0:
            what = f"{cell.label}, {classes[i]}: {percent(share)} of {cell.n:,} rows"
            body += box(x, y, width, share * height, PALETTE[i % len(PALETTE)], what)
            y += share * height
    return body


def _hue(strength: float, is_ranked: bool) -> str:
    if not math.isfinite(strength):
        return "#f4f4f4"
    depth = round(min(abs(strength), 1.0) * 20) / 20
    dark = (84, 39, 136) if not is_ranked else (178, 24, 43) if strength > 0 else (33, 102, 172)
    return mixed((247, 247, 247), dark, depth)


def _strength(strength: float, is_ranked: bool) -> str:
    if not math.isfinite(strength):
        return "too few rows"
    return f"{strength:+.2f}" if is_ranked else f"{strength:.2f}"
