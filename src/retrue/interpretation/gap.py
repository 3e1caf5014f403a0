"""How far the ranking for all rows is from that of each single row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrue.interpretation.explained_model import Floats, Ints
from retrue.interpretation.ranking import ndcg

N_FIRST = 3


@dataclass(frozen=True)
class Gap:
    """Agreement of each row's ranking of features with the global one."""

    ndcg: Floats
    """Shape (n_rows,): how much of a row's explanation the global ranking puts in front."""
    outside: float
    """Share of the rows whose strongest feature is none of the three that lead globally."""
    overlap: float
    """Mean number of a row's first three features that are among the global first three."""
    differ_most: Ints
    """Rows by rising agreement."""


def gap(contributions: Floats) -> Gap:
    """Measure the gap between global and local importance.

    Parameters
    ----------
    contributions : ndarray, shape (n_rows, n_outputs, n_features)
        At least one row. Of several classes the absolute values are added up.

    Returns
    -------
    Gap
        nDCG (Jaervelin and Kekaelaeinen 2002) with the row's own |SHAP| as gains and the global
        mean |SHAP| as the order; 1 for a row that is explained as all are.
    """
    local = np.abs(contributions).sum(axis=1)
    overall = local.mean(axis=0)
    agreement = ndcg(local, overall)
    first = set(np.argsort(-overall, kind="stable")[:N_FIRST].tolist())
    own = np.argsort(-local, axis=1, kind="stable")[:, :N_FIRST]
    shared = np.isin(own, sorted(first))
    return Gap(
        ndcg=agreement,
        outside=float(1 - shared[:, 0].mean()),
        overlap=float(shared.sum(axis=1).mean()),
        differ_most=np.argsort(agreement, kind="stable"),
    )
