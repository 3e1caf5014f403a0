"""Raise or hold back the alarm of a check, from the bundle and the ledger."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

from retrue import bundles, ledger
from retrue.alarms import policy
from retrue.alarms.calibration import MAGNITUDE
from retrue.days import midnight

if TYPE_CHECKING:
    from retrue.alarms.calibration import Calibration
    from retrue.config import Problem
    from retrue.config_drift import Drift
    from retrue.drift import DriftReport
    from retrue.ledger import Ledger
    from retrue.refs import ModelRef


def with_alarm(
    book: Ledger, problem: Problem, model: ModelRef, until: date, report: DriftReport
) -> DriftReport:
    """Add to a report what the policy makes of it and of labels, given the checks before."""
    calibration = bundles.read_alarms(model.bundle)
    checks = ledger.checks(book, problem.name)
    answered = policy.answered(checks, ledger.retrainings(book, problem.name))
    learned = learned_until(problem, model)
    end = midnight(until)
    worse = worse_by_labels(book, model, until)
    vote = policy.vote(report, calibration, problem.drift, end, worse)
    alarm = policy.decide(
        vote,
        policy.votes(checks, model.version),
        [*answered, *([] if learned is None else [midnight(learned)])],
        problem.drift,
        warnings(problem.drift, calibration),
    )
    return report.model_copy(update={"alarm": alarm})


def worse_by_labels(book: Ledger, model: ModelRef, until: date) -> str | None:
    """What labels say against a version, by the newest window that they judged; None for nothing.

    Labels come late: that window is seldom the one that is checked. It ends by `until`, as a check
    of the past knows nothing of what came after.
    """
    judged = ledger.performance_checks(book, model.problem, model.version)
    for one in reversed(judged):
        found = json.loads(one.report_json)
        if one.window_end[:10] <= until.isoformat() and found.get("basis") == "realised":
            window = f"{one.window_start[:10]} to {one.window_end[:10]}"
            return f"{found['reason']} ({window})" if found["asks"] == "retraining" else None
    return None


def learned_until(problem: Problem, model: ModelRef) -> date | None:
    """Day (exclusive) up to which the model's data goes; None where rows have no time."""
    if problem.data.time is None:
        return None
    return date.fromisoformat(bundles.read_manifest(model.bundle)["data"]["until"])


def threshold(problem: Problem, model: ModelRef) -> float:
    """Magnitude in % above which the comparison says drift."""
    return policy.magnitude_above(problem.drift, bundles.read_alarms(model.bundle))


def warnings(drift: Drift, calibration: Calibration | None) -> list[str]:
    """Why thresholds are weaker than asked for."""
    if calibration is None:
        return ["the model's bundle holds no thresholds: train again to calibrate"]
    found = list(calibration.warnings)
    joint = calibration.thresholds.get(MAGNITUDE)
    if drift.magnitude_above is None and joint is not None and joint.above >= 100:
        found.append("the magnitude varies so much in the reference that it cannot alarm by itself")
    if drift.magnitude_above is None and joint is None:
        found.append(
            f"the magnitude is not calibrated: it alarms above {drift.magnitude_limit:g} %"
        )
    asked = {
        "drift.false_alarms_per_year": (
            drift.false_alarms_per_year,
            calibration.false_alarms_per_year,
        ),
        "drift.window_days": (drift.window_days, calibration.window_days),
        "drift.alarm_windows.k": (drift.alarm_windows.k, calibration.k),
        "drift.alarm_windows.n": (drift.alarm_windows.n, calibration.n),
        "drift.cool_down_days": (drift.cool_down_days, calibration.cool_down_days),
    }
    found += [
        f"{key} is {now:g}, thresholds were calibrated for {then:g}: train again"
        for key, (now, then) in asked.items()
        if now != then
    ]
    return found
