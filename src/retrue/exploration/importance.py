"""What a quick model leans on, before any real one is trained. Home of boosted trees of sklearn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retrue.exploration.target import Target
from retrue.exploration.vectors import Floats, Ints, Vector

MAX_LEVELS = 60
N_TREES = 60
N_CLASS_TREES = 120
"""Trees of all classes together, where there are more than two."""
LEARNING_RATE = 0.1
MAX_LEAVES = 15
LEAF_SHARE = 1 / 200
"""Of the training rows in a leaf at least: small tables would be learned by heart."""
HOLDOUT_SHARE = 0.25
MIN_ROWS = 200
"""Fewer rows on either side say more about chance than about a feature."""
N_REPEATS = 3
MAX_FEATURES = 40
"""Features of the quick model, those with the most mutual information: 300 take a minute."""
SMALLEST = 1e-6
"""Chance that a class is given at least, so that one row cannot make the loss infinite."""
MAX_SCORED = 3_000
"""Held-out rows scored at each shuffle: enough for a third digit nobody needs."""


@dataclass(frozen=True)
class Importance:
    """How much worse a quick model gets when one feature of held-out rows is shuffled."""

    metric: str
    loss: float
    no_skill: float
    """Loss of the training part's class shares, or mean, on the same rows."""
    rises: tuple[tuple[str, float, float], ...]
    """Feature, mean rise of the loss over the repeats, and its standard deviation."""
    n_train: int
    n_holdout: int
    by_time: bool
    n_left_out: int
    """Features past the 40 that say most alone; what they say together with others is not seen."""


def importance(
    features: Sequence[Vector], target: Target, when: Vector | None, order: Sequence[str], seed: int
) -> Importance | str:
    """Permutation importance (Breiman 2001) of gradient boosted trees on labelled rows.

    Parameters
    ----------
    features : sequence of Vector
        Declared features of labelled rows.
    target : Target
        Labels of the same rows.
    when : Vector or None
        Time of the same rows: the newest quarter is held out. Without it a quarter by chance.
    order : sequence of str
        Features by falling mutual information; the first 40 make the model.
    seed : int
        Of the hold-out, the trees and the shuffles.

    Returns
    -------
    Importance or str
        Why there is none, where rows, features or classes are too few.
    """
    rng = np.random.default_rng(seed)
    train, holdout = _split(len(target.codes), when, rng)
    by_name = {vector.name: vector for vector in features}
    chosen = [by_name[name] for name in order if name in by_name][:MAX_FEATURES]
    if not chosen:
        return "No feature with two values is declared, or too few rows have a label."
    if min(len(train), len(holdout)) < MIN_ROWS:
        return f"A model needs {MIN_ROWS} labelled rows on either side of the hold-out."
    if len(np.unique(target.codes[train])) < 2:
        return "The training part holds one label only."
    blocks = [_inputs(vector) for vector in chosen]
    x = np.concatenate([block for block, _ in blocks], axis=1)
    is_category = np.concatenate([np.full(block.shape[1], named) for block, named in blocks])
    ends = np.cumsum([block.shape[1] for block, _ in blocks])
    losses_of = _fitted(x, is_category, target, train, seed)
    scored = holdout if len(holdout) <= MAX_SCORED else rng.choice(holdout, MAX_SCORED, False)
    held, known = x[scored], target.take(scored)
    again = target.take(np.tile(scored, N_REPEATS))
    loss = float(losses_of(held, known).mean())
    rises = []
    for vector, end, (block, _) in zip(chosen, ends.tolist(), blocks, strict=True):
        part = slice(end - block.shape[1], end)
        # One call for all repeats: a tree costs more to start than a thousand rows to score.
        shuffled = np.tile(held, (N_REPEATS, 1))
        shuffled[:, part] = np.concatenate(
            [held[rng.permutation(len(held)), part] for _ in range(N_REPEATS)]
        )
        worse = losses_of(shuffled, again).reshape(N_REPEATS, -1).mean(axis=1) - loss
        rises.append((vector.name, float(np.mean(worse)), float(np.std(worse, ddof=1))))
    rises.sort(key=lambda rise: -rise[1])
    return Importance(
        "mean squared error" if target.task == "regression" else "log loss",
        loss,
        _no_skill(target, train, known),
        tuple(rises),
        len(train),
        len(scored),
        when is not None,
        len(features) - len(chosen),
    )


def _split(n_rows: int, when: Vector | None, rng: np.random.Generator) -> tuple[Ints, Ints]:
    if when is None:
        rows = rng.permutation(n_rows)
        n_holdout = int(n_rows * HOLDOUT_SHARE)
        return rows[n_holdout:], rows[:n_holdout]
    values = when.values
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return known, known
    # Rows of one moment stay on one side.
    cut = np.quantile(values[known], 1 - HOLDOUT_SHARE, method="lower")
    return known[values[known] < cut], known[values[known] >= cut]


def _inputs(vector: Vector) -> tuple[Floats, bool]:
    """Matrix (n_rows, n_parts) of one feature, and whether it holds categories."""
    if vector.kind == "time":
        values = vector.values
        days = values / 86_400
        return np.column_stack(
            [values % 86_400 // 3600, days // 1 % 7, days % 365.2425 // 1]
        ), False
    if len(vector.numbers):
        values = vector.values
        return np.where(np.isfinite(values), values, np.nan)[:, None], False
    codes = np.minimum(vector.codes, MAX_LEVELS).astype(float)
    return np.where(codes < 0, np.nan, codes)[:, None], True


def _fitted(
    x: Floats, is_category: npt.NDArray[np.bool_], target: Target, train: Ints, seed: int
) -> Callable[[Floats, Target], Floats]:
    """Fit boosted trees; answers the function that gives their losses on other rows."""
    from sklearn import ensemble
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    is_number = target.task == "regression"
    maker = (
        ensemble.HistGradientBoostingRegressor
        if is_number
        else ensemble.HistGradientBoostingClassifier
    )
    model = maker(
        max_iter=min(N_TREES, N_CLASS_TREES // max(len(target.classes) - 2, 1)),
        learning_rate=LEARNING_RATE,
        max_leaf_nodes=MAX_LEAVES,
        min_samples_leaf=max(20, int(len(train) * LEAF_SHARE)),
        early_stopping=False,
        categorical_features=is_category if is_category.any() else None,
        random_state=seed,
    )
    # One thread: on a machine that is busy otherwise, two wait for each other (40 s for 1.2 s).
    with threadpool_limits(1, "openmp"):
        model.fit(x[train], (target.values if is_number else target.codes)[train])
    position = np.full(max(len(target.classes), 1), -1)
    if not is_number:
        position[model.classes_] = np.arange(len(model.classes_))

    def losses(rows: Floats, known: Target) -> Floats:
        with threadpool_limits(1, "openmp"):
            said = model.predict(rows) if is_number else model.predict_proba(rows)
        if is_number:
            squared: Floats = (known.values - said) ** 2
            return squared
        place = position[known.codes]
        # A class that the training part did not hold has no chance at all.
        return _log(np.where(place >= 0, said[np.arange(len(rows)), place], 0.0))

    return losses


def _no_skill(target: Target, train: Ints, known: Target) -> float:
    if target.task == "regression":
        return float(np.mean((known.values - target.values[train].mean()) ** 2))
    counts = np.bincount(target.codes[train], minlength=len(target.classes))
    return float(_log(counts[known.codes] / len(train)).mean())


def _log(chance: Floats) -> Floats:
    losses: Floats = -np.log(np.maximum(chance, SMALLEST))
    return losses
