"""From prediction logs to what a drift decision rests on: collect, compare, weigh."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from retrue import bundles, drift, prediction_logs, prediction_table, served_window
from retrue.alarms import decision
from retrue.alarms import windows as alarm_windows
from retrue.days import midnight
from retrue.labelling import feedback
from retrue.serving import log_reading
from retrue.serving.log_file import LogError
from retrue.triage import windows as triage_windows

if TYPE_CHECKING:
    from pathlib import Path

    from retrue.config import Problem
    from retrue.drift import DriftReport
    from retrue.refs import ModelRef
    from retrue.triage import Triage

# Of one commit: bounds the memory, some 100 MB.
_BATCH_ROWS = 100_000


def collect(problem: str, now: datetime | None = None) -> int:
    """Move what the servers logged into the lake, each row exactly once.

    Late labels are recorded as taken at `now`, by default the present.

    Returns
    -------
    int
        How many predictions were new.

    Raises
    ------
    LogError
        A log cannot be read; all others were collected.
    """
    moved = 0
    with prediction_logs.locked(problem):
        # Read before the predictions: each names one that was durable before it, so it will be
        # found.
        damaged: list[LogError] = []
        waiting = feedback.waiting(problem, damaged)
        for log in prediction_logs.files(problem):
            try:
                moved += _collect_log(problem, log)
            except LogError as error:
                damaged.append(error)
        feedback.take(problem, waiting, now or datetime.now(UTC))
    if damaged:
        raise damaged[0]
    return moved


def _collect_log(problem: str, log: Path) -> int:
    source, moved = log_reading.source_id(log), 0
    after = prediction_table.predictions_watermark(problem, source)
    while rows := log_reading.read_after(log, after, _BATCH_ROWS):
        frame = pd.DataFrame(rows, columns=list(log_reading.COLUMNS))
        upto = int(frame.pop("seq").iloc[-1])
        # Not by pandas' own parser, which counts nanoseconds and so ends in 1677 and 2262.
        texts = frame["event_time"].str.removesuffix("Z").to_numpy(str)
        times = pd.Series(texts.astype("datetime64[us]")).dt.tz_localize("UTC")
        frame["event_time"] = times
        if not prediction_table.append_predictions(problem, source, upto, frame, after):
            break
        moved += len(rows)
        after = upto
    return moved


def newest_day(problem: str) -> date | None:
    """The day (UTC) of the newest served row, or None before the first."""
    served = prediction_table.newest_event(problem)
    return None if served is None else served.date()


def window(problem: Problem, since: date | None, until: date | None) -> tuple[date, date]:
    """The window to check, end exclusive: by default the last `window_days` that were served."""
    newest = newest_day(problem.name)
    end = until or (newest + timedelta(days=1) if newest else datetime.now(UTC).date())
    return since or end - timedelta(days=problem.drift.window_days), end


def compare(problem: Problem, model: ModelRef, since: date, until: date) -> DriftReport:
    """Hold the rows served in the window against their season, or the serving model's reference.

    Days that a triage set aside are left out.
    """
    served = prediction_table.read_predictions(problem.name, midnight(since), midnight(until))
    served = triage_windows.without_days_aside(problem, served, "event_time")
    # By content, not by id: the same rows give the same sample, so the same magnitude, each time.
    served = served.sort_values(["event_time", "row"], kind="stable")
    kept = bundles.read_drift_reference(model.bundle, problem.features)
    against = alarm_windows.reference(problem, model, kept, since, until)
    limit = {"magnitude_above": decision.threshold(problem, model)}
    report = drift.check_window(
        against.counts,
        against.sample,
        served_window.batches(served, list(kept.columns)),
        problem.drift.model_copy(update=limit),
    )
    scores = served_window.scores(served, model.bundle)
    labels = served_window.labels(problem, served, midnight(until))
    return report.model_copy(
        update={
            "n_days": served["event_time"].dt.floor("D").nunique(),
            "compared_with": against.described,
            "predictions": drift.shift(kept.outputs.get("score"), scores),
            "labels": drift.shift(kept.outputs.get("label"), labels),
            "attributions": served_window.attributions(problem, model.bundle, served),
        }
    )


def weigh(problem: Problem, report: DriftReport, found: Triage) -> DriftReport:
    """The report of a check, with its verdict withheld where the window must not be learned from.

    "cannot tell" announces no retraining, and a later check of the window may still decide.
    """
    if triage_windows.may_retrain(problem, found):
        return report
    words = "broken data" if found.verdict == "broken" else "perhaps broken data"
    reason = f"cannot tell: {words}: {found.reason}; without its new faults: {report.reason}"
    return report.model_copy(update={"verdict": "cannot tell", "reason": reason})
