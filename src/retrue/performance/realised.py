"""Metrics of the rows whose labels have come, and whether they bear the estimate out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np

from retrue import metrics
from retrue.errors import TrainingError
from retrue.evidence import figures
from retrue.evidence.resampling import draw, interval, means
from retrue.gate import MIN_DAYS
from retrue.performance import estimated
from retrue.performance.report import Realised

if TYPE_CHECKING:
    import numpy.typing as npt

    from retrue.config import Problem
    from retrue.metrics import Array

# Of fewer, the labels that come first need not be like the rest: defaults are known before repaid
# loans are, and a review queue holds what the model is least sure of.
LEAST_SHARE = 0.5


def realise(
    problem: Problem, y: Array, score: Array, days: npt.ArrayLike, threshold: float
) -> Realised:
    """Metrics of the labelled rows of a window, resampled by day.

    Parameters
    ----------
    y : ndarray, shape (n_rows,)
        Labels as `retrue.splits.target` gives them; NaN where none is known.
    score : ndarray, shape (n_rows,) or (n_rows, n_classes)
        What the model answered.
    days : array-like, shape (n_rows,)
        The day of each row.
    threshold : float
        Probability above which a binary problem acts.

    Returns
    -------
    Realised
        Without figures, and with the reason, for labels of less than half of the rows or fewer than
        `drift.min_rows`, fewer than 5 days, one class alone, and a score that is no number.
    """
    known = ~np.isnan(y)
    block = np.asarray(days)[known]
    counted = _Counted(
        n_labelled=int(known.sum()),
        share_labelled=float(known.mean()) if len(y) else 0.0,
        n_days=len(np.unique(block)),
    )
    metric = "squared_error" if problem.label.task == "regression" else "log_loss"
    try:
        if why := _too_few(problem, counted):
            return Realised(**counted, reason=why)
        truth, said = metrics.checked(y[known], score[known], metric)
    except TrainingError as error:
        return Realised(**counted, reason=str(error))
    is_class = metric == "log_loss"
    if is_class and truth.min() == truth.max():
        why = f"all {len(truth)} labels are of one class: nothing to tell apart"
        return Realised(**counted, reason=why)
    # Sums in one order: the same bits for any order of rows.
    order = np.lexsort((truth, *np.atleast_2d(said.T), block))
    truth, said, block = truth[order], said[order], block[order]
    draws = draw(block, problem.gate.resamples, problem.training.seed)
    found = figures.intervals(problem, truth, said, draws, threshold)
    if not is_class:
        return Realised(**counted, metrics=found)
    code = np.unique(block, return_inverse=True)[1]
    beyond = metrics.row_losses("log_loss", truth, said) - estimated.row_log_loss(said)
    return Realised(
        **counted,
        metrics=found,
        expected=estimated.intervals(problem, said, code, threshold).get("log_loss"),
        gap=interval(means(beyond, draws), problem.gate.confidence),
    )


def bears_out(found: Realised, tolerance: float) -> bool | None:
    """Whether the labels bear out what was expected of the same rows.

    They do not when the realised log loss is outside the estimate's interval by more than
    `tolerance` (a share of the expected log loss), and the days that the window happened to have
    do not explain it: the interval of the gap, resampled by day, leaves out 0. Wrong is wrong in
    both directions. None when the labels cannot tell.
    """
    if found.expected is None or found.gap is None:
        return None
    slack = tolerance * found.expected.value
    value = found.expected.value + found.gap.value
    inside = found.expected.lower - slack <= value <= found.expected.upper + slack
    return inside or found.gap.lower <= 0 <= found.gap.upper


class _Counted(TypedDict):
    n_labelled: int
    share_labelled: float
    n_days: int


def _too_few(problem: Problem, counted: _Counted) -> str:
    n_labelled, share_labelled = counted["n_labelled"], counted["share_labelled"]
    if not n_labelled:
        return "no labels yet"
    if n_labelled < problem.drift.min_rows:
        return f"{n_labelled} labels, {problem.drift.min_rows} wanted"
    if share_labelled < LEAST_SHARE:
        return f"{share_labelled:.0%} of the rows have labels, {LEAST_SHARE:.0%} wanted"
    if counted["n_days"] < MIN_DAYS:
        return f"{counted['n_days']} labelled days are fewer than {MIN_DAYS}"
    return ""
