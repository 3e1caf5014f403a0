"""Rows that are there more than once: in all of their values, and by their key."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retrue.exploration.vectors import Vector

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Duplicates:
    """Surplus rows: those that would go if one of each were kept. All rows count."""

    n_full: int
    n_by_key: int | None
    """None without a key."""
    examples: tuple[tuple[int, ...], ...]
    """Positions of rows that share a key (all values, without a key), at most five groups."""


class RowHashes:
    """64-bit hash of each row, by columns added one after the other.

    Two different rows of a million have the same hash with a chance of about 3e-8.
    """

    def __init__(self, n_rows: int) -> None:
        self.words: Words = np.zeros(n_rows, dtype=np.uint64)

    def add(self, vector: Vector) -> None:
        """Take in one column."""
        self.words = _mixed(self.words + vector.codes.astype(np.uint64) + np.uint64(2))


def duplicates(full: RowHashes, by_key: RowHashes | None) -> Duplicates:
    """Count surplus rows; a missing value equals a missing value."""
    groups = by_key or full
    return Duplicates(
        _surplus(full.words),
        None if by_key is None else _surplus(by_key.words),
        _examples(groups.words),
    )


def _mixed(words: Words) -> Words:
    """SplitMix64 (Steele, Lea and Flood 2014): neighbours end far from each other."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Words = words ^ (words >> np.uint64(31))
    return mixed


def _surplus(words: Words) -> int:
    return len(words) - len(np.unique(words))


def _examples(words: Words, n_groups: int = 5, n_each: int = 4) -> tuple[tuple[int, ...], ...]:
    order = np.argsort(words, kind="stable")
    same = np.flatnonzero(words[order][1:] == words[order][:-1])
    found: dict[int, list[int]] = {}
    for i in same.tolist():
        if len(found) == n_groups and int(words[order[i]]) not in found:
            break
        group = found.setdefault(int(words[order[i]]), [int(order[i])])
        if len(group) < n_each:
            group.append(int(order[i + 1]))
    return tuple(tuple(group) for group in found.values())
