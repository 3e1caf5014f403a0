"""Which rows are learned from and which are held out, and what their labels are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retrue import objectives
from retrue.days import midnight
from retrue.errors import TrainingError
from retrue.labelling import label_expression
from retrue.serving.features import category_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.config import Problem

MIN_TRAIN_ROWS = 500
"""With fewer, a tree of 31 leaves has under 16 rows a leaf; LightGBM's own minimum is 20."""

MIN_CLASS_ROWS = 20
"""Of each class of a binary label: fewer than one leaf must hold (LightGBM's min_data_in_leaf)."""

N_BLOCKS = 200
"""Blocks of a hold-out without a time column: its rows are taken for independent."""


@dataclass(frozen=True)
class Split:
    """Labelled rows: `train` is learned from, `holdout` judges.

    With a time column `train` ends at `cut`, where `holdout` begins; without one `cut` is None.
    """

    train: pd.DataFrame
    holdout: pd.DataFrame
    cut: pd.Timestamp | None
    classes: tuple[str, ...]
    """Texts of the classes of a multiclass problem, in the order of the model's outputs."""


def needed_columns(problem: Problem) -> list[str]:
    """Columns that a training reads, each once."""
    features, label = problem.features, label_expression.columns(problem.label.expression)
    inputs = (*features.numeric, *features.categorical, *features.dates, *features.text)
    order = (problem.data.time,) if problem.data.time else problem.data.key
    slices = (one.column for one in problem.gate.slices)
    return list(dict.fromkeys((*order, *label, *inputs, *slices)))


def split(frame: pd.DataFrame, problem: Problem, until: date) -> Split:
    """Divide labelled rows by time, or by the hash of their key where there is no time.

    By time: the newest `holdout_days` before `until` are held out. By hash: a row is held out, or
    learned from, in every version of the data alike, so no champion has seen a later hold-out.

    Raises
    ------
    TrainingError
        Too few rows on either side, or a single class in the training part.
    """
    labelled = _labelled(frame, problem, until)
    cut: pd.Timestamp | None = None
    if problem.data.time is None:
        held_out = key_hash(frame, problem) < problem.training.holdout_share
    else:
        cut = midnight(until - timedelta(days=problem.training.holdout_days))
        held_out = (frame[problem.data.time] >= cut).to_numpy()
    train, holdout = frame[labelled & ~held_out], frame[labelled & held_out]
    where = f"{problem.name}, {_span(problem, until)}"
    if len(train) < MIN_TRAIN_ROWS or holdout.empty:
        raise TrainingError(
            f"at least {MIN_TRAIN_ROWS} labelled training rows and a filled hold-out",
            f"{len(train)} and {len(holdout)}",
            where,
            "widen the span, or shorten training.holdout_days"
            if cut is not None
            else "deliver more rows",
        )
    classes: tuple[str, ...] = ()
    if problem.label.task == "multiclass":
        classes = tuple(sorted(set(_texts(train, problem))))
    values = target(train, problem, classes)
    if np.ptp(values) == 0:
        raise TrainingError(
            "several values of the label",
            f"one value or class only in {len(values)} rows",
            f"{where}, label {problem.label.expression}",
            "check label.expression and the span",
        )
    rarest = int(min(values.sum(), len(values) - values.sum()))
    if problem.label.task == "binary" and rarest < MIN_CLASS_ROWS:
        raise TrainingError(
            f"at least {MIN_CLASS_ROWS} training rows of each class",
            f"{rarest} of {len(values)}",
            f"{where}, label {problem.label.expression}",
            "widen the span, or compare with another bound",
        )
    objective = str(problem.training.params.get("objective", "regression"))
    if problem.label.task == "regression" and objective not in objectives.allowed([values]):
        raise TrainingError(
            f"labels {'above 0' if objective == 'gamma' else 'of 0 or more'} for {objective}",
            f"{values.min():g} to {values.max():g} in {len(values)} training rows",
            f"{where}, label {problem.label.expression}",
            "correct the labels, or remove objective from training.params",
        )
    return Split(train, holdout, cut, classes)


def target(
    frame: pd.DataFrame, problem: Problem, classes: tuple[str, ...] = ()
) -> NDArray[np.float64]:
    """Label of labelled rows, shape (n_samples,).

    Binary: 1.0 or 0.0. Multiclass: position in `classes`, -1.0 for a class that is not among them.
    Regression: the value itself.

    Raises
    ------
    TrainingError
        A binary expression gives anything but 0 and 1, or a regression's gives text.
    """
    if problem.label.task == "multiclass":
        position = {text: float(i) for i, text in enumerate(classes)}
        return np.array([position.get(text, -1.0) for text in _texts(frame, problem)])
    found = label_expression.evaluate(problem.label.expression, frame)
    numeric = pd.api.types.is_numeric_dtype(found.dtype)
    values = found.to_numpy(np.float64) if numeric else np.full(len(found), np.nan)
    is_binary = problem.label.task == "binary"
    if not numeric or (is_binary and not np.isin(values, (0.0, 1.0)).all()):
        span = f"values from {values.min():g} to {values.max():g}"
        raise TrainingError(
            "true or false in each row" if is_binary else "numbers",
            span if numeric else repr(found.iloc[0]),
            f"{problem.name}, label {problem.label.expression}",
            "compare the column with a bound or a value, or change label.task",
        )
    return values


def blocks(holdout: pd.DataFrame, problem: Problem) -> NDArray[Any]:
    """Block of each held-out row: its day, or one of 200 by chance where there is no time."""
    if problem.data.time is None:
        return np.argsort(np.argsort(key_hash(holdout, problem))) % N_BLOCKS
    # Without the zone: with it they are objects, whose distinct ones take 30 times as long to find.
    days: NDArray[Any] = holdout[problem.data.time].dt.floor("D").dt.tz_localize(None).to_numpy()
    return days


def key_hash(frame: pd.DataFrame, problem: Problem) -> NDArray[np.float64]:
    """A number in [0, 1) for each row, by its key (by all columns without one) alone."""
    columns = list(problem.data.key) or sorted(frame.columns)
    hashes = pd.util.hash_pandas_object(frame[columns], index=False).to_numpy()
    return hashes.astype(np.float64) / 2.0**64


def _labelled(frame: pd.DataFrame, problem: Problem, until: date) -> NDArray[np.bool_]:
    """Whether a row is in the training span and its label is known at `until` (UTC midnight)."""
    known = label_expression.evaluate(problem.label.expression, frame).notna()
    if problem.data.time is None:
        return known.to_numpy()
    times = frame[problem.data.time]
    known_before = midnight(until - timedelta(days=problem.label.known_after_days))
    in_span = (times >= midnight(problem.training.start)) & (times < known_before)
    return (known & in_span).to_numpy()


def _texts(frame: pd.DataFrame, problem: Problem) -> list[str]:
    found = label_expression.evaluate(problem.label.expression, frame)
    return [category_text(value) for value in found.tolist()]


def ages(frame: pd.DataFrame, problem: Problem) -> NDArray[np.float64]:
    """Days from each row to the newest one, shape (n_rows,); zeros without a time column."""
    if problem.data.time is None or frame.empty:
        return np.zeros(len(frame))
    times = frame[problem.data.time]
    found: NDArray[np.float64] = ((times.max() - times) / pd.Timedelta(days=1)).to_numpy(np.float64)
    return found


def _span(problem: Problem, until: date) -> str:
    return "all rows" if problem.data.time is None else f"{problem.training.start} to {until}"
