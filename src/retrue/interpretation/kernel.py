"""Kernel SHAP, which asks any model as a black box. Home of the shap package."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrue.home import home
from retrue.interpretation.explained_model import ExplainedModel, Floats
from retrue.interpretation.ranking import ndcg

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_BACKGROUND = 50
"""Rows that stand for a feature that is not known; each is scored for each coalition. Values from
two samples of 30 correlate at .976 on the flights: their choice matters more than coalitions do."""
N_COALITIONS = 512
"""Coalitions a row: with eight times as many the correlation with TreeSHAP is the same to .001."""


@dataclass(frozen=True)
class Agreement:
    """Contributions by Kernel SHAP of some rows, and how they agree with TreeSHAP's."""

    values: Floats
    """Shape (n_rows, n_features), of one output each, in units of the margin."""
    correlation: float
    """Pearson's, over all rows and features; NaN where one of them is constant."""
    ndcg: float
    """Mean over the rows: agreement of the rankings by size."""
    same_first: float
    """Share of the rows whose strongest feature is the same."""
    sum_error: float
    """Largest difference of base and contributions from the margin."""
    n_background: int


def kernel_shap(
    model: ExplainedModel,
    rows: Floats,
    outputs: NDArray[np.intp],
    background: Floats,
    tree_shap: Floats,
    seed: int,
) -> Agreement:
    """Kernel SHAP (Lundberg and Lee 2017) of the margin for a few rows.

    TreeSHAP's base is the mean of the training rows by the trees' own counts, Kernel SHAP's that of
    the background rows; features that go together are split differently. So they agree, not match.

    Parameters
    ----------
    rows, background : ndarray, shape (n, n_columns)
        Encoded; of the background a seeded sample of 50 is taken. (Means of clusters, which the
        shap package proposes, are no rows where there are categories.)
    outputs : ndarray, shape (n_rows,)
        Which output is explained for each row.
    tree_shap : ndarray, shape (n_rows, n_features)
        Of the same outputs.
    seed : int
        Of the sample and of the coalitions.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(background), min(N_BACKGROUND, len(background)), replace=False)
    # shap works on columns of numbers without gaps: each feature becomes one column, the number of
    # its row in a table of what it was, however many columns wide and whatever is missing.
    both = np.concatenate([background[np.sort(chosen)], rows])
    tables, codes = [], np.empty((len(both), len(model.features)))
    for i, part in enumerate(model.slices):
        distinct, found = np.unique(both[:, part], axis=0, return_inverse=True)
        tables.append(distinct)
        codes[:, i] = found.reshape(-1)
    n = len(chosen)

    def margins(asked: Floats) -> Floats:
        picked = asked.astype(np.intp)
        blocks = [table[picked[:, i]] for i, table in enumerate(tables)]
        said = model.margins(np.concatenate(blocks, axis=1))
        return said if model.classes else said[:, 0]

    found, base = _explain(margins, codes[:n], codes[n:], seed)
    at = np.arange(len(rows))
    values = found.reshape(*codes[n:].shape, -1)[at, :, outputs]
    sums = values.sum(axis=1) + np.atleast_1d(base)[outputs]
    constant = not (np.ptp(values) and np.ptp(tree_shap))
    return Agreement(
        values=values,
        correlation=math.nan
        if constant
        else float(np.corrcoef(values.ravel(), tree_shap.ravel())[0, 1]),
        ndcg=float(ndcg(np.abs(tree_shap), np.abs(values)).mean()),
        same_first=float(
            (np.abs(tree_shap).argmax(axis=1) == np.abs(values).argmax(axis=1)).mean()
        ),
        sum_error=float(np.abs(sums - model.margins(rows)[at, outputs]).max()),
        n_background=n,
    )


def import_ahead() -> None:
    """Import shap, two seconds of numba and plots that nobody asked for."""
    # Its plots are imported with it, and matplotlib would write to the user's home.
    os.environ.setdefault("MPLCONFIGDIR", str(home() / "cache" / "matplotlib"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what its own imports think of each other
        import shap  # noqa: F401


def _explain(
    margins: Callable[[Floats], Floats], background: Floats, rows: Floats, seed: int
) -> tuple[Floats, Floats]:
    """Values, shape (n_rows, n_features[, n_outputs]), and base, by the shap package."""
    import_ahead()
    import shap

    # It draws coalitions from numpy's one global generator, which is left as it was.
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            explainer = shap.KernelExplainer(margins, background)
            # Without l1_reg=False it would drop all but ten features, unasked.
            found = explainer.shap_values(rows, nsamples=N_COALITIONS, l1_reg=False, silent=True)
        return np.asarray(found), np.asarray(explainer.expected_value, dtype=np.float64)
    finally:
        np.random.set_state(state)
