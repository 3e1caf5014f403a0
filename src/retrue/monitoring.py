"""From prediction logs to a drift decision: collect, compare, decide."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import pandas as pd

from retrue import bundles, drift, ledger, prediction_table
from retrue.home import serving_dir
from retrue.labelling import feedback
from retrue.serving import predictions

if TYPE_CHECKING:
    from retrue.config import Problem
    from retrue.drift import DriftReport
    from retrue.ledger import Check, Claim, Ledger
    from retrue.refs import ModelRef


def collect(problem: str, now: datetime | None = None) -> int:
    """Move what the servers logged into the lake, each row exactly once.

    Late labels are recorded as taken at `now`, by default the present.

    Returns
    -------
    int
        How many predictions were new.
    """
    # Read before the predictions: each names one that was durable before it, so it will be found.
    waiting = feedback.waiting(problem)
    moved = 0
    for log in sorted((serving_dir(problem) / "predictions").glob("*.sqlite")):
        after = prediction_table.predictions_watermark(problem, log.name)
        rows = predictions.read_after(log, after)
        if not rows:
            continue
        frame = pd.DataFrame(rows, columns=list(predictions.COLUMNS))
        upto = int(frame.pop("seq").iloc[-1])
        frame["event_time"] = pd.to_datetime(frame["event_time"], utc=True, format="ISO8601")
        if prediction_table.append_predictions(problem, log.name, upto, frame, after):
            moved += len(frame)
    feedback.take(problem, waiting, now or datetime.now(UTC))
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
    """Hold the rows served in the window against the reference in the serving model's bundle."""
    served = prediction_table.read_predictions(problem.name, _midnight(since), _midnight(until))
    # By content, not by id: the same rows give the same sample, so the same magnitude, each time.
    served = served.sort_values(["event_time", "row"], kind="stable")
    rows = msgspec.json.decode("[" + ",".join(served["row"]) + "]")
    names = [*problem.features.numeric, *problem.features.categorical]
    current = pd.DataFrame.from_records(rows, columns=names)
    for name in problem.features.numeric:
        current[name] = pd.to_numeric(current[name])  # a column of nulls alone comes as objects
    return drift.check(
        bundles.read_reference(model.bundle), current, problem.features, problem.drift
    )


def decide(
    book: Ledger,
    problem: str,
    model_version: int,
    since: date,
    until: date,
    report: DriftReport,
    flow_run_id: str | None,
) -> Check:
    """Write the decision down once; a window that was decided before keeps its decision."""
    return ledger.record_check(
        book,
        problem,
        model_version,
        since,
        until,
        verdict=report.verdict,
        report_json=report.model_dump_json(),
        flow_run_id=flow_run_id,
    )


def announcement(check: Check) -> dict[str, str]:
    """What the event of a drift decision tells the retraining it starts."""
    report = drift.DriftReport.model_validate_json(check.report_json)
    return {"decision": check.trigger_key, "until": check.window_end[:10], "reason": report.reason}


def why_not(claim: Claim) -> str:
    """Why a retraining that was asked for is not done, in plain words."""
    other = claim.retraining
    if claim.outcome == "finished":
        return f"retraining {other.id} answered this trigger before: {other.status}"
    return f"retraining {other.id} of {other.problem} is running"


def finish_retraining(
    book: Ledger,
    claim: Claim,
    status: Literal["promoted", "refused", "rejected", "failed"],
    details: dict[str, Any],
) -> None:
    """Write the outcome of a claimed retraining down."""
    mine = claim.retraining
    ledger.finish_retraining(book, mine.id, mine.token, status, json.dumps(details))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
