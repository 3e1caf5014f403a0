"""What a regression may be fitted to: objectives of LightGBM whose prediction is the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.serving.links import LOG_LINKS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray


OBJECTIVES = ("regression", *LOG_LINKS)
ALIASES = ("objective_type", "app", "application", "loss")
"""LightGBM's other names of the parameter."""


def allowed(labels: Iterable[NDArray[np.float64]]) -> tuple[str, ...]:
    """Objectives that each of some groups of labels can be fitted with, squared error first.

    A logarithmic link multiplies effects where squared error adds them: prices, amounts and
    durations are often so. It knows no negative label, gamma no zero, and nothing but zeros is
    refused (generalised linear models, McCullagh and Nelder 1989; tweedie, Jorgensen 1987).

    Examples
    --------
    >>> import numpy as np
    >>> allowed([np.array([0.0, 2.0])])
    ('regression', 'poisson', 'tweedie')
    """
    found = set(OBJECTIVES)
    for y in labels:
        if y.min() < 0 or y.max() <= 0:
            return OBJECTIVES[:1]
        if y.min() == 0:
            found.discard("gamma")
    return tuple(name for name in OBJECTIVES if name in found)
