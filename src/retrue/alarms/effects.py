"""How far a feature moved, as one number: its values and its missing rate together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retrue.drift.categories import label
from retrue.drift.statistics import psi

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.config import Features
    from retrue.drift.report import FeatureDrift

_BINS = 10
_CATEGORIES = 50
"""As in the check: the rest of them counts as one."""


def effect(feature: FeatureDrift) -> float | None:
    """PSI of a feature's values plus that of its missing rate; None when a side has no values.

    The second is PSI over two bins, null and not null: of values that go missing the first sees
    nothing.
    """
    if feature.psi is None:
        return None
    return feature.psi + psi(
        *(
            np.array([share, 1 - share])
            for share in (feature.missing_reference, feature.missing_current)
        )
    )


class RankedRows:
    """Rows of a reference, ranked feature by feature: what `effect` needs of any part of them."""

    def __init__(self, reference: pd.DataFrame, features: Features) -> None:
        """Rank the rows; raises ValueError where a numeric feature holds what is no number."""
        self._numbers: dict[str, _Ranked] = {}
        self._codes: dict[str, NDArray[np.intp]] = {}
        for name in features.numeric:
            x = pd.to_numeric(reference[name]).to_numpy(np.float64, na_value=np.nan)
            order = np.argsort(x, kind="stable")[: np.count_nonzero(~np.isnan(x))]
            values = x[order]
            self._numbers[name] = _Ranked(order, values.searchsorted(values, "right") - 1)
        for name in features.categorical:
            self._codes[name] = _codes(reference[name])
        self.names = (*features.numeric, *features.categorical)

    def effects(self, rows: NDArray[np.bool_]) -> dict[str, float]:
        """Effect of each feature between all other rows and the chosen ones, mask (n_rows,).

        Bins are deciles of the others, as if the chosen rows had come later. NaN where one side has
        no values.
        """
        n_rows = np.count_nonzero(~rows), np.count_nonzero(rows)
        return {name: _of_counts(*self._counts(name, rows), *n_rows) for name in self.names}

    def noise(self, rows: NDArray[np.bool_]) -> dict[str, float]:
        """Effects to expect if each row were drawn by itself and nothing differed.

        PSI over B bins is then about (1 / n + 1 / m) chi-squared with B - 1 degrees of freedom
        (Yurdakul and Naranjo 2020).
        """
        found = {}
        for name in self.names:
            sides = self._counts(name, rows)
            n_bins = np.count_nonzero(sides[0] + sides[1])
            n = [max(1, int(side.sum())) for side in sides]
            found[name] = max(0, n_bins - 1) * (1 / n[0] + 1 / n[1])
        return found

    def _counts(
        self, name: str, rows: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows with a value by bin, of the others and of the chosen."""
        if name in self._numbers:
            return self._numbers[name].counts(rows)
        codes = self._codes[name]
        size = int(codes.max(initial=0)) + 1
        outside, inside = (np.bincount(codes[part], minlength=size)[1:] for part in (~rows, rows))
        common = np.argsort(-outside, kind="stable")
        return _pooled(outside[common]), _pooled(inside[common])


def _codes(column: pd.Series[Any]) -> NDArray[np.intp]:
    """A number from 1 on for each category, 0 for null."""
    texts = column.astype(object).map(label, na_action="ignore")
    codes: NDArray[np.intp] = pd.factorize(texts)[0] + 1
    return codes


@dataclass(frozen=True)
class _Ranked:
    """One column's rows with a value, in order of it."""

    order: NDArray[np.intp]
    last: NDArray[np.intp]
    """Of each rank, the last one that has the same value."""

    def counts(self, rows: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the others and of the chosen between the others' deciles."""
        outside = np.cumsum(~rows[self.order])
        if not len(outside) or not outside[-1]:
            return np.zeros(1, np.int64), np.array([len(outside)])
        ranks = np.maximum(np.arange(1, _BINS) * outside[-1] // _BINS, 1)
        cuts = np.unique(self.last[outside.searchsorted(ranks)])
        lowest = self.last[outside.searchsorted(1)]
        if cuts[0] == lowest:
            # The lowest value is a decile by itself: what falls below it gets a bin.
            first = outside.searchsorted(1)
            below = int(np.searchsorted(self.last, self.last[first]))
            cuts = np.append(below - 1, cuts)
        reached = np.where(cuts >= 0, outside[cuts], 0)
        bins = np.diff(reached, prepend=0, append=outside[-1])
        sizes = np.diff(cuts + 1, prepend=0, append=len(outside))
        return bins, sizes - bins


def _pooled(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.append(counts[:_CATEGORIES], counts[_CATEGORIES:].sum())


def _of_counts(
    outside: NDArray[np.int64], inside: NDArray[np.int64], n_outside: int, n_inside: int
) -> float:
    with_value = int(outside.sum()), int(inside.sum())
    if not all(with_value):
        return np.nan
    shares = (n / total for n, total in zip(with_value, (n_outside, n_inside), strict=True))
    return psi(outside, inside) + psi(*(np.array([s, 1 - s]) for s in shares))
