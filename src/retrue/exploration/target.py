"""The label: its classes, its course over time, and what it does along a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from retrue.config import Problem
from retrue.exploration.bins import Bins, binned, crossed, quantile_bins
from retrue.exploration.spans import Spans
from retrue.exploration.vectors import Floats, Ints, Vector, vector
from retrue.labelling import label_expression
from retrue.serving.features import category_text

Task = Literal["binary", "multiclass", "regression"]
MAX_CLASSES = 8
"""Classes told apart in a picture; the rarest become one."""
Z = 1.959963984540054
"""Normal quantile of two-sided 95 %."""
N_QUANTILES = 10
"""Pieces into which a number to predict is cut for mutual information."""


@dataclass(frozen=True)
class Target:
    """The label of each row.

    `codes` (n_rows,) is the class (a tenth of the labelled rows, for a regression), -1 without
    a label; `values` (n_rows,) the number, NaN without one or where classes have no number.
    """

    task: Task
    classes: tuple[str, ...]
    codes: Ints
    values: Floats
    n_classes: int
    """Before the rarest became one; 0 for a regression."""

    @property
    def labelled(self) -> Ints:
        """Positions of rows with a label."""
        return np.flatnonzero(self.codes >= 0)

    def take(self, rows: Ints) -> Target:
        """The label of some rows."""
        return Target(self.task, self.classes, self.codes[rows], self.values[rows], self.n_classes)


@dataclass(frozen=True)
class Cell:
    """The label among the rows of a bin or a span: `low` to `high` is a 95 % interval.

    `mean` is the rate of class 1, or the mean of a regression, NaN without rows; `shares` those
    of all classes.
    """

    label: str
    n: int
    mean: float
    low: float
    high: float
    shares: tuple[float, ...] = ()


def target_of(problem: Problem, frame: pd.DataFrame) -> Target:
    """Evaluate the label; what does not fit the task is shown as classes.

    Raises
    ------
    ConfigError
        The expression reads a column that is not there, or does not fit its values.
    """
    found = label_expression.evaluate(problem.label.expression, frame)
    coded = vector(found.rename("label").reset_index(drop=True))
    nothing = np.full(len(frame), np.nan)
    task: Task = problem.label.task
    if coded.kind == "empty":
        codes = np.full(len(frame), -1, dtype=np.int64)
        return Target(task, ("0", "1") if task == "binary" else (), codes, nothing, 0)
    if task == "regression" and coded.is_ordered:
        values = np.where(np.isfinite(coded.values), coded.values, np.nan)
        codes = np.full(len(frame), -1, dtype=np.int64)
        known = np.flatnonzero(~np.isnan(values))
        if len(known):
            codes[known] = quantile_bins(values[known], N_QUANTILES)
        return Target(task, (), codes, values, 0)
    if task == "binary" and coded.is_ordered and np.isin(coded.numbers, (0.0, 1.0)).all():
        values = coded.values
        codes = np.where(np.isnan(values), -1, np.nan_to_num(values)).astype(np.int64)
        return Target("binary", ("0", "1"), codes, values, 2)
    return _classes(coded, found)


def along(target: Target, bins: Bins) -> tuple[Cell, ...]:
    """The label in each bin of a column; only rows with a label count."""
    known = target.labelled
    return _cells(target.take(known), bins.codes[known], bins.labels)


def over_time(target: Target, spans: Spans | None) -> tuple[Cell, ...]:
    """The label in each calendar span; empty without a time."""
    if spans is None:
        return ()
    known = np.flatnonzero((target.codes >= 0) & (spans.codes >= 0))
    return _cells(target.take(known), spans.codes[known], spans.labels)


def overall(target: Target) -> Cell:
    """The label of all labelled rows."""
    known = target.labelled
    return _cells(target.take(known), np.zeros(len(known), dtype=np.int64), ("all",))[0]


def label_bins(target: Target, problem: Problem) -> Bins:
    """Bins of the label itself: its classes, or bins of its numbers."""
    if target.task == "regression":
        name = problem.label.expression
        return binned(vector(pd.Series(target.values, name=name)), N_QUANTILES)
    return Bins(target.codes, target.classes, bool((target.codes < 0).any()))


def wilson(positives: Floats, n: Floats) -> tuple[Floats, Floats]:
    """95 % interval of a rate, (n_bins,) each (Wilson 1927); 0 to 1 without rows.

    Examples
    --------
    >>> low, high = wilson(np.array([0.0, 50.0]), np.array([10.0, 100.0]))
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.404], [0.278, 0.596])
    """
    rows = np.maximum(n, 1e-12)
    rate = positives / rows
    shrink = 1 + Z**2 / rows
    middle = (rate + Z**2 / (2 * rows)) / shrink
    half = Z * np.sqrt(rate * (1 - rate) / rows + Z**2 / (4 * rows**2)) / shrink
    # Rounding must not put a rate of 0 or 1 outside of its interval.
    return np.clip(middle - half, 0, rate), np.clip(middle + half, rate, 1)


def _classes(coded: Vector, found: pd.Series[float]) -> Target:
    """Classes by falling frequency, the rarest pooled."""
    order = np.argsort(-coded.counts, kind="stable")
    rank = np.append(np.argsort(order), -1)
    n_classes = len(order)
    _, distinct = pd.factorize(found)
    texts = [category_text(distinct[i]) for i in order[:MAX_CLASSES]]
    kept = len(texts)
    if n_classes > MAX_CLASSES:
        kept = MAX_CLASSES - 1
        texts = [*texts[:kept], f"{n_classes - kept:,} others"]
    codes = np.minimum(rank[coded.codes], kept if n_classes > MAX_CLASSES else n_classes)
    return Target("multiclass", tuple(texts), codes, np.full(len(codes), np.nan), n_classes)


def _cells(target: Target, codes: Ints, labels: tuple[str, ...]) -> tuple[Cell, ...]:
    n_bins = len(labels)
    n = np.bincount(codes, minlength=n_bins).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        if target.task == "multiclass":
            shares = crossed(codes, target.codes, (n_bins, len(target.classes))) / n[:, None]
            blank = np.full(n_bins, np.nan)
            return _zipped(labels, n, blank, blank, blank, shares)
        mean = np.bincount(codes, target.values, n_bins) / n
        if target.task == "binary":
            return _zipped(labels, n, mean, *wilson(mean * n, n), np.empty((n_bins, 0)))
        spread = np.bincount(codes, (target.values - mean[codes]) ** 2, n_bins)
        half = Z * np.sqrt(spread / np.where(n > 1, n - 1, np.nan) / n)
    return _zipped(labels, n, mean, mean - half, mean + half, np.empty((n_bins, 0)))


def _zipped(
    labels: tuple[str, ...], n: Floats, mean: Floats, low: Floats, high: Floats, shares: Floats
) -> tuple[Cell, ...]:
    return tuple(
        Cell(label, int(n[i]), float(mean[i]), float(low[i]), float(high[i]), tuple(shares[i]))
        for i, label in enumerate(labels)
    )
