"""How strongly columns go together: one measure for each pair of kinds, and who is near whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from retrue.exploration.bins import crossed
from retrue.exploration.vectors import Floats, Ints, Vector

MAX_SHOWN = 40
"""Columns in the picture: more could not be labelled."""
MAX_COLUMNS = 300
"""Columns compared with each other: the work grows with their square."""
MAX_LEVELS = 40
"""Categories compared; the rarest become one."""
MIN_ROWS = 20
"""Rows known in both columns below which nothing is said."""


@dataclass(frozen=True)
class Pair:
    """Two columns, what was measured, and the strength: -1 to 1 for ranks, else 0 to 1."""

    a: str
    b: str
    measure: str
    strength: float


@dataclass(frozen=True)
class Associations:
    """The strongest columns in an order that puts neighbours together.

    `matrix` is (n, n), symmetric, 1 on the diagonal, NaN where nothing could be said.
    """

    names: tuple[str, ...]
    is_ordered: tuple[bool, ...]
    """Whether a column is compared by its ranks."""
    matrix: tuple[tuple[float, ...], ...]
    pairs: tuple[Pair, ...]
    """Strongest first, of all columns that were compared."""
    n_compared: int


def associate(vectors: Sequence[Vector], keep: str | None, n_pairs: int = 20) -> Associations:
    """Compare columns of the same rows; `keep` is in the picture however weak it is.

    Numbers and times by Spearman's (1904) rank correlation, ranks among the known values of
    each; categories by Cramer's V with the bias correction of Bergsma (2013); a number and a
    category by the correlation ratio, corrected as epsilon by Kelley (1935). Only rows known in
    both count. Text, constants and columns of distinct values are left out.
    """
    chosen = [vector for vector in vectors if _fits(vector)][:MAX_COLUMNS]
    ordered = [vector for vector in chosen if vector.is_ordered]
    named = [vector for vector in chosen if not vector.is_ordered]
    n_ordered = len(ordered)
    whole = np.full((len(chosen), len(chosen)), np.nan)
    levels = [_pooled(vector) for vector in named]
    if ordered:
        values = np.column_stack([vector.values for vector in ordered])
        whole[:n_ordered, :n_ordered] = spearman(values)
        centred, mask = _centred(values)
    for i, codes in enumerate(levels):
        for j in range(i):
            _both(whole, n_ordered + i, n_ordered + j, cramers_v(codes, levels[j]))
        if ordered:
            whole[n_ordered + i, :n_ordered] = _ratios(codes, centred, mask)
            whole[:n_ordered, n_ordered + i] = whole[n_ordered + i, :n_ordered]
    np.fill_diagonal(whole, 1.0)
    return _picture([*ordered, *named], whole, keep, n_pairs)


def spearman(values: Floats) -> Floats:
    """Rank correlations of the columns of (n_rows, n_columns), NaN being missing."""
    known = ~np.isnan(values)
    # pandas ranks them as fast as scipy.stats, which takes 1.4 s to import.
    ranks = pd.DataFrame(values).rank().to_numpy()
    middle = (known.sum(axis=0) + 1) / 2
    centred = np.where(known, ranks - middle, 0.0)
    mask = known.astype(float)
    n = mask.T @ mask
    sums, squares, products = centred.T @ mask, (centred**2).T @ mask, centred.T @ centred
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = products - sums * sums.T / n
        spread = squares - sums**2 / n
        found = covariance / np.sqrt(spread * spread.T)
    clipped: Floats = np.where(n >= MIN_ROWS, np.clip(found, -1, 1), np.nan)
    return clipped


def cramers_v(a: Ints, b: Ints) -> float:
    """Bias-corrected V of two code columns, -1 being missing; NaN without two values in each."""
    both = (a >= 0) & (b >= 0)
    table = crossed(a[both], b[both], (int(a.max()) + 1, int(b.max()) + 1))
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    n, (r, k) = table.sum(), table.shape
    if n < MIN_ROWS or min(r, k) < 2:
        return float("nan")
    expected = table.sum(axis=1)[:, None] * table.sum(axis=0)[None, :] / n
    phi2 = ((table - expected) ** 2 / expected).sum() / n
    phi2 = max(0.0, phi2 - (r - 1) * (k - 1) / (n - 1))
    smaller = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    return float(min(1.0, np.sqrt(phi2 / smaller))) if smaller > 0 else float("nan")


def correlation_ratios(codes: Ints, values: Floats) -> Floats:
    """Epsilon of each column of (n_rows, n_columns) by the groups of `codes`, (n_columns,).

    NaN with fewer than 20 rows known in both, fewer than two groups, or a constant column.
    """
    return _ratios(codes, *_centred(values))


def _centred(values: Floats) -> tuple[Floats, Floats]:
    """Values less their mean, in units of their spread, 0 if not finite; and 1 if they are."""
    finite = np.isfinite(values)
    plain = np.where(finite, values, 0.0)
    mask = finite.astype(float)
    counts = np.maximum(mask.sum(axis=0), 1.0)
    centred = np.where(finite, plain - plain.sum(axis=0) / counts, 0.0)
    spread = np.sqrt((centred**2).sum(axis=0) / counts)
    return centred / np.where(spread > 0, spread, 1.0), mask


def _ratios(codes: Ints, centred: Floats, mask: Floats) -> Floats:
    # Sums by group as products of matrices: 300 columns would take minutes one by one.
    group = (codes[:, None] == np.arange(codes.max(initial=-1) + 1)).astype(float)
    n, sums = group.T @ mask, group.T @ centred
    squares = (codes >= 0).astype(float) @ centred**2
    counts, groups = n.sum(axis=0), (n > 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = np.where(n > 0, sums**2 / n, 0.0).sum(axis=0)
        total = squares - sums.sum(axis=0) ** 2 / counts
        epsilon2 = 1 - (squares - between) / (counts - groups) / (total / (counts - 1))
        said = (counts >= MIN_ROWS) & (groups >= 2) & (counts > groups) & (total > 1e-9 * counts)
        ratios: Floats = np.where(said, np.sqrt(np.clip(epsilon2, 0, 1)), np.nan)
    return ratios


def _fits(vector: Vector) -> bool:
    n_known = int(vector.counts.sum())
    if vector.kind == "text" or vector.n_distinct < 2:
        return False
    return vector.is_ordered or vector.n_distinct < 0.5 * n_known


def _pooled(vector: Vector) -> Ints:
    return np.minimum(vector.codes, MAX_LEVELS - 1)


def _both(matrix: Floats, i: int, j: int, value: float) -> None:
    matrix[i, j] = matrix[j, i] = value


def _picture(
    vectors: Sequence[Vector], whole: Floats, keep: str | None, n_pairs: int
) -> Associations:
    names = [vector.name for vector in vectors]
    strength = np.nan_to_num(np.abs(np.tril(whole, -1)))
    n_wanted = max(n_pairs, MAX_SHOWN * MAX_SHOWN)
    order = np.argsort(-strength, axis=None, kind="stable")[:n_wanted]
    places = np.unravel_index(order, whole.shape)
    strongest = [(int(i), int(j)) for i, j in zip(*places, strict=True)]
    strongest = [(i, j) for i, j in strongest if strength[i, j] > 0]
    shown = dict.fromkeys([names.index(keep)] if keep in names else [])
    for pair in strongest:
        if len(shown.keys() | set(pair)) <= MAX_SHOWN:
            shown |= dict.fromkeys(pair)
    for i in range(len(names)):
        if len(shown) < MAX_SHOWN:
            shown[i] = None
    near = _neighbours(np.abs(whole[np.ix_(list(shown), list(shown))]))
    final = [list(shown)[i] for i in near]
    pairs = tuple(
        Pair(names[j], names[i], _measure(vectors[i], vectors[j]), float(whole[i, j]))
        for i, j in strongest[:n_pairs]
    )
    return Associations(
        tuple(names[i] for i in final),
        tuple(vectors[i].is_ordered for i in final),
        tuple(tuple(row) for row in whole[np.ix_(final, final)].tolist()),
        pairs,
        len(names),
    )


def _neighbours(strength: Floats) -> list[int]:
    """Order of the leaves of average linkage (Sokal and Michener 1958), neighbours adjacent."""
    if len(strength) < 3:
        return list(range(len(strength)))
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    distance = 1 - np.nan_to_num(strength)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return [int(i) for i in leaves_list(tree)]


def _measure(a: Vector, b: Vector) -> str:
    if a.is_ordered and b.is_ordered:
        return "Spearman"
    return "correlation ratio" if a.is_ordered or b.is_ordered else "Cramér's V"
