"""Drift of what comes out: the predictions, the labels, and what the predictions rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrue.drift.categories import CategoricalReference, WindowCategories
from retrue.drift.counts import Numbers
from retrue.drift.effects import effect
from retrue.drift.native import distance
from retrue.drift.reference import kind_of
from retrue.drift.report import Shift

if TYPE_CHECKING:
    import pandas as pd

    from retrue.drift.reference import Column
    from retrue.drift.window import Counts


def shift(reference: Column | None, values: pd.Series[Any] | None) -> Shift | None:
    """How scores or labels moved from what was kept of the reference's.

    Parameters
    ----------
    reference : Column
        Of `Reference.outputs`; None where a bundle has none.
    values : Series, shape (n_rows,)
        Of the window, of the reference's kind; null is missing.

    Returns
    -------
    Shift or None
        The test is K-S of numbers, chi-squared of categories. None where a side has no values.
    """
    if reference is None or values is None:
        return None
    current: Counts
    if isinstance(reference, CategoricalReference):
        current = WindowCategories(frozenset(reference.counts.counts)).add(values)
    else:
        found = values.to_numpy(np.float64, na_value=np.nan)
        current = Numbers.none(reference.counts.grid).add(found)
    if not (reference.counts.n and current.n):
        return None
    statistic, p_value = distance(reference, current)
    moved = effect(reference, current)
    assert moved.psi is not None
    return Shift(
        kind=kind_of(reference),
        statistic=statistic,
        p_value=p_value,
        psi=moved.psi,
        wasserstein=moved.wasserstein,
        n_reference=reference.counts.n,
        n_current=current.n,
        bins=moved.bins,
    )
