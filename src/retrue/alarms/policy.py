"""From a check, the thresholds and the checks before it to an alarm."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from retrue.alarms.calibration import MAGNITUDE, Calibration
from retrue.alarms.effects import effect
from retrue.alarms.verdict import Alarm, Answer, HeldBack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from retrue.alarms.calibration import Threshold
    from retrue.config_drift import Drift
    from retrue.drift.report import DriftReport
    from retrue.ledger import Check, Retraining

LEAST_MAGNITUDE = 10.0
"""In %; no calibrated threshold is lower: a shift of a quarter sd in one normal feature gives 10,
by 2 Phi(d / 2) - 1."""


@dataclass(frozen=True)
class Vote:
    """What one window says by itself."""

    answer: Answer
    until: datetime
    """End of the window, exclusive, tz-aware."""
    exceeded: tuple[str, ...] = ()
    reason: str = ""


def magnitude_above(drift: Drift, calibration: Calibration | None) -> float:
    """The threshold of the magnitude in %: as configured, else calibrated, else 60."""
    found = None if calibration is None else calibration.thresholds.get(MAGNITUDE)
    if drift.magnitude_above is not None or found is None:
        return drift.magnitude_limit
    return min(100.0, max(found.above, LEAST_MAGNITUDE))


def vote(
    report: DriftReport,
    calibration: Calibration | None,
    drift: Drift,
    until: datetime,
    worse: str | None = None,
) -> Vote:
    """Judge one window by its report: the comparison's verdict, or a feature that moved too far.

    Labels that show the model to do `worse` (why, in words) are drift as well: they depend on the
    features otherwise than they did, which no feature shows.

    A feature counts when its test is significant and its effect is above both its calibrated
    threshold and `drift.effect_above`. Without a threshold it does not count: nobody knows how
    often it would alarm for nothing. A comparison that cannot tell, or an effect that is no number,
    cannot tell. Nor can rows on less than half of the days that thresholds were calibrated for: so
    few days differ more from each other. A magnitude threshold that was configured still decides.
    """
    if report.verdict == "cannot tell":
        return Vote("cannot tell", until, (), report.reason)
    thresholds = {} if calibration is None else calibration.thresholds
    if calibration is not None and thresholds and _is_short(report, calibration):
        if drift.magnitude_above is None and MAGNITUDE in thresholds:
            why = (
                f"cannot tell: rows of {report.n_days} days, thresholds are calibrated for windows"
            )
            return Vote("cannot tell", until, (), f"{why} of {calibration.window_days}")
        thresholds = {}
    exceeded, unknown = _beyond(report, thresholds, drift)
    news = [f"{', '.join(exceeded)} moved beyond the calibrated threshold"] if exceeded else []
    news += [worse] if worse else []
    if report.verdict == "drift":
        return Vote("drift", until, exceeded, "; ".join([report.reason, *news]))
    if news:
        why = f"{'; '.join(news)}; magnitude {report.reason}"
        return Vote("drift", until, exceeded, why)
    if unknown:
        why = f"cannot tell: the effect of {', '.join(unknown)} is no number"
        return Vote("cannot tell", until, (), why)
    return Vote("no drift", until, (), report.reason)


def _beyond(
    report: DriftReport, thresholds: Mapping[str, Threshold], drift: Drift
) -> tuple[tuple[str, ...], list[str]]:
    """Features beyond their thresholds, largest excess first, and those with no number."""
    excess: dict[str, float] = {}
    unknown = []
    for feature in report.features:
        found, threshold = effect(feature), thresholds.get(feature.name)
        if threshold is None or found is None:
            continue  # Both sides without values is no news; one side alone is a verdict.
        if not math.isfinite(found):
            unknown.append(feature.name)
        above = max(threshold.above, drift.effect_above)
        if feature.significant and found > above:
            excess[feature.name] = found / above if above > 0 else math.inf
    return tuple(sorted(excess, key=lambda name: -excess[name])), unknown


def _is_short(report: DriftReport, calibration: Calibration) -> bool:
    return report.n_days is not None and 2 * report.n_days < calibration.window_days


def decide(
    newest: Vote,
    before: Iterable[Vote],
    learned_until: Sequence[datetime],
    drift: Drift,
    warnings: Sequence[str] = (),
) -> Alarm:
    """Decide whether the newest window's vote is an alarm.

    Parameters
    ----------
    newest : Vote
        Of the window that was just checked.
    before : iterable of Vote
        Of earlier checks of the same model version, in any order; windows that do not end before
        the newest are left out.
    learned_until : sequence of datetime, tz-aware
        Ends (exclusive) of the data that the serving model was made from and of windows whose
        retraining has an answer. The clock is the newest window's end, so a replay of the past
        decides as the past did.
    drift : Drift
        `alarm_windows` and `cool_down_days`.
    warnings : sequence of str
        Handed on.

    Returns
    -------
    Alarm
        "drift" when the newest window and at least k of the last n vote for it outside of a
        cool-down; "cannot tell", for an operator, when the newest window cannot tell, or when it
        votes for drift and windows that could not tell decide whether k is reached. A window that
        cannot tell is never "no drift".
    """
    n, k = drift.alarm_windows.n, drift.alarm_windows.k
    earlier = sorted((one for one in before if one.until < newest.until), key=lambda v: v.until)
    last = [*earlier[max(0, len(earlier) - n + 1) :], newest] if n > 1 else [newest]
    n_drift = sum(one.answer == "drift" for one in last)
    n_unknown = sum(one.answer == "cannot tell" for one in last)

    def alarm(verdict: Answer, reason: str, held_back: HeldBack = None) -> Alarm:
        return Alarm(
            verdict=verdict,
            vote=newest.answer,
            exceeded=newest.exceeded,
            held_back=held_back,
            needs_operator=verdict == "cannot tell",
            reason=reason,
            warnings=tuple(warnings),
        )

    if newest.answer != "drift":
        return alarm(newest.answer, newest.reason)
    quiet_until = max(learned_until, default=None)
    if drift.cool_down_days and quiet_until is not None:
        quiet_until += timedelta(days=drift.cool_down_days)
        if newest.until < quiet_until:
            why = f"{newest.reason}; no alarm before {quiet_until:%Y-%m-%d}, the end of a cool-down"
            return alarm("no drift", why, "cool-down")
    if n_drift >= k:
        seen = f"; in {n_drift} of the last {len(last)} windows" if k > 1 else ""
        return alarm("drift", f"{newest.reason}{seen}")
    if n_drift + n_unknown >= k:
        why = f"cannot tell: {newest.reason}; {n_unknown} of the last {len(last)} windows could not"
        return alarm("cannot tell", f"{why} tell, and {k} must show drift")
    why = f"{newest.reason}; in {n_drift} of the last {len(last)} windows, an alarm needs {k}"
    return alarm("no drift", why, "too few windows")


def votes(checks: Iterable[Check], model_version: int) -> list[Vote]:
    """Votes of recorded checks of one model version.

    A check from before alarms were decided votes as its comparison's verdict. Other versions had
    another reference.
    """
    found = []
    for check in checks:
        if check.model_version == model_version:
            report = json.loads(check.report_json)
            said = (report.get("alarm") or {}).get("vote") or report.get("verdict")
            answer: Answer = said if said in ("drift", "no drift") else "cannot tell"
            found.append(Vote(answer, datetime.fromisoformat(check.window_end)))
    return found


def answered(checks: Iterable[Check], retrainings: Iterable[Retraining]) -> list[datetime]:
    """Ends of the windows whose retraining came to an answer: promoted, refused or rejected."""
    keys = {one.trigger_key for one in retrainings if one.status not in ("running", "failed")}
    return [datetime.fromisoformat(c.window_end) for c in checks if c.trigger_key in keys]
