"""Windows of the reference, made of whole blocks of days: what a window without drift looks like.

Rows of one day share their weather and their outages, days of one week its rhythm. A resample of
single rows would hide that; a resample of blocks keeps it (Künsch 1989; Hall, Horowitz and Jing
1995 on the size of blocks).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_WEEK = 7
MIN_BLOCKS = 8
"""With fewer, 7 or less degrees of freedom are left: the bound on a rare tail is then beyond any
drift (F(1, 7 at 1e-4 is 58 times the mean; with 11 it is 35)."""


@dataclass(frozen=True)
class Blocks:
    """Days of the reference, cut into blocks.

    `block` is shape (n_rows,), -1 for the days left over at the end. `day` is shape (n_rows,): the
    rank of a row's day among the days there are.
    """

    day: NDArray[np.int64]
    block: NDArray[np.int64]
    n_days: int
    block_days: int
    n_blocks: int
    blocks_a_window: int
    window_days: int

    def draws(self, n: int, seed: int) -> Iterator[NDArray[np.bool_]]:
        """Rows (n_rows,) of windows of whole blocks, drawn without replacement; `n` of them."""
        rng = np.random.default_rng(seed)
        for _ in range(n):
            chosen = rng.choice(self.n_blocks, self.blocks_a_window, replace=False)
            yield np.isin(self.block, chosen)

    def runs(self) -> Iterator[NDArray[np.bool_]]:
        """Rows (n_rows,) of windows of days in a row, one from the start of each block."""
        for start in range(0, self.n_days - self.window_days + 1, self.block_days):
            yield (self.day >= start) & (self.day < start + self.window_days)


def cut(days: NDArray[np.datetime64], window_days: int) -> Blocks | str:
    """Cut the days of the reference into blocks, or say why windows cannot be drawn from it.

    Blocks are weeks, which keep the rhythm of weekdays; days where the window is shorter than a
    week or weeks are too few. A window must leave at least as many days to be compared with.

    Parameters
    ----------
    days : ndarray of datetime64, shape (n_rows,)
        Day of each row; days without rows do not count.
    window_days : int
        Days of one window.
    """
    there, day = np.unique(days.astype("datetime64[D]"), return_inverse=True)
    n_days = len(there)
    if n_days < 2 * window_days:
        return (
            f"the reference has {n_days} days, a window of {window_days} needs at least"
            f" {2 * window_days}"
        )
    block_days = _WEEK if window_days >= _WEEK and n_days // _WEEK >= MIN_BLOCKS else 1
    n_blocks = n_days // block_days
    if n_blocks < MIN_BLOCKS:
        return f"the reference has {n_blocks} blocks of days, at least {MIN_BLOCKS} are needed"
    block = day // block_days
    return Blocks(
        day=day.astype(np.int64),
        block=np.where(block < n_blocks, block, -1).astype(np.int64),
        n_days=n_days,
        block_days=block_days,
        n_blocks=n_blocks,
        blocks_a_window=window_days // block_days,
        window_days=window_days,
    )
