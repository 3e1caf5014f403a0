"""Pictures of a whole model: its contributions, its curves, and how far rows differ from it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from retrue.html_page.charts import (
    BLUE,
    GREY,
    INK,
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
    ticks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrue.interpretation.curves import Curve
    from retrue.interpretation.explained_model import ExplainedModel, Floats
    from retrue.serving.features import Feature

LOW, HIGH = (33, 102, 172), (178, 24, 43)
VIOLET, PALE = "#7b5ea7", "#9fb3c8"
N_SHADES = 7
N_DOTS = 300
N_LINES = 40


def beeswarm(
    model: ExplainedModel,
    matrix: Floats,
    values: Floats,
    order: Sequence[int],
    title: str,
) -> str:
    """Contributions of single rows by feature; colour tells low from high values.

    Parameters
    ----------
    values : ndarray, shape (n_rows, n_features)
        Contributions to one output.
    order : sequence of int
        Features to draw, from the top.
    """
    left, width, high = 185.0, 875.0, 30.0
    picked = np.linspace(0, len(values) - 1, min(N_DOTS, len(values))).astype(np.intp)
    dots = values[picked]
    # One row far off must not press all others together: it stands at the edge.
    ends = np.quantile(dots[:, list(order)], [0.002, 0.998]) if order else np.array([-1.0, 1.0])
    marks = ticks(min(float(ends[0]), 0.0), max(float(ends[1]), 0.0), 6)
    zoom = (width - left - 20) / (marks[-1] - marks[0])
    bottom, body = len(order) * high, ""
    for mark in marks:
        x = left + (mark - marks[0]) * zoom
        body += line(x, 0, x, bottom, GREY if mark else INK)
        body += label(x, bottom + 16, brief(mark), "middle")
    for i, feature in enumerate(order):
        y = (i + 0.5) * high
        body += label(left - 8, y + 4, short(model.names[feature], 23), "end")
        across = left + (np.clip(dots[:, feature], marks[0], marks[-1]) - marks[0]) * zoom
        block = matrix[picked, model.slices[feature]]
        colours = _colours(model.features[feature], block)
        offsets = _spread_out(across, high / 2 - 4)
        for colour in sorted(set(colours)):
            mine = [j for j, found in enumerate(colours) if found == colour]
            path = "".join(f"M{across[j]:.1f} {y + offsets[j]:.1f}h0" for j in mine)
            body += (
                f'<path d="{path}" stroke="{colour}" stroke-width="4.5" stroke-linecap="round" '
                'stroke-opacity=".75" fill="none"/>'
            )
    return svg(width, bottom + 22, title, body)


def colour_key() -> str:
    """What the dots' colours mean, as HTML."""
    bar = "".join(
        box(i * 12, 0, 12, 10, mixed(LOW, HIGH, i / (N_SHADES - 1))) for i in range(N_SHADES)
    )
    scale = svg(N_SHADES * 12, 10, "From low to high values", bar, "key")
    signs = "".join(
        f'<li><svg width="12" height="12" aria-hidden="true"><circle cx="6" cy="6" r="4.5" '
        f'fill="{colour}"/></svg> {text}</li>'
        for colour, text in ((VIOLET, "a category or a text"), (PALE, "missing"))
    )
    return f'<ul class="legend"><li>low {scale} high</li>{signs}</ul>'


def curve_chart(curve: Curve, output: int, is_share: bool, title: str) -> str:
    """Centred ICE lines of one output and their mean, which is the partial dependence.

    Of several classes the means of all are drawn, each in its colour.
    """
    if not curve.values.is_ordered:
        return _categories(curve, output, is_share, title)
    left, right, top, bottom = 52.0, 350.0, 8.0, 190.0
    places = curve.values.places[curve.grid]
    centred = curve.centred
    lines = centred[:: max(1, len(centred) // N_LINES), output]
    means = centred.mean(axis=0)
    low, high = _ends(np.concatenate([lines, means]))
    marks = ticks(low, high, 4)
    zoom_y = (bottom - top) / (marks[-1] - marks[0])
    zoom_x = (right - left) / ((places[-1] - places[0]) or 1.0)
    write = _points if is_share else brief

    def path(values: Floats) -> str:
        shown = np.clip(values, marks[0], marks[-1])
        steps = (
            f"{left + (at - places[0]) * zoom_x:.1f} {bottom - (one - marks[0]) * zoom_y:.1f}"
            for at, one in zip(places, shown, strict=True)
        )
        return "M" + "L".join(steps)

    body = ""
    for mark in marks:
        y = bottom - (mark - marks[0]) * zoom_y
        body += line(left, y, right, y, INK if mark == 0 else GREY)
        body += label(left - 6, y + 4, write(mark), "end", ' class="s"')
    faint = "".join(path(one) for one in lines)
    body += f'<path d="{faint}" fill="none" stroke="{PALE}" stroke-width=".8" opacity=".7"/>'
    for i, mean in enumerate(means):
        colour = PALETTE[i % len(PALETTE)] if len(means) > 1 else BLUE
        body += f'<path d="{path(mean)}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):  # where the rows are
        reached = np.cumsum(curve.values.counts) / curve.values.counts.sum()
        at = curve.values.places[int(np.searchsorted(reached, share))]
        x = left + (min(max(at, places[0]), places[-1]) - places[0]) * zoom_x
        body += line(x, bottom + 1, x, bottom + 7, INK)
    ends = [(left, "start", 0), (right, "end", -1)]
    for x, anchor, i in ends:
        at = int(curve.grid[i])
        is_number = curve.values.feature["kind"] == "numeric"
        text = f"{curve.values.raw[at]:.4g}" if is_number else short(curve.values.texts[at], 22)
        body += label(x, bottom + 20, text, anchor, ' class="s"')
    return svg(right + 10, bottom + 26, title, body)


def histogram(values: Floats, title: str, what: str) -> str:
    """How many rows have which value between the smallest and 1."""
    left, right, top, bottom = 40.0, 520.0, 8.0, 120.0
    low = math.floor(float(values.min()) * 20) / 20
    low = min(low, 0.95)
    n_bins = round((1 - low) * 40)
    counts, edges = np.histogram(values, bins=n_bins, range=(low, 1.0))
    step, most = (right - left) / n_bins, int(counts.max()) or 1
    body = ""
    for i, count in enumerate(counts.tolist()):
        height = count / most * (bottom - top)
        said = f"{what} {edges[i]:.3f} to {edges[i + 1]:.3f}: {count:,} rows"
        body += box(left + i * step, bottom - height, step * 0.9, height, BLUE, said)
    for mark in ticks(low, 1.0, 5):
        if low <= mark <= 1:
            x = left + (mark - low) / (1 - low) * (right - left)
            body += line(x, bottom, x, bottom + 4, INK)
            body += label(x, bottom + 17, brief(mark), "middle")
    middle = left + (float(np.median(values)) - low) / (1 - low) * (right - left)
    body += line(middle, top, middle, bottom, "#c05621", ' stroke-dasharray="4 3"')
    return svg(right + 20, bottom + 24, title, body)


def _categories(curve: Curve, output: int, is_share: bool, title: str) -> str:
    """Difference from each line's own mean: 10th to 90th percentile, and the mean."""
    centred = curve.centred
    spread = np.quantile(centred[:, output], [0.1, 0.9], axis=0)
    means = centred.mean(axis=0)
    order = np.argsort(means[output], kind="stable")[::-1][:14]
    order = order if len(means[output]) <= 14 else np.concatenate([order[:7], np.argsort(
        means[output], kind="stable")[:7][::-1]])  # fmt: skip
    left, right = 122.0, 350.0
    marks = ticks(float(spread[0].min()), float(spread[1].max()), 4)
    zoom = (right - left - 10) / (marks[-1] - marks[0])
    bottom, body = len(order) * (ROW - 4.0) + 2, ""
    write = _points if is_share else brief
    for mark in marks:
        x = left + (mark - marks[0]) * zoom
        body += line(x, 0, x, bottom, INK if mark == 0 else GREY)
        body += label(x, bottom + 14, write(mark), "middle", ' class="s"')
    for i, at in enumerate(order.tolist()):
        y = (i + 0.5) * (ROW - 4) + 1
        text = curve.values.texts[int(curve.grid[at])]
        body += label(left - 6, y + 4, short(text, 15), "end", ' class="s"')
        ends = [left + (float(end[at]) - marks[0]) * zoom for end in spread]
        body += line(ends[0], y, ends[1], y, PALE, ' stroke-width="3"')
        for j, mean in enumerate(means):
            colour = PALETTE[j % len(PALETTE)] if len(means) > 1 else BLUE
            x = left + (min(max(float(mean[at]), marks[0]), marks[-1]) - marks[0]) * zoom
            said = safe(f"{text}: {write(float(mean[at]))}")
            body += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}">'
            body += f"<title>{said}</title></circle>"
    return svg(right + 10, bottom + 20, title, body)


def _points(share: float) -> str:
    """A difference of probabilities in percentage points."""
    return f"{100 * share:+.3g}" if share else "0"


def _ends(lines: Floats) -> tuple[float, float]:
    low, high = np.quantile(lines, [0.005, 0.995])
    return min(float(low), 0.0), max(float(high), 0.0) or 1e-9


def _colours(feature: Feature, block: Floats) -> list[str]:
    values = block[:, -1] if feature["kind"] == "date" else block[:, 0]
    missing = np.isnan(values)
    if feature["kind"] not in ("numeric", "date"):
        return [PALE if gap else VIOLET for gap in missing.tolist()]
    known = np.sort(values[~missing])
    middle = np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")
    depth = middle / (2 * max(len(known), 1))
    shades = np.minimum((depth * N_SHADES).astype(int), N_SHADES - 1).tolist()
    return [
        PALE if gap else mixed(LOW, HIGH, shade / (N_SHADES - 1))
        for gap, shade in zip(missing.tolist(), shades, strict=True)
    ]


def _spread_out(x: Floats, room: float) -> list[float]:
    """How far up or down each dot goes so that a crowd is seen as one."""
    offsets = [0.0] * len(x)
    taken: dict[int, int] = {}
    for j, at in enumerate(x.tolist()):
        n = taken.get(cell := int(at // 4), 0)
        taken[cell] = n + 1
        step = (n + 1) // 2 * 2.6 * (1 if n % 2 else -1)
        offsets[j] = (step + room) % (2 * room) - room if abs(step) > room else step
    return offsets


def share_bar(share: float, most: float, colour: str = BLUE) -> str:
    """A bar, 70 pixels wide for the largest share of its column, and the share beside it."""
    wide = share / most * 70 if most > 0 else 0.0
    bar = box(0, 2, wide, 9, colour) if share > 0 else ""
    return f"{svg(70, 13, percent(share), bar, 'bar')} {percent(share)}"
