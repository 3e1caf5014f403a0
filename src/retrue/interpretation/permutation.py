"""What the model loses on held-out rows when it cannot see a feature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrue import metrics
from retrue.interpretation.explained_model import ExplainedModel, Floats

N_REPEATS = 5
MAX_FEATURES = 40
"""Features that are shuffled, those that move the score most: 300 take half a minute."""


@dataclass(frozen=True)
class Permutation:
    """Rise of the loss when one feature is shuffled among held-out rows."""

    metric: str
    loss: float
    """Of the rows as they are."""
    rises: dict[str, tuple[float, float]]
    """Of each feature that was shuffled: mean and standard deviation over the repeats."""
    n_rows: int
    n_repeats: int


def permutation(
    model: ExplainedModel, matrix: Floats, y: Floats, order: list[int], seed: int
) -> Permutation:
    """Permutation importance (Breiman 2001; Fisher, Rudin and Dominici 2019).

    Parameters
    ----------
    matrix : ndarray, shape (n_rows, n_columns)
        Encoded held-out rows, at least one.
    y : ndarray, shape (n_rows,)
        Their labels as `retrue.splits.target` gives them.
    order : list of int
        Features by falling importance; the first 40 are shuffled. One that no tree splits on loses
        nothing, exactly, so it is not shuffled.
    seed : int
        Of the shuffles.

    Returns
    -------
    Permutation
        About 0: not needed, or another feature says the same.
    """
    rng = np.random.default_rng(seed)
    metric = "squared_error" if model.task == "regression" else "log_loss"
    splits = model.importance("split")
    loss = float(_losses(model, metric, matrix, y).mean())
    rises = {}
    for i in order[:MAX_FEATURES]:
        if not splits[i]:
            rises[model.names[i]] = (0.0, 0.0)
            continue
        part = model.slices[i]
        shuffled = np.tile(matrix, (N_REPEATS, 1))
        shuffled[:, part] = np.concatenate(
            [matrix[rng.permutation(len(matrix)), part] for _ in range(N_REPEATS)]
        )
        found = _losses(model, metric, shuffled, np.tile(y, N_REPEATS))
        worse = found.reshape(N_REPEATS, -1).mean(axis=1) - loss
        rises[model.names[i]] = (float(worse.mean()), float(worse.std(ddof=1)))
    return Permutation(metric, loss, rises, len(matrix), N_REPEATS)


def _losses(model: ExplainedModel, metric: str, matrix: Floats, y: Floats) -> Floats:
    scores = model.scores(matrix)
    return metrics.row_losses(metric, y, scores if model.classes else scores[:, 0])
