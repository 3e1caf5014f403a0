"""Pictures of one row, and of the tree that imitates the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrue.html_page.charts import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    ROW,
    box,
    brief,
    label,
    line,
    mixed,
    safe,
    short,
    svg,
    ticks,
)
from retrue.interpretation.seen_values import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from retrue.interpretation.mimic import Mimic, Node
    from retrue.interpretation.row_study import RowStudy

N_BARS = 10
RED, COLD = "#b2182b", "#2166ac"


def waterfall(row: RowStudy, names: Sequence[str], unit: str) -> str:
    """From the base to the row's margin, one bar a feature, the strongest first."""
    left, width = 205.0, 525.0
    order = np.argsort(-np.abs(row.tree_shap), kind="stable")
    steps = [
        (names[i], shown(row.raw.get(names[i]), 5), float(row.tree_shap[i])) for i in order[:N_BARS]
    ]
    rest = float(row.tree_shap[order[N_BARS:]].sum())
    if len(order) > N_BARS:
        steps.append((f"{len(order) - N_BARS} other features", "", rest))
    ends = row.base + np.cumsum([0.0, *(size for *_, size in steps)])
    marks = ticks(float(ends.min()), float(ends.max()), 5)
    zoom = (width - left - 60) / (marks[-1] - marks[0])

    def at(value: float) -> float:
        return left + (value - marks[0]) * zoom

    bottom, body = (len(steps) + 2) * ROW, ""
    for mark in marks:
        body += line(at(mark), 0, at(mark), bottom, GREY)
        body += label(at(mark), bottom + 15, brief(mark), "middle", ' class="s"')
    body += label(left - 8, 14, "mean of all (base)", "end")
    body += line(at(row.base), 3, at(row.base), ROW + 4, INK)
    for i, (name, value, size) in enumerate(steps):
        y, start, end = (i + 1) * ROW, at(float(ends[i])), at(float(ends[i + 1]))
        body += label(left - 8, y + 14, _named(name, value), "end")
        fill = RED if size > 0 else COLD
        body += box(
            min(start, end),
            y + 3,
            max(abs(end - start), 1),
            ROW - 6,
            fill,
            f"{name} = {value}" if value else name,
        )
        body += label(max(start, end) + 4, y + 14, f"{size:+.3g}", more=' class="n"')
        body += line(end, y + 3, end, y + ROW + 3, INK, ' stroke-dasharray="2 2"')
    y = (len(steps) + 1) * ROW
    body += label(left - 8, y + 14, f"this row, {unit}", "end", ' font-weight="600"')
    body += line(at(row.margin), y - 2, at(row.margin), y + ROW, INK, ' stroke-width="2"')
    body += label(at(row.margin) + 4, y + 14, brief(row.margin), more=' class="n"')
    return svg(width, bottom + 20, f"{row.title}: contributions to the margin", body)


def reach_chart(row: RowStudy, threshold: float | None, write: Callable[[float], str]) -> str:
    """How far each feature alone moves the score; orange where that flips the decision."""
    left, width = 205.0, 525.0
    shown_reaches = row.reaches[:N_BARS]
    points = [row.score, *(end for one in shown_reaches for end in (one.lowest, one.highest))]
    points += [] if threshold is None else [threshold]
    marks = ticks(min(points), max(points), 5)
    zoom = (width - left - 60) / (marks[-1] - marks[0])

    def at(value: float) -> float:
        return left + (value - marks[0]) * zoom

    bottom, body = len(shown_reaches) * ROW + 4, ""
    for mark in marks:
        body += line(at(mark), 0, at(mark), bottom, GREY)
        body += label(at(mark), bottom + 15, write(mark), "middle", ' class="s"')
    for i, one in enumerate(shown_reaches):
        y = i * ROW + 2
        now = shown(row.raw.get(one.values.name), 5)
        body += label(left - 8, y + 14, _named(one.values.name, now), "end")
        low, high = at(one.lowest), at(one.highest)
        said = (
            f"{one.values.name}: {write(one.lowest)} at {one.lowest_at}, {write(one.highest)} at"
            f" {one.highest_at}"
        )
        body += box(low, y + 5, max(high - low, 1), ROW - 9, ORANGE if one.flips else BLUE, said)
    body += line(at(row.score), 0, at(row.score), bottom, INK, ' stroke-width="1.5"')
    if threshold is not None:
        dashes = ' stroke-dasharray="4 3" stroke-width="1.5"'
        body += line(at(threshold), 0, at(threshold), bottom, RED, dashes)
    return svg(width, bottom + 20, f"{row.title}: what if one feature were another", body)


def scatter(tree: Sequence[float], kernel: Sequence[float], title: str) -> str:
    """Kernel SHAP against TreeSHAP, one dot a feature and row; alike on the diagonal."""
    left, right, top, bottom = 50.0, 330.0, 8.0, 288.0
    low, high = min(*tree, *kernel, 0.0), max(*tree, *kernel, 0.0)
    marks = ticks(low, high, 5)
    zoom = (right - left) / (marks[-1] - marks[0])

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (x - marks[0]) * zoom, bottom - (y - marks[0]) * zoom

    body = ""
    for mark in marks:
        x, y = place(mark, mark)
        body += line(x, top, x, bottom, GREY) + line(left, y, right, y, GREY)
        body += label(x, bottom + 16, brief(mark), "middle", ' class="s"')
        body += label(left - 6, y + 4, brief(mark), "end", ' class="s"')
    body += line(left, bottom, right, top, "#9fb3c8", ' stroke-dasharray="4 3"')
    dots = (place(x, y) for x, y in zip(tree, kernel, strict=True))
    path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in dots)
    body += (
        f'<path d="{path}" stroke="{BLUE}" stroke-width="6" stroke-linecap="round" '
        'stroke-opacity=".6" fill="none"/>'
    )
    body += label((left + right) / 2, bottom + 34, "TreeSHAP", "middle")
    middle = (top + bottom) / 2
    turn = f' transform="rotate(-90 12 {middle:.0f})"'
    body += label(12, middle, "Kernel SHAP", "middle", turn)
    return svg(right + 12, bottom + 42, title, body)


def tree_chart(found: Mimic, output: int, write: Callable[[float], str], title: str) -> str:
    """The surrogate tree from left to right; redder is a higher score, thicker is more rows."""
    leaf_height, step = 40.0, 186.0
    leaves = found.root.rules()
    low = min(node.scores[output] for _, node in leaves)
    high = max(node.scores[output] for _, node in leaves)
    total = found.root.n_rows
    body, next_leaf, deepest = [""], 0, 0

    def colour(node: Node) -> str:
        depth = (node.scores[output] - low) / ((high - low) or 1.0)
        return mixed((33, 102, 172), (178, 24, 43), depth)

    def draw(node: Node, depth: int) -> float:
        nonlocal next_leaf, deepest
        x, deepest = 14 + depth * step, max(deepest, depth)
        if node.yes is None or node.no is None:
            y = (next_leaf + 0.5) * leaf_height
            next_leaf += 1
        else:
            ends = [(draw(node.yes, depth + 1), node.yes, node.question)]
            ends.append((draw(node.no, depth + 1), node.no, node.counter))
            y = (ends[0][0] + ends[1][0]) / 2
            for end, child, text in ends:
                thick = 1 + 9 * child.n_rows / total
                bend = f"M{x:.0f} {y:.1f}C{x + 30:.0f} {y:.1f} {x + 10:.0f} {end:.1f} "
                bend += f"{x + 40:.0f} {end:.1f}H{x + step:.0f}"
                body[0] = (
                    f'<path d="{bend}" fill="none" stroke="#d9e2ec" stroke-width="{thick:.1f}"/>'
                    + body[0]
                )
                words = f"<tspan>{_asked(text)}<title>{safe(text)}</title></tspan>"
                body[0] += label(x + 38, end - 6 - thick / 2, words, more=' class="s"')
        size = 4 + 7 * (node.n_rows / total) ** 0.5
        said = f"{write(node.scores[output])}, {node.n_rows:,} rows"
        body[0] += (
            f'<circle cx="{x:.0f}" cy="{y:.1f}" r="{size:.1f}" fill="{colour(node)}">'
            f"<title>{said}</title></circle>"
        )
        if node.yes is None:
            body[0] += label(x + size + 5, y + 4, f"<tspan>{said}</tspan>")
        return y

    draw(found.root, 0)
    return svg(40 + deepest * step + 150, next_leaf * leaf_height + 4, title, body[0])


def _named(name: str, value: str) -> str:
    """A feature and its value, each cut by itself so that neither hides the other."""
    if not value:
        return short(name, 28)
    room = max(9, 24 - len(name))
    told = short(value, room)
    return f"{short(name, max(12, 24 - min(len(value), room)))} = {told}"


def _asked(text: str) -> str:
    """A question in some 22 signs: the name is cut before what is asked of it."""
    for sign in (" ≤ ", " > ", " in "):
        name, found, rest = text.rpartition(sign)
        if found:
            rest = rest.replace(" or missing", " or none")
            told = short(rest, 13)
            return f"{short(name, max(8, 18 - min(len(rest), 14)))}{safe(sign)}{told}"
    return short(text, 24)
