"""A look at one table before any model: figures only, the page is made of them elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retrue.exploration.associations import Associations, associate
from retrue.exploration.bins import binned
from retrue.exploration.columns import Column, describe, roles
from retrue.exploration.duplicates import Duplicates, RowHashes, duplicates
from retrue.exploration.importance import Importance, importance
from retrue.exploration.informative import Informative, Suspect, informative, suspects
from retrue.exploration.missing import Missing, MissingCounter
from retrue.exploration.spans import Spans, spans
from retrue.exploration.target import Cell, Target, along, over_time, overall, target_of
from retrue.exploration.vectors import Ints, Vector, vector
from retrue.labelling.label_expression import columns as label_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrue.config import Problem

__all__ = ["Along", "Exploration", "explore"]

LABEL = "label"
"""Name of the label among the columns, unless a column is the label."""
SAMPLE_ROWS = 20_000
"""A correlation of that many rows is known to +-0.014 (95 %), a share to +-0.7 points."""
MAX_ALONG = 16
"""Features whose distributions against the label are drawn."""
MAX_ALONG_OTHERS = 4
"""Columns that are no features and are drawn beside them: they show what would leak."""
N_ALONG_BINS = 10
MIN_SHARE = 0.001
"""Of the label's entropy, for a column that is no feature to be drawn."""


@dataclass(frozen=True)
class Along:
    """The label along one column, of all labelled rows."""

    name: str
    is_feature: bool
    share: float
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Exploration:
    """Figures of one table; `n_sample` and `n_labelled_sample` are the rows of what is sampled."""

    n_rows: int
    n_sample: int
    n_labelled: int
    n_labelled_sample: int
    seed: int
    task: str
    classes: tuple[str, ...]
    n_classes: int
    overall: Cell
    time: str | None
    spans: Spans | None
    columns: tuple[Column, ...]
    missing: Missing
    duplicates: Duplicates
    example_keys: tuple[tuple[str, ...], ...]
    """Key of each example of duplicates, one text a key column."""
    over_time: tuple[Cell, ...]
    informative: tuple[Informative, ...]
    """Most informative first."""
    along: tuple[Along, ...]
    suspects: tuple[Suspect, ...]
    associations: Associations
    importance: Importance | str


def explore(problem: Problem, frame: pd.DataFrame) -> Exploration:
    """Look at every column of a table; those that the problem does not use are marked.

    Missing values, distinct values, histograms, duplicates, and the label over time and along the
    columns are of all rows. Associations are of 20,000 rows; mutual information, the skill of one
    column and permutation importance of 20,000 labelled rows; drawn by `problem.training.seed`.

    Parameters
    ----------
    problem : Problem
        Its label, key, time, features and seed.
    frame : DataFrame, shape (n_rows, n_columns)
        Any table with the columns of the label; it is not changed.

    Returns
    -------
    Exploration
        The same table and problem give the same figures. A table without rows, labels or time has
        empty parts, never an error.

    Raises
    ------
    ConfigError
        The label's expression reads a column that is not there, or does not fit its values.
    """
    rng = np.random.default_rng(problem.training.seed)
    target = target_of(problem, frame)
    role = roles(problem)
    source = frozenset(label_columns(problem.label.expression))
    rows = _drawn(np.arange(len(frame)), rng)
    labelled = _drawn(target.labelled, rng)
    time = problem.data.time
    when = vector(frame[time]) if time in frame.columns else None
    calendar = spans(when) if when is not None else None

    counter = MissingCounter(calendar, target.codes < 0)
    full, by_key = RowHashes(len(frame)), RowHashes(len(frame))
    key = [name for name in problem.data.key if name in frame.columns]
    columns: list[Column] = []
    sampled: list[Vector] = []
    learned: list[Vector] = []
    for name in frame.columns:
        column = vector(frame[name])
        columns.append(describe(column, role.get(column.name, "not used")))
        counter.add(column)
        full.add(column)
        if name in key:
            by_key.add(column)
        sampled.append(column.take(rows))
        learned.append(column.take(labelled))

    missing, known = counter.counted(), target.take(labelled)
    half = rng.integers(0, 2, len(labelled))
    found = [one for item in learned if (one := informative(item, known, half)) is not None]
    found.sort(key=lambda one: (-one.share, one.name))
    features = {name for name, what in role.items() if what.startswith("feature")}
    twice = duplicates(full, by_key if key else None)
    return Exploration(
        n_rows=len(frame),
        n_sample=len(rows),
        n_labelled=len(target.labelled),
        n_labelled_sample=len(labelled),
        seed=problem.training.seed,
        task=target.task,
        classes=target.classes,
        n_classes=target.n_classes,
        overall=overall(target),
        time=time,
        spans=calendar,
        columns=tuple(columns),
        missing=missing,
        duplicates=twice,
        example_keys=_keys(frame, key, twice),
        over_time=over_time(target, calendar),
        informative=tuple(found),
        along=_along(frame, target, found, features, source),
        suspects=suspects(found, missing, target, source),
        associations=associate(*_with_label(sampled, target.take(rows), problem)),
        importance=importance(
            [one for one in learned if one.name in features],
            known,
            None if when is None else when.take(labelled),
            [one.name for one in found],
            problem.training.seed,
        ),
    )


def _drawn(rows: Ints, rng: np.random.Generator) -> Ints:
    """At most 20,000 of `rows`, in their order."""
    if len(rows) <= SAMPLE_ROWS:
        return rows
    return np.sort(rng.choice(rows, SAMPLE_ROWS, replace=False))


def _along(
    frame: pd.DataFrame,
    target: Target,
    found: Sequence[Informative],
    features: set[str],
    source: frozenset[str],
) -> tuple[Along, ...]:
    inside = [one for one in found if one.name in features][:MAX_ALONG]
    others = [one for one in found if one.name not in features | source]
    outside = [one for one in others if one.share >= MIN_SHARE][:MAX_ALONG_OTHERS]
    return tuple(
        Along(
            one.name,
            one.name in features,
            one.share,
            along(target, binned(vector(frame[one.name]), N_ALONG_BINS)),
        )
        for one in (*inside, *outside)
    )


def _with_label(
    sampled: list[Vector], target: Target, problem: Problem
) -> tuple[list[Vector], str]:
    """The columns with the label, which takes the place of a column that is the label; its name."""
    expression = problem.label.expression.strip("` ")
    name = expression if any(one.name == expression for one in sampled) else LABEL
    if target.task == "multiclass":
        texts = [target.classes[code] if code >= 0 else None for code in target.codes]
        label = vector(pd.Series(texts, name=name, dtype=object))
    else:
        label = vector(pd.Series(target.values, name=name))
    return [label, *(one for one in sampled if one.name != name)], name


def _keys(
    frame: pd.DataFrame, key: Sequence[str], twice: Duplicates
) -> tuple[tuple[str, ...], ...]:
    firsts = [group[0] for group in twice.examples] if key else []
    return tuple(tuple(str(frame[name].iloc[row]) for name in key) for row in firsts)
