"""One check of the performance: earlier windows whose labels came since, then the window itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from retrue import ledger
from retrue.errors import RetrueError
from retrue.performance import concept, estimated, holdout, realised, rows, trust
from retrue.performance.report import Concept, Estimated, Performance, Realised
from retrue.performance.verdict import conclude

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from retrue.config import Problem
    from retrue.ledger import Ledger, PerformanceCheck
    from retrue.metrics import Array

# Of windows of a month half a year, more than any label is waited for here.
_MOST_EARLIER = 6
# Some rows never get a label: cancelled flights do not arrive.
_COMPLETE = 0.9


@dataclass(frozen=True)
class Assessed:
    """All that is found of one window; `baseline` is the gate's metric on the model's hold-out."""

    estimated: Estimated
    realised: Realised
    concept: Concept
    baseline: float | None
    n_rows: int


def check(
    book: Ledger,
    problem: Problem,
    model_version: int,
    since: date,
    until: date,
    now: datetime,
    flow_run_id: str | None = None,
) -> Performance:
    """Judge a window and write it down; before that the earlier ones that have got labels.

    Parameters
    ----------
    model_version : int
        The version that serves. Earlier windows are judged by the version that they had.
    since, until : date
        The window, end exclusive.
    now : datetime
        Labels known by then count; with an offset.

    Returns
    -------
    Performance
        Data, bundles or labels that cannot be read make it "cannot tell", with the reason.

    Raises
    ------
    LedgerError
        The ledger does not answer.
    """
    try:
        known, fault = rows.known_labels(problem, now), ""
    except RetrueError as error:
        known, fault = None, str(error)
    if known is not None and not known.empty:
        for one in _due(book, problem, since):
            start, end = (date.fromisoformat(at[:10]) for at in (one.window_start, one.window_end))
            _check_window(book, problem, one.model_version, start, end, known, "", flow_run_id, one)
    return _check_window(book, problem, model_version, since, until, known, fault, flow_run_id)


def assess(
    problem: Problem,
    model_version: int,
    since: date,
    until: date,
    known: pd.DataFrame | None,
    fault: str = "",
) -> Assessed:
    """Estimate, realise and test one window; whatever cannot be had says why.

    `known` is from `rows.known_labels`; without it `fault` says why there are no labels.
    """
    try:
        answered = rows.read(problem, model_version, since, until)
        if answered is None:
            return _nothing(f"version {model_version} answered no row of the window")
        baseline = holdout.baseline(problem, answered.bundle)
    except RetrueError as error:
        return _nothing(str(error))
    threshold = answered.signature.threshold
    expected = estimated.estimate(problem, answered.score, answered.days, threshold)
    n_rows = len(answered.keys)
    try:
        y = None if known is None else rows.labels_of(problem, answered, known)
    except RetrueError as error:
        y, fault = None, str(error)
    if y is None:
        came = Realised(n_labelled=0, share_labelled=0, n_days=0, reason=fault)
    else:
        came = realised.realise(problem, y, answered.score, answered.days, threshold)
    if y is None or not came.metrics:
        changed = Concept(verdict="cannot tell", reason=came.reason)
    else:
        changed = _concept(problem, answered, y)
    return Assessed(expected, came, changed, baseline, n_rows)


def _concept(problem: Problem, answered: rows.Answered, y: Array) -> Concept:
    known = ~np.isnan(y)
    current = concept.Labelled(
        y[known], answered.score[known], answered.days[known], answered.features[known]
    )
    numeric, categorical = problem.features.numeric, problem.features.categorical
    try:
        reference = holdout.labelled(problem, answered.bundle)
        return concept.compare(reference, current, numeric, categorical, problem.drift.seed)
    except RetrueError as error:
        return Concept(verdict="cannot tell", reason=str(error))


def _check_window(
    book: Ledger,
    problem: Problem,
    version: int,
    since: date,
    until: date,
    known: pd.DataFrame | None,
    fault: str,
    flow_run_id: str | None,
    earlier: PerformanceCheck | None = None,
) -> Performance:
    try:
        found = assess(problem, version, since, until, known, fault)
    except Exception as error:  # Whatever it is: the decision on the drift must not fail with it.
        found = _nothing(f"{type(error).__name__}: {error}")
    expected = found.estimated
    if earlier is not None:
        # The estimate that stands is the one that was given before the labels came.
        given = Performance.model_validate_json(earlier.report_json).estimated
        expected = given if given.metrics else expected
    is_right = realised.bears_out(found.realised, problem.drift.performance_drop / 2)
    window = (since.isoformat(), until.isoformat())
    scored = {
        (one.window_start[:10], one.window_end[:10]): one.is_right
        for one in ledger.performance_checks(book, problem.name, version)
    }
    if is_right is not None:
        scored[window] = is_right
    believed = trust.judge(
        [trust.Scored(*days, is_right=right) for days, right in scored.items() if right is not None]
    )
    report = conclude(
        problem, expected, found.realised, found.concept, believed, found.baseline, is_right
    )
    ledger.record_performance(
        book,
        problem.name,
        version,
        since,
        until,
        verdict=report.verdict,
        n_rows=found.n_rows,
        n_labelled=found.realised.n_labelled,
        is_right=is_right,
        report_json=report.model_dump_json(),
        flow_run_id=flow_run_id,
    )
    return report


def _due(book: Ledger, problem: Problem, before: date) -> list[PerformanceCheck]:
    """Earlier windows that still wait for labels, none overlapping another, oldest first."""
    found: list[PerformanceCheck] = []
    begins = before.isoformat()
    for one in reversed(ledger.performance_checks(book, problem.name)):
        if one.window_end[:10] <= begins and len(found) < _MOST_EARLIER:
            begins = one.window_start[:10]
            found.append(one)
    waiting = [one for one in found if one.n_labelled < _COMPLETE * one.n_rows]
    return waiting[::-1]


def _nothing(why: str) -> Assessed:
    return Assessed(
        Estimated(n_rows=0, n_days=0, reason=why),
        Realised(n_labelled=0, share_labelled=0, n_days=0, reason=why),
        Concept(verdict="cannot tell", reason=why),
        None,
        0,
    )
