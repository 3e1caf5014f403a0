"""Columns that look as if they knew the answer: copies of it, and what is known only after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retrue.initialisation.profiling import kind_of, words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

SKILL_BOUND = 0.8
"""Skill of one column alone that is suspicious: AUC 0.9, or R2 0.8 of the target's ranks.

Departure delay, known too late, gives AUC 0.91 to 0.97 for late arrivals; honest columns 0.72.
"""
PERFECT = 0.995
"""As good as the answer itself, whatever the other columns do."""
GAP = 0.15
"""By so much a suspect must lead the others: where all columns are good the task is easy."""

_ROWS_READ = 20_000
_FOLDS = 5
_CATEGORIES = 255
_MIN_ROWS = 50
_MIN_MISSING = 20
_CLASSES = 20
_AFTERWARDS = frozenset(
    [
        "actual",
        "final",
        "outcome",
        "resolved",
        "resolution",
        "closed",
        "settled",
        "settlement",
        "refunded",
        "refund",
        "cancelled",
        "canceled",
        "cancellation",
        "returned",
        "completed",
        "predicted",
        "prediction",
        "label",
        "target",
    ]
)


def suspects(
    frame: pd.DataFrame,
    columns: Sequence[str],
    target: str,
    y: pd.Series[Any],
    time: str | None = None,
    seed: int = 7,
) -> dict[str, str]:
    """Find likely leaks, each with the reason in words.

    Parameters
    ----------
    frame : DataFrame
        The table; never changed.
    columns : sequence of str
        Candidates for features.
    target : str
        Name of the column that is predicted.
    y : Series
        Label of each row: numbers, or text for several classes; missing where unknown.
    time : str, optional
        When a row happened.
    seed : int
        Of the sample of rows and of the folds.

    Returns
    -------
    dict of str to str
        Suspect to reason, in the order of `columns`; empty below 50 labelled rows.
    """
    known = y.notna().to_numpy()
    if known.sum() < _MIN_ROWS:
        return {}
    found: dict[str, str] = {}
    for name in columns:
        reason = _missing_with(frame[name], y, known)
        if reason is None and time is not None:
            reason = _later(frame[name], frame[time])
        if reason is not None:
            found[name] = reason
    left = [name for name in columns if name not in found]
    skill = skills(frame, left, y, seed)
    measure = "R2 of ranks" if _is_number(y) and y.nunique() > 2 else "skill, 2 AUC - 1,"
    for name in _outstanding(skill):
        found[name] = f"alone it tells the target: {measure} {skill[name]:.3f} out of fold"
    for name in left:
        if name not in found and skill[name] >= 0.5 and (word := _afterwards(name, target)):
            found[name] = f"its name has {word!r}, and alone it has {measure} {skill[name]:.2f}"
    return {name: found[name] for name in columns if name in found}


def skills(
    frame: pd.DataFrame, columns: Sequence[str], y: pd.Series[Any], seed: int = 7
) -> dict[str, float]:
    """How well each column alone predicts the label, out of fold.

    A histogram of at most 64 bins (of quantiles, or of the commonest texts) is the model: what a
    single deep tree would find on one column, without a library. Two classes: 2 AUC - 1. Several:
    its mean over classes, weighted by their rows. Numbers: R2 of the label's ranks, which extremes
    do not rule. At most 20,000 rows are read. 0 for a constant column; may be slightly below 0.
    """
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(y.notna().to_numpy())
    if len(rows) > _ROWS_READ:
        rows = np.sort(rng.choice(rows, _ROWS_READ, replace=False))
    labels, by_rank = _labels(y.iloc[rows])
    fold = rng.permutation(len(rows)) % _FOLDS
    found = {}
    for name in columns:
        codes = _codes(frame[name].iloc[rows])
        predicted = [_out_of_fold(codes, one, fold) for one in labels]
        if by_rank:
            spread = np.var(labels[0])
            error = np.mean((labels[0] - predicted[0]) ** 2)
            found[name] = float(1 - error / spread) if spread > 0 else 0.0
        else:
            weights = [one.sum() for one in labels]
            each = [2 * _auc(one, score) - 1 for one, score in zip(labels, predicted, strict=True)]
            found[name] = float(np.average(each, weights=weights)) if sum(weights) else 0.0
    return found


def _is_number(y: pd.Series[Any]) -> bool:
    return bool(pd.api.types.is_numeric_dtype(y.dtype))


def _labels(y: pd.Series[Any]) -> tuple[list[Floats], bool]:
    """One 0/1 array a class, or the ranks of numbers (0 to 1) and True."""
    classes = y.value_counts().index[:_CLASSES]
    if _is_number(y) and len(classes) > 2:
        return [y.rank(pct=True).to_numpy(np.float64)], True
    chosen = classes[-1:] if len(classes) <= 2 else classes
    return [(y == value).to_numpy(np.float64) for value in chosen], False


def _codes(values: pd.Series[Any]) -> Codes:
    """Bin of each row; missing values have the last one."""
    missing = values.isna().to_numpy()
    if kind_of(values) == "text":
        texts = values.astype(object)
        common = texts.value_counts().index[:_CATEGORIES]
        codes = pd.Index(common).get_indexer(pd.Index(texts))
        codes = np.where(codes < 0, len(common), codes)
    else:
        is_time = kind_of(values) == "time"
        numbers = (values.astype("int64") if is_time else values).to_numpy(np.float64)
        n_bins = 64 if len(values) >= 2_000 else 32
        present = numbers[~missing]
        if len(present) == 0:
            return np.zeros(len(values), np.int64)
        distinct = np.unique(present)
        edges = distinct
        if len(distinct) > n_bins:
            shares = np.linspace(0, 1, n_bins + 1)
            edges = np.unique(np.quantile(present, shares, method="inverted_cdf"))
        codes = np.searchsorted(edges, numbers, side="left")
    return np.where(missing, codes.max(initial=0) + 1, codes).astype(np.int64)


def _out_of_fold(codes: Codes, y: Floats, fold: NDArray[np.int64]) -> Floats:
    n_bins = int(codes.max()) + 1
    mean = y.mean()
    sums, counts = np.bincount(codes, y, n_bins), np.bincount(codes, minlength=n_bins)
    score = np.empty(len(y))
    for one in range(_FOLDS):
        here = fold == one
        left_sums = sums - np.bincount(codes[here], y[here], n_bins)
        left_counts = counts - np.bincount(codes[here], minlength=n_bins)
        # One row's worth of the mean: an empty bin answers it, a full one ignores it.
        score[here] = ((left_sums + mean) / (left_counts + 1))[codes[here]]
    return score


def _auc(y: Floats, score: Floats) -> float:
    n_true = y.sum()
    n_false = len(y) - n_true
    if not n_true or not n_false:
        return 0.5
    ranks = pd.Series(score).rank().to_numpy()
    return float((ranks[y == 1].sum() - n_true * (n_true + 1) / 2) / (n_true * n_false))


def _outstanding(skill: dict[str, float]) -> list[str]:
    """Perfect ones, and a few that lead the rest by a gap."""
    perfect = [name for name, value in skill.items() if value >= PERFECT]
    rest = sorted((n for n in skill if n not in perfect), key=lambda n: -skill[n])
    leaders = 0
    for count in range(1, max(1, len(rest) // 5) + 1):
        if count < len(rest) and skill[rest[count - 1]] >= SKILL_BOUND:
            following = max(skill[rest[count]], 0.0)
            leaders = count if skill[rest[count - 1]] - following >= GAP else leaders
    return [*perfect, *rest[:leaders]]


def _missing_with(values: pd.Series[Any], y: pd.Series[Any], known: NDArray[Any]) -> str | None:
    missing = values.isna().to_numpy()
    if missing.sum() < _MIN_MISSING:
        return None
    both, either = (missing & ~known).sum(), (missing | ~known).sum()
    if (~known).sum() >= _MIN_MISSING and both / either >= 0.8:
        return f"missing where the target is ({both / either:.0%} of such rows): known afterwards"
    labels = y[known]
    if labels.nunique() > _CLASSES:
        return None
    shares = pd.Series(missing[known]).groupby(labels.astype(str).to_numpy()).mean()
    if shares.max() >= 0.9 and shares.min() <= 0.05:
        return (
            f"missing in {shares.max():.0%} of the rows of class {shares.idxmax()} and in"
            f" {shares.min():.0%} of class {shares.idxmin()}: known afterwards"
        )
    return None


def _later(values: pd.Series[Any], time: pd.Series[Any]) -> str | None:
    if kind_of(values) != "time" or kind_of(time) != "time":
        return None
    pair = pd.DataFrame({"one": _utc(values), "time": _utc(time)}).dropna()
    if len(pair) < _MIN_ROWS:
        return None
    later = float((pair["one"] > pair["time"]).mean())
    return f"in {later:.0%} of rows it lies after {time.name}" if later >= 0.95 else None


def _utc(values: pd.Series[Any]) -> pd.Series[Any]:
    aware: pd.Series[Any] = (
        values.dt.tz_localize("UTC") if values.dt.tz is None else values.dt.tz_convert("UTC")
    )
    return aware


def _afterwards(name: str, target: str) -> str | None:
    words, of_target = words_of(name), words_of(target)
    n = len(of_target)
    if n and any(words[i : i + n] == of_target for i in range(len(words) - n + 1)):
        return " ".join(of_target)
    return next((word for word in words if word in _AFTERWARDS), None)
