"""Do labels depend on the features otherwise than on the model's hold-out (concept drift)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import pandas as pd

from retrue.gate import MIN_DAYS
from retrue.performance.report import Concept, Term
from retrue.serving.features import category_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from retrue.metrics import Array

# One false alarm in a hundred windows: in eight years of monthly ones, in two of weekly ones.
ALPHA = 0.01
_N_PERMUTATIONS = 1_999
# Of the hold-out; what depends on rarer categories moves the mean error too little to be seen.
_LEAST_SHARE = 0.05
_N_SHOWN = 3
# Weather lasts: errors of neighbouring days go together, so days are dealt in runs where there are
# enough of them. Eight runs against eight can be dealt in 12,870 ways.
_RUN_DAYS, _LEAST_RUNS = 3, 8
_NO_SPREAD = 1e-15
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Labelled:
    """Labelled rows with what the model said of them."""

    y: Array
    """Shape (n_rows,), as `retrue.splits.target` gives labels."""
    score: Array
    """Shape (n_rows,) or (n_rows, n_classes)."""
    days: npt.ArrayLike
    """The day of each row, or another block of rows that belong together."""
    features: pd.DataFrame
    """Their features; one that is missing on a side is no term."""


def compare(
    reference: Labelled,
    current: Labelled,
    numeric: Sequence[str],
    categorical: Sequence[str],
    seed: int,
) -> Concept:
    """Test whether the model's errors depend on the features otherwise than on its hold-out.

    The error of a row is its label minus its score. Where P(y|x) is what it was, the mean error is
    what it was, however often each x comes: that holds for all rows, along the score (Cox 1958) and
    along each feature, which are the terms that a residual model would be asked for (the score test
    of Rao 1948). Each term's mean error in the window is compared with the hold-out's, in standard
    errors by days (Liang & Zeger 1986), since the labels of a day share weather and outages. The
    largest change of all terms is held against those of the same days dealt anew (permutation of a
    studentised statistic: Chung & Romano 2013; largest of all: Westfall & Young 1993), so that many
    features raise no more false alarms than one.

    Not told apart from concept drift: rows of a region that the model had not learned. Not seen:
    a change whose errors cancel along every single term.

    Parameters
    ----------
    reference : Labelled
        The model's hold-out: it has seen neither these labels nor these days.
    current : Labelled
        The window.
    numeric, categorical : sequence of str
        Features; those of less than 5 % of the hold-out's rows (categories) are no term.
    seed : int
        Of the permutations.

    Returns
    -------
    Concept
        "changed" at p <= 0.01. "cannot tell" for fewer than 5 days on a side, one class in the
        window, and scores that are no numbers.
    """
    sides = reference, current
    days = [np.unique(np.asarray(one.days), return_inverse=True)[1] for one in sides]
    n_days = [int(code.max()) + 1 if len(code) else 0 for code in days]
    counted = _Counted(n_reference_days=n_days[0], n_days=n_days[1])
    if why := _why_not(reference, current, n_days):
        return Concept(verdict="cannot tell", reason=why, **counted)
    run = _RUN_DAYS if min(n_days) >= _RUN_DAYS * _LEAST_RUNS else 1
    blocks = [code // run for code in days]
    n_blocks = [int(code.max()) + 1 for code in blocks]
    terms = _terms(reference, current, numeric, categorical)
    sums, rows = [], []
    for one, code, n in zip(sides, blocks, n_blocks, strict=True):
        error = _errors(one)[0]
        own = [term[one is current] for term in terms.values()]
        sums.append(np.stack([np.bincount(code, error * term, n) for term in own], axis=1))
        rows.append(np.bincount(code, minlength=n).astype(np.float64))
    z, p_value = _largest_change(np.concatenate(sums), np.concatenate(rows), n_blocks[0], seed)
    names = list(terms)
    order = np.argsort(-np.abs(z), kind="stable")[:_N_SHOWN]
    shown = tuple(Term(name=names[i], z=round(float(z[i]), 2)) for i in order)
    is_changed = p_value <= ALPHA
    why = (
        f"labels {'depend on the features otherwise than' if is_changed else 'behave as'} on the"
        f" model's hold-out: its errors moved most along {shown[0].name}"
        f" ({shown[0].z:+.1f} standard errors, p {p_value:.2g})"
    )
    return Concept(
        verdict="changed" if is_changed else "unchanged",
        p_value=p_value,
        terms=shown,
        reason=why,
        **counted,
    )


class _Counted(TypedDict):
    n_reference_days: int
    n_days: int


def _why_not(reference: Labelled, current: Labelled, n_days: Sequence[int]) -> str:
    for name, one, n in zip(("hold-out", "window"), (reference, current), n_days, strict=True):
        if n < MIN_DAYS:
            return f"{n} labelled days in the {name} are fewer than {MIN_DAYS}"
        if not (np.isfinite(one.score).all() and np.isfinite(one.y).all()):
            return f"scores or labels of the {name} that are no numbers"
        if np.ptp(one.y) == 0:
            return f"all labels of the {name} are alike: nothing to tell apart"
    return ""


def _errors(rows: Labelled) -> tuple[Array, Array]:
    """Label minus score, and the score; of several classes: the likeliest one's."""
    if rows.score.ndim == 1:
        return rows.y - rows.score, rows.score
    said = rows.score.max(axis=1)
    return (rows.score.argmax(axis=1) == rows.y) - said, said


def _terms(
    reference: Labelled, current: Labelled, numeric: Sequence[str], categorical: Sequence[str]
) -> dict[str, tuple[Array, Array]]:
    """Values of each term for the rows of both sides, none of them constant on the reference."""
    sides = reference, current
    both = set(reference.features.columns) & set(current.features.columns)
    found: dict[str, tuple[Array, Array]] = {
        "all rows": (np.ones(len(reference.y)), np.ones(len(current.y))),
        "score": _ranks(*(_errors(one)[1] for one in sides)),
    }
    for name in numeric:
        if name in both:
            values = [
                pd.to_numeric(one.features[name], errors="coerce").to_numpy(np.float64)
                for one in sides
            ]
            found[name] = _ranks(*values)
    for name in categorical:
        if name in both:
            texts = [_texts(one.features[name]) for one in sides]
            shares = texts[0].value_counts(normalize=True)
            for category in sorted(shares.index[shares >= _LEAST_SHARE]):
                of_sides = [(text == category).to_numpy(np.float64) for text in texts]
                found[f"{name} = {category}"] = of_sides[0], of_sides[1]
    return {
        name: values
        for name, values in found.items()
        if name == "all rows" or np.ptp(values[0]) > 0
    }


def _ranks(reference: Array, current: Array) -> tuple[Array, Array]:
    """Both as ranks among the reference, -0.5 to 0.5: outliers weigh no more; missing is 0."""
    known = np.sort(reference[np.isfinite(reference)])

    def ranks(values: Array) -> Array:
        if not len(known):
            return np.zeros(len(values))
        below, upto = (np.searchsorted(known, values, side) for side in ("left", "right"))
        return np.where(np.isfinite(values), (below + upto) / 2 / len(known) - 0.5, 0.0)

    return ranks(reference), ranks(current)


def _texts(values: pd.Series[Any]) -> pd.Series[Any]:
    known = values.astype(object)
    return known.where(known.isna(), known.map(category_text, na_action="ignore"))


def _largest_change(sums: Array, n: Array, n_first: int, seed: int) -> tuple[Array, float]:
    """Changes of all terms in standard errors (n_terms,), and the p-value of the largest.

    Parameters
    ----------
    sums : ndarray, shape (n_days, n_terms)
        Of errors times terms; the first `n_first` days are the reference's.
    n : ndarray, shape (n_days,)
        Rows of each day.
    """
    is_first = np.arange(len(n)) < n_first
    rng = np.random.default_rng(seed)
    dealt = [is_first, *(rng.permutation(is_first) for _ in range(_N_PERMUTATIONS))]
    first = np.array(dealt, dtype=np.float64)
    (mean_1, variance_1), (mean_2, variance_2) = (
        _means(sums, n, side) for side in (first, 1 - first)
    )
    spread = np.sqrt(variance_1 + variance_2)
    # No spread: a term that is 0 on all days.
    z = np.divide(mean_2 - mean_1, spread, out=np.zeros(spread.shape), where=spread > _NO_SPREAD)
    largest = np.abs(z).max(axis=1)
    p_value = float(np.mean(largest >= largest[0] * (1 - _ROUNDING)))
    return z[0], p_value


def _means(sums: Array, n: Array, chosen: Array) -> tuple[Array, Array]:
    """Mean errors of the chosen days and their variances by days, each (n_draws, n_terms)."""
    n_days = chosen.sum(axis=1, keepdims=True)
    total = (chosen @ n)[:, None]
    mean = chosen @ sums / total
    squares = chosen @ sums**2 - 2 * mean * (chosen @ (sums * n[:, None]))
    squares += mean**2 * (chosen @ n**2)[:, None]
    return mean, np.maximum(squares, 0) * n_days / (n_days - 1) / total**2
