"""Rows as the detectors look at them: numbers, coded texts, and blocks of days."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retrue.serving.features import category_text

if TYPE_CHECKING:
    from datetime import date

    from numpy.typing import NDArray

    from retrue.config import Features

MIN_BLOCK_ROWS = 50
"""Days with fewer rows are joined with the next: a share of 50 rows is known to within 14 %."""


@dataclass(frozen=True)
class Coded:
    """A column of text: codes (n_rows,), -1 for null, into `labels`."""

    codes: NDArray[np.intp]
    labels: tuple[str, ...]

    def mapped(self, values: dict[str, float]) -> NDArray[np.float64]:
        """A number for each row by its label, NaN for null and for labels without one."""
        by_code = [*(values.get(label, np.nan) for label in self.labels), np.nan]
        return np.asarray(by_code, np.float64)[self.codes]


@dataclass(frozen=True)
class Side:
    """One side of the comparison; all arrays are (n_rows,)."""

    n_rows: int
    numbers: dict[str, NDArray[np.float64]]
    """Numeric features, null and unreadable values as NaN."""
    unreadable: dict[str, pd.Series[Any]]
    """Values of numeric features that are no numbers, with their positions as index."""
    texts: dict[str, Coded]
    absent: tuple[str, ...]
    blocks: NDArray[np.intp]
    block_days: tuple[tuple[date, ...], ...]
    """Days of each block, in order; empty tuples where rows have no time."""
    times: NDArray[np.datetime64] | None
    key: NDArray[np.uint64] | None
    labels: NDArray[np.float64] | None
    scores: NDArray[np.float64] | None
    sizes: NDArray[np.float64] = field(repr=False)
    """Rows of each block."""

    @property
    def n_blocks(self) -> int:
        """How many blocks of days there are."""
        return len(self.block_days)

    def is_null(self, name: str) -> NDArray[np.bool_]:
        """Where a feature has no value; unreadable is not null."""
        if name in self.texts:
            return self.texts[name].codes < 0
        null = np.isnan(self.numbers[name])
        null[self.unreadable[name].index.to_numpy()] = False
        return null


def look(
    frame: pd.DataFrame,
    features: Features,
    *,
    times: pd.Series[Any] | None = None,
    key: pd.Series[Any] | None = None,
    labels: NDArray[np.float64] | None = None,
    scores: NDArray[np.float64] | None = None,
) -> Side:
    """Take a frame apart; it is not changed.

    Parameters
    ----------
    frame : DataFrame, shape (n_rows, ...)
        Numeric and categorical features; one that is absent is noted, other columns are ignored.
    times : Series of datetime64 with UTC, optional
        When each row happened. Without it all rows are one block.
    key : Series, optional
        What identifies each row; null where it is unknown.
    labels, scores : ndarray of float64, optional
        0 or 1, and the champion's probability of 1; NaN where unknown. Leave scores out that the
        model gave to rows it was fitted on.
    """
    n_rows = len(frame)
    numbers, unreadable, texts, absent = {}, {}, {}, []
    for name in features.numeric:
        if name not in frame.columns:
            absent.append(name)
            continue
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        lost = np.flatnonzero(np.isnan(values) & frame[name].notna().to_numpy())
        unreadable[name] = pd.Series(frame[name].iloc[lost].to_numpy(object), index=lost)
        numbers[name] = np.where(np.isfinite(values), values, np.nan)
    for name in features.categorical:
        if name not in frame.columns:
            absent.append(name)
            continue
        codes, found = pd.factorize(frame[name], sort=False)
        texts[name] = Coded(codes, tuple(category_text(one) for one in found))
    blocks, block_days, moments = _blocks(times, n_rows)
    hashes = None
    if key is not None and n_rows:
        hashes = pd.util.hash_array(key.astype(str).to_numpy(object))
    return Side(
        n_rows,
        numbers,
        unreadable,
        texts,
        tuple(absent),
        blocks,
        block_days,
        moments,
        hashes,
        labels,
        scores,
        np.bincount(blocks, minlength=len(block_days)).astype(np.float64),
    )


def shares(
    mask: NDArray[np.bool_], side: Side, among: NDArray[np.bool_] | None = None, least: int = 10
) -> NDArray[np.float64]:
    """Share of rows (of those in `among`) that are in `mask`, (n_blocks,); NaN below `least`."""
    base = side.sizes if among is None else counts(among, side)
    hit = counts(mask if among is None else mask & among, side)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(base >= least, hit / base, np.nan)


def counts(mask: NDArray[np.bool_], side: Side) -> NDArray[np.float64]:
    """Rows of each block that are in `mask`, (n_blocks,)."""
    return np.bincount(side.blocks[mask], minlength=side.n_blocks).astype(np.float64)


def highest(values: NDArray[np.float64], default: float = 0.0) -> float:
    """The largest value that is no NaN."""
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else default


def longest_run(flags: NDArray[np.bool_]) -> int:
    """Most flags in a row.

    Examples
    --------
    >>> longest_run(np.array([True, False, True, True]))
    2
    """
    best = run = 0
    for flag in flags.tolist():
        run = run + 1 if flag else 0
        best = max(best, run)
    return best


def segment(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The stretch of blocks with the largest sum of scores; all False when none is above 0.

    The one-change segment of a CUSUM chart (Page 1954), with an end. NaN counts as 0.

    Examples
    --------
    >>> segment(np.array([-1.0, 2.0, -0.5, 1.0, -3.0])).tolist()
    [False, True, True, True, False]
    """
    chosen = np.zeros(len(scores), np.bool_)
    best, total, start, place = 0.0, 0.0, 0, (0, 0)
    for i, score in enumerate(np.nan_to_num(scores).tolist()):
        if total <= 0:
            total, start = 0.0, i
        total += score
        if total > best:
            best, place = total, (start, i + 1)
    chosen[place[0] : place[1]] = True
    return chosen


def _blocks(
    times: pd.Series[Any] | None, n_rows: int
) -> tuple[NDArray[np.intp], tuple[tuple[date, ...], ...], NDArray[np.datetime64] | None]:
    if times is None or not n_rows:
        return np.zeros(n_rows, np.intp), ((),), None
    moments = times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
    days, of_day, sizes = np.unique(
        moments.astype("datetime64[D]"), return_inverse=True, return_counts=True
    )
    members: list[list[date]] = [[]]
    block_of_day, size = np.empty(len(days), np.intp), 0
    for i, day in enumerate(days.tolist()):
        if size >= MIN_BLOCK_ROWS:
            members.append([])
            size = 0
        block_of_day[i] = len(members) - 1
        members[-1].append(day)
        size += int(sizes[i])
    if size < MIN_BLOCK_ROWS and len(members) > 1:
        rest = members.pop()
        members[-1] += rest
        block_of_day = np.minimum(block_of_day, len(members) - 1)
    return block_of_day[of_day], tuple(map(tuple, members)), moments
