"""Few bins of a column, for counting against something else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrue.exploration.vectors import Floats, Ints, Vector, number_text


@dataclass(frozen=True)
class Bins:
    """`codes` (n_rows,) into `labels`, in order of the values; missing is a bin, the last one."""

    codes: Ints
    labels: tuple[str, ...]
    has_missing: bool


def binned(vector: Vector, n_bins: int) -> Bins:
    """Bins of about equal counts of an ordered column, most frequent values of any other.

    A column with at most `n_bins` distinct values keeps each. Text is binned by its length.
    """
    if len(vector.numbers):
        bin_of, labels = _ordered(vector, n_bins)
    else:
        bin_of, labels = _frequent(vector, n_bins)
    has_missing = bool((vector.codes < 0).any())
    codes = np.append(bin_of, len(labels))[vector.codes]
    return Bins(codes, (*labels, "missing") if has_missing else labels, has_missing)


def quantile_bins(values: Floats, n_bins: int) -> Ints:
    """Bin of each finite value, (n_rows,), about equal counts; ties stay together."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, n_bins + 1)[1:-1]))
    return np.searchsorted(edges, values, side="right").astype(np.int64)


def crossed(a: Ints, b: Ints, shape: tuple[int, int]) -> Floats:
    """Counts of pairs of codes, as an array of `shape`."""
    return np.bincount(a * shape[1] + b, minlength=shape[0] * shape[1]).reshape(shape).astype(float)


def _ordered(vector: Vector, n_bins: int) -> tuple[Ints, tuple[str, ...]]:
    order = np.argsort(vector.numbers, kind="stable")
    order = order[vector.counts[order] > 0]
    numbers, counts = vector.numbers[order], vector.counts[order]
    kind = vector.kind if vector.is_ordered else "whole number"
    unit = "" if vector.is_ordered else " characters"
    distinct, position = np.unique(numbers, return_inverse=True)
    if len(distinct) <= n_bins:
        labels = tuple(number_text(kind, value) + unit for value in distinct)
    else:
        weights = np.bincount(position, weights=counts)
        # The middle of a value's ranks decides, so that a frequent value has a bin of its own.
        middle = (np.cumsum(weights) - weights / 2) / weights.sum()
        raw = np.minimum((middle * n_bins).astype(np.int64), n_bins - 1)
        starts = np.flatnonzero(np.diff(raw, prepend=-1))
        bin_of_distinct = np.cumsum(np.diff(raw, prepend=-1) > 0) - 1
        ends = np.append(starts[1:] - 1, len(distinct) - 1)
        labels = tuple(
            number_text(kind, low)
            + ("" if low == high else f" to {number_text(kind, high)}")
            + unit
            for low, high in zip(distinct[starts], distinct[ends], strict=True)
        )
        position = bin_of_distinct[position]
    bin_of = np.zeros(len(vector.numbers), dtype=np.int64)
    bin_of[order] = position
    return bin_of, labels


def _frequent(vector: Vector, n_bins: int) -> tuple[Ints, tuple[str, ...]]:
    n_levels = len(vector.counts)
    if n_levels <= n_bins:
        return np.arange(n_levels), vector.levels[:n_levels]
    kept = n_bins - 1
    labels = (*vector.levels[:kept], f"{n_levels - kept:,} others")
    return np.minimum(np.arange(n_levels), kept), labels
