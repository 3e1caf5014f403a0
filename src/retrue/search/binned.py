"""Binned data sets of a search: the latest, up to so many bytes."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    import lightgbm as lgb

MOST_BYTES = 2**29
"""Of 275,000 flights with 20 columns: the folds of about 30 choices of processing and bins."""


class Binned:
    """Training and scored rows by key; the ones not used for longest make room.

    LightGBM does not tell the size of a data set: a cell is a byte, or two of more than 256 bins.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, tuple[lgb.Dataset, lgb.Dataset]] = OrderedDict()
        self._sizes: dict[Hashable, int] = {}

    def get(self, key: Hashable) -> tuple[lgb.Dataset, lgb.Dataset] | None:
        """What is kept under a key, as the newest from now on."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def keep(self, key: Hashable, pair: tuple[lgb.Dataset, lgb.Dataset], max_bin: int) -> None:
        """Keep a constructed pair, whatever its size, and let the oldest go."""
        self._kept[key] = pair
        n_cells = sum(one.num_data() * one.num_feature() for one in pair)
        self._sizes[key] = n_cells * (2 if max_bin > 256 else 1)
        while len(self._kept) > 1 and sum(self._sizes.values()) > self._most_bytes:
            oldest, _ = self._kept.popitem(last=False)
            del self._sizes[oldest]
