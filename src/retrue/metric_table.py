"""Metrics by their field names: direction, unit and what each tells. Pages and gate read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from retrue.config import Problem

Task = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True)
class Metric:
    """One metric; scikit-learn's definition where it has one of that name."""

    name: str
    tasks: tuple[Task, ...]
    better: Literal["lower", "higher"]
    unit: str
    """`label`: the label's own unit; `cost`: the canvas' unit a row."""
    tells: str
    decides: bool = False
    """Whether `gate.metric` may name it."""

    @property
    def sign(self) -> int:
        """+1 when higher is better, else -1: a gain is `sign * (challenger - champion)`."""
        return 1 if self.better == "higher" else -1


_BOTH: tuple[Task, ...] = ("binary", "multiclass")
_ONE: tuple[Task, ...] = ("binary",)
_NUMBER: tuple[Task, ...] = ("regression",)

TABLE = {
    one.name: one
    for one in (
        Metric("log_loss", _BOTH, "lower", "nats", "surprise at what came true", decides=True),
        Metric("auc", _ONE, "higher", "share", "pairs put in the right order", decides=True),
        Metric("average_precision", _ONE, "higher", "share", "precision over all recalls"),
        Metric("brier", _BOTH, "lower", "probability²", "squared error of the probabilities"),
        Metric("cost", _ONE, "lower", "cost", "what the decisions cost a row"),
        Metric("accuracy", _BOTH, "higher", "share", "right decisions"),
        Metric("balanced_accuracy", _BOTH, "higher", "share", "recall, mean over the classes"),
        Metric("precision", _ONE, "higher", "share", "alarms that were right"),
        Metric("recall", _ONE, "higher", "share", "cases that were found"),
        Metric("f1", _BOTH, "higher", "share", "harmonic mean of precision and recall (macro)"),
        Metric("squared_error", _NUMBER, "lower", "label²", "mean squared error", decides=True),
        Metric("rmse", _NUMBER, "lower", "label", "root of the mean squared error"),
        Metric("mae", _NUMBER, "lower", "label", "mean absolute error"),
        Metric("r2", _NUMBER, "higher", "share", "variance explained"),
    )
}


def deciding(task: Task) -> tuple[str, ...]:
    """Names that `gate.metric` may have for a task.

    >>> deciding("binary")
    ('log_loss', 'auc')
    """
    return tuple(one.name for one in TABLE.values() if task in one.tasks and one.decides)


def unit(name: str, problem: Problem) -> str:
    """Unit of a metric in a problem's own words."""
    kind = TABLE[name].unit
    if kind == "cost":
        return f"{problem.canvas.cost_false_positive.unit} a row"
    return kind.replace("label", f"unit of {problem.label.expression}")
