"""How the score moves with one feature: ICE (Goldstein et al. 2015), partial dependence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrue.interpretation.explained_model import ExplainedModel, Floats, Ints
from retrue.interpretation.seen_values import SeenValues


@dataclass(frozen=True)
class Curve:
    """Scores of the same rows while one feature takes each value of a grid, all else kept."""

    values: SeenValues
    grid: Ints
    """Which of the values."""
    lines: Floats
    """Individual conditional expectations, shape (n_rows, n_outputs, n_grid)."""

    @property
    def mean(self) -> Floats:
        """Partial dependence (Friedman 2001), shape (n_outputs, n_grid)."""
        return np.asarray(self.lines.mean(axis=0), dtype=np.float64)

    @property
    def centred(self) -> Floats:
        """Lines as differences from their own first value; from their mean, for categories."""
        start = self.lines[:, :, :1]
        return self.lines - (start if self.values.is_ordered else self.lines.mean(2, keepdims=True))

    @property
    def directions(self) -> Floats | None:
        """Share of the lines that rise less the share that fall, shape (n_outputs,), -1 to 1.

        A line rises when its least-squares slope over the ranks of the grid is above 0. None where
        there is no more and less, or only one value.
        """
        if self.values.feature["kind"] != "numeric" or len(self.grid) < 2:
            return None
        ranks = np.arange(len(self.grid)) - (len(self.grid) - 1) / 2
        slopes = self.lines @ ranks
        # What differs by rounding alone is flat.
        flat = np.abs(slopes) <= 1e-12 * np.abs(self.lines).max(initial=0.0) * np.abs(ranks).sum()
        ways: Floats = np.where(flat, 0.0, np.sign(slopes)).mean(axis=0)
        return ways


def curve(
    model: ExplainedModel, matrix: Floats, values: SeenValues, n_grid: int, margin: bool = False
) -> Curve:
    """Let one feature of each row take each value of a grid; it has one value at least.

    Parameters
    ----------
    matrix : ndarray, shape (n_rows, n_columns)
        Encoded rows.
    n_grid : int
        Values at most.
    margin : bool
        Take scores before the link function.
    """
    grid = values.grid(n_grid)
    changed = np.repeat(matrix, len(grid), axis=0)
    changed[:, values.columns] = np.tile(values.encoded[grid], (len(matrix), 1))
    scores = model.margins(changed) if margin else model.scores(changed)
    lines = scores.reshape(len(matrix), len(grid), -1).transpose(0, 2, 1)
    return Curve(values, grid, lines)
