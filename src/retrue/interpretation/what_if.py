"""What if one feature of a row were another: how far the score can move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrue.interpretation.explained_model import ExplainedModel, Floats
from retrue.interpretation.seen_values import SeenValues

N_VALUES = 24


@dataclass(frozen=True)
class Reach:
    """Scores of one row while one feature takes values that were seen, all else kept."""

    values: SeenValues
    lowest: float
    highest: float
    lowest_at: str
    """The value that gives the lowest score, for people."""
    highest_at: str
    flips: bool
    """Whether any of the values changes the decision."""


def reaches(model: ExplainedModel, row: Floats, seen: list[SeenValues], output: int) -> list[Reach]:
    """Perturb each feature alone; those that move the score furthest come first.

    Parameters
    ----------
    row : ndarray, shape (n_columns,)
        One encoded row.
    seen : list of SeenValues
        What may be tried: at most 24 values a feature, evenly spread or the most frequent.
    output : int
        Whose score is told, of several classes.

    Returns
    -------
    list of Reach
        None for a feature that has no value, such as a text.
    """
    tried = [(one, one.grid(N_VALUES)) for one in seen if len(one.raw)]
    if not tried:
        return []
    rows = np.repeat(row[None, :], sum(len(grid) for _, grid in tried), axis=0)
    start, spans = 0, []
    for one, grid in tried:
        end = start + len(grid)
        rows[start:end, one.columns] = one.encoded[grid]
        spans.append((one, grid, slice(start, end)))
        start = end
    scores = model.scores(rows)
    decided = model.decisions(scores)
    now = model.decisions(model.scores(row[None, :]))[0]
    found = []
    for one, grid, span in spans:
        mine = scores[span, output]
        low, high = int(mine.argmin()), int(mine.argmax())
        found.append(
            Reach(
                values=one,
                lowest=float(mine[low]),
                highest=float(mine[high]),
                lowest_at=one.texts[grid[low]],
                highest_at=one.texts[grid[high]],
                flips=bool((decided[span] != now).any()),
            )
        )
    return sorted(found, key=lambda reach: reach.lowest - reach.highest)
