"""The picture of a search: each trial, and the best so far, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.html_page.charts import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    brief,
    label,
    line,
    safe,
    svg,
    ticks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrue.search.trials import TrialRecord

LEFT, RIGHT, TOP, BOTTOM = 64.0, 900.0, 10.0, 270.0


def course_chart(trials: Sequence[TrialRecord], metric: str, taken: int | None) -> str:
    """Values of the trials over the seconds of the search, and the best of them so far.

    What lies beyond three times the spread between best and middle trial is drawn at the edge: one
    wild trial must not flatten the rest.
    """
    points = [(one.started_s + one.seconds, y, one) for one in trials if (y := _level(one, metric))]
    if not points:
        return ""
    points.sort(key=lambda point: point[0])
    rises = metric == "auc"
    values = sorted((y for _, y, _ in points), reverse=rises)
    best, middle = values[0], values[len(values) // 2]
    reach = 3 * abs(middle - best) or abs(best) * 0.01 or 1.0
    edge = max(best - reach, values[-1]) if rises else min(best + reach, values[-1])
    marks = ticks(min(best, edge), max(best, edge), 5)
    seconds = ticks(0.0, points[-1][0], 6)

    def at(second: float, value: float) -> tuple[float, float]:
        inside = min(max(value, marks[0]), marks[-1])
        x = LEFT + second / seconds[-1] * (RIGHT - LEFT)
        return x, BOTTOM - (inside - marks[0]) / (marks[-1] - marks[0]) * (BOTTOM - TOP)

    body = ""
    for mark in marks:
        y = at(0, mark)[1]
        body += line(LEFT, y, RIGHT, y, GREY) + label(LEFT - 6, y + 4, f"{mark:g}", "end")
    for second in seconds:
        x = at(second, marks[0])[0]
        body += line(x, BOTTOM, x, BOTTOM + 4, INK)
        body += label(x, BOTTOM + 18, f"{brief(second)} s", "middle")
    body += label(LEFT + 4, TOP + 12, safe(metric), more=' class="s"')
    path, so_far = "", None
    for second, _, one in points:
        value = one.value
        if one.state != "complete" or value is None:
            continue
        if so_far is None or (value > so_far if rises else value < so_far):
            x, y = at(second, value)
            path += f"M{x:.1f} {y:.1f}" if so_far is None else f"H{x:.1f}V{y:.1f}"
            so_far = value
    if path:
        path += f"H{RIGHT:.1f}"
        body += f'<path d="{path}" fill="none" stroke="{ORANGE}" stroke-width="1.5"/>'
    for second, value, one in points:
        x, y = at(second, value)
        body += _dot(x, y, one, f"trial {one.number} ({one.recipe.algorithm}): {value:.4f}")
        if one.number == taken:
            ring = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="none" stroke="{ORANGE}" '
            body += ring + 'stroke-width="2"/>'
    return svg(RIGHT + 40, BOTTOM + 28, f"{metric} of each trial over time", body)


def _level(trial: TrialRecord, metric: str) -> float | None:
    """Value of a complete trial; of a pruned one the mean over the folds it reached."""
    if trial.value is not None or not trial.folds:
        return trial.value
    found = [fold.auc if metric == "auc" else fold.loss for fold in trial.folds]
    return sum(value or 0.0 for value in found) / len(found)


def _dot(x: float, y: float, trial: TrialRecord, what: str) -> str:
    title = f"<title>{safe(what)}{', pruned' if trial.state == 'pruned' else ''}</title>"
    if trial.state == "pruned":
        arms = f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"
        return f'<path d="{arms}" stroke="#8d99a6" stroke-width="1.6" fill="none">{title}</path>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{BLUE}">{title}</circle>'
