"""How far two rankings of features agree: nDCG (Jaervelin and Kekaelaeinen 2002)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def ndcg(truth: npt.ArrayLike, other: npt.ArrayLike) -> Floats:
    """Gain of putting features in another's order, over that of their own; 0 to 1.

    Parameters
    ----------
    truth : array-like, shape (..., n_features)
        Attributions that count, at least 0: the gain of a feature.
    other : array-like, shape (..., n_features)
        Attributions that give the order; of equal ones the first comes first.

    Returns
    -------
    ndarray, shape (...)
        1 where the orders are the same, or nothing is attributed at all. A feature at place i (from
        1) is discounted by log2(i + 1), so the first places weigh most. It is a measure of
        ranking: only the order of `other` matters. As the monitor of SageMaker (Amazon 2020) does.

    Examples
    --------
    >>> ndcg([3.0, 2.0, 1.0], [30.0, 20.0, 10.0]).item()
    1.0
    >>> round(ndcg([3.0, 2.0, 1.0], [1.0, 2.0, 3.0]).item(), 3)
    0.79
    """
    gains, keys = np.broadcast_arrays(np.asarray(truth, float), np.asarray(other, float))
    discounts = 1 / np.log2(np.arange(2, gains.shape[-1] + 2))
    order = np.argsort(-keys, axis=-1, kind="stable")
    found = (np.take_along_axis(gains, order, axis=-1) * discounts).sum(axis=-1)
    ideal = (-np.sort(-gains, axis=-1) * discounts).sum(axis=-1)
    share = np.divide(found, ideal, out=np.ones_like(ideal), where=ideal > 0)
    return np.asarray(np.minimum(share, 1.0), dtype=np.float64)
