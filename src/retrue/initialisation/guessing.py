"""What is predicted: task and label expression, guessed from the target's values."""

from __future__ import annotations

import keyword
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from retrue.errors import DataError
from retrue.initialisation.profiling import Column

if TYPE_CHECKING:
    pass

Task = Literal["binary", "multiclass", "regression"]

_FEW_CLASSES = 10
"""Whole numbers with no more values than this are classes: marks, grades, stars."""
_MOST_CLASSES = 50
"""Texts with more values than this are no classes that a model could tell apart."""
_YES = frozenset(
    [
        "yes",
        "y",
        "true",
        "t",
        "1",
        "positive",
        "pos",
        "good",
        "won",
        "win",
        "bad",
        "failed",
        "failure",
        "churn",
        "churned",
        "fraud",
        "default",
        "high",
        ">50k",
        ">50k.",
        "ja",
        "oui",
        "si",
        "예",
        "네",
    ]
)


@dataclass(frozen=True)
class Label:
    """The label's expression and task, and why."""

    task: Task
    expression: str
    why: str


def quoted(name: str) -> str:
    """A column's name as a label expression takes it, in backticks where it is no identifier.

    Examples
    --------
    >>> quoted("arr_delay"), quoted("arr delay"), quoted("class")
    ('arr_delay', '`arr delay`', '`class`')
    """
    # Python reads identifiers in NFKC; another form would name another column.
    same = unicodedata.normalize("NFKC", name) == name
    plain = name.isidentifier() and same and not keyword.iskeyword(name)
    return name if plain else f"`{name}`"


def label_of(values: pd.Series[Any], column: Column, where: str) -> Label:
    """Task and label expression of a target column.

    Raises
    ------
    DataError
        The column is empty, constant, a time, or text with more than 50 values; or its name
        cannot stand in an expression.
    """
    where = f"{where} column {column.name}"
    if "`" in column.name:
        raise DataError("a name without backticks", column.name, where, "rename the column")
    if column.n_distinct < 2:
        found = "no value at all" if column.n_distinct == 0 else "one value in all rows"
        raise DataError("a target that varies", found, where, "choose another --target")
    if column.kind == "time":
        raise DataError("numbers or classes", "times", where, "choose another --target")
    name, n = quoted(column.name), column.n_distinct
    if n == 2:
        return _two(values, column, name)
    if column.kind == "text":
        if n > _MOST_CLASSES:
            remedy = "choose another --target, or make these numbers"
            raise DataError(f"at most {_MOST_CLASSES} classes", f"{n} texts", where, remedy)
        return Label("multiclass", name, f"text with {n} values")
    if column.whole and n <= _FEW_CLASSES:
        why = f"whole numbers with only {n} values; for an amount, write task: regression"
        return Label("multiclass", name, f"{why} and gate.metric: squared_error")
    return Label("regression", name, f"numbers with {n} values")


def _two(values: pd.Series[Any], column: Column, name: str) -> Label:
    counts = values.value_counts()
    counts = counts[counts > 0]
    if column.kind == "number":
        low, high = sorted(float(value) for value in counts.index)
        why = f"two values, {low:g} and {high:g}; the higher one is predicted"
        return Label("binary", f"{name} > {_between(low, high)}", why)
    texts = [str(value) for value in counts.index]
    said = [text for text in texts if text.strip().lower() in _YES]
    chosen = said[0] if len(said) == 1 else texts[-1]
    because = "it says yes" if len(said) == 1 else "it is the rarer one"
    literal = repr(chosen).replace("`", "\\x60")  # a backtick would open a column's name
    why = f"two values, {texts[0]!r} and {texts[1]!r}; {chosen!r} is predicted, as {because}"
    return Label("binary", f"{name} == {literal}", why)


def _between(low: float, high: float) -> str:
    """A short number between two: 0.5 for 0 and 1."""
    middle = (low + high) / 2
    short = f"{middle:.6g}"
    return short if low <= float(short) < high else repr(middle)
