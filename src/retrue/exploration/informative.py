"""What one column alone says about the label, in sample and on rows it was not counted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrue.exploration.bins import binned, crossed
from retrue.exploration.missing import Missing
from retrue.exploration.target import Target
from retrue.exploration.vectors import Floats, Ints, Vector

N_BINS = 50
"""Bins of a column: 50 leave 400 rows a bin in a sample of 20,000."""
LEAK_AUC = 0.85
"""Of one column against a class. On the flights the delay at departure, known too late, has .89;
the best column that is known in time has .63."""
LEAK_SHARE = 0.9
"""Share of the classes' entropy, of a label with several classes."""
LEAK_R2 = 0.95
"""Of the ranks of a number to predict; a carat's price of a diamond has .93 and is no leak."""
LEAK_PHI = 0.9
"""Of missing values and missing labels: some values are written a step before the label."""
MIN_ROWS = 50
"""Labelled rows below which nothing is said about a column."""


@dataclass(frozen=True)
class Informative:
    """One column: `share` of the label's entropy it explains, 0 to 1, and its `skill` alone.

    `skill` is the AUC (binary), the entropy explained (multiclass) or R2 of ranks (regression)
    of the column's bins, learned on one half of the rows and measured on the other.
    """

    name: str
    share: float
    skill: float


@dataclass(frozen=True)
class Suspect:
    """A column that may not be known when the prediction is asked for, and why."""

    name: str
    reason: str


def informative(vector: Vector, target: Target, half: Ints) -> Informative | None:
    """Measure one column on labelled rows.

    Parameters
    ----------
    vector : Vector
        The column, of the same rows as `target`.
    target : Target
        Labels; each row has one.
    half : ndarray, shape (n_rows,)
        0 where a row is counted, 1 where it is measured.

    Returns
    -------
    Informative or None
        None with fewer than 50 rows, a single label, or a column of one value.
    """
    y = target.codes
    n_y = int(y.max(initial=-1)) + 1
    bins = binned(vector, N_BINS)
    shape = (len(bins.labels), n_y)
    if len(y) < MIN_ROWS or len(np.unique(y)) < 2 or shape[0] < 2:
        return None
    counted, measured = (
        crossed(bins.codes[half == side], y[half == side], shape) for side in (0, 1)
    )
    entropy, shared = mutual_information(counted + measured)
    return Informative(vector.name, shared / entropy, _skill(target.task, counted, measured))


def mutual_information(table: Floats) -> tuple[float, float]:
    """Entropy of the columns' variable and its mutual information with the rows', in nats.

    Plug-in estimates with the correction of Miller (1955), so that a column of many values that
    says nothing has about 0; not below 0, not above the entropy.
    """
    n = table.sum()
    x, y = table.sum(axis=1), table.sum(axis=0)
    h_x, h_y, h_xy = (_entropy(counts, n) for counts in (x, y, table))
    cells = [int(np.count_nonzero(counts)) for counts in (x, y, table)]
    shared = h_x + h_y - h_xy + (cells[0] + cells[1] - cells[2] - 1) / (2 * n)
    return h_y, float(np.clip(shared, 0, h_y))


def suspects(
    found: list[Informative], missing: Missing, target: Target, label: frozenset[str]
) -> tuple[Suspect, ...]:
    """Columns that alone predict the label, or are missing where it is; the label's own are not.

    Most of them are written down after the fact. A few are just good: a person decides.
    """
    reasons: dict[str, list[str]] = {}
    bound, what = {
        "binary": (LEAK_AUC, "AUC"),
        "multiclass": (LEAK_SHARE, "share of the label's entropy"),
        "regression": (LEAK_R2, "R² of ranks"),
    }[target.task]
    for one in sorted(found, key=lambda item: -item.skill):
        if one.skill >= bound:
            reasons[one.name] = [f"predicts the label alone: {what} {one.skill:.3f}"]
    for name, phi in missing.with_label.items():
        if phi >= LEAK_PHI:
            exactly = "exactly" if phi > 1 - 1e-9 else f"nearly (phi {phi:.2f})"
            reasons.setdefault(name, []).append(f"missing {exactly} where the label is missing")
    return tuple(
        Suspect(name, "; ".join(why)) for name, why in reasons.items() if name not in label
    )


def _entropy(counts: Floats, n: float) -> float:
    shares = counts[counts > 0] / n
    return float(-(shares * np.log(shares)).sum())


def _skill(task: str, counted: Floats, measured: Floats) -> float:
    prior = (counted.sum(axis=0) + 1) / (counted.sum() + counted.shape[1])
    # One row of the overall mix is added to each bin: an unseen bin says what is usual.
    chance = (counted + prior) / (counted.sum(axis=1, keepdims=True) + 1)
    if task == "binary":
        return _auc(chance[:, 1], measured)
    n = measured.sum()
    if task == "multiclass":
        base = -(measured.sum(axis=0) * np.log(prior)).sum() / n
        return float(1 + (measured * np.log(chance)).sum() / n / base)
    ranks = np.cumsum(prior) - prior / 2
    guess = chance @ ranks
    error = (measured * (ranks[None, :] - guess[:, None]) ** 2).sum()
    middle = (measured.sum(axis=0) * ranks).sum() / n
    spread = (measured.sum(axis=0) * (ranks - middle) ** 2).sum()
    return float(1 - error / spread) if spread else 0.0


def _auc(scores: Floats, table: Floats) -> float:
    """AUC of binned scores, ties half (Mann and Whitney 1947); 0.5 when a class is absent."""
    distinct, place = np.unique(scores, return_inverse=True)
    no, yes = (np.bincount(place, table[:, side], len(distinct)) for side in (0, 1))
    pairs = no.sum() * yes.sum()
    wins = (yes * (np.cumsum(no) - no / 2)).sum()
    return float(wins / pairs) if pairs else 0.5
