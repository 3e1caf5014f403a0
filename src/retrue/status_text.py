"""What `retrue status` tells people: nested facts for a tree in a terminal."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from retrue.check_facts import moment, window

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
Told = dict[str, Any]


def facts(found: Mapping[str, Any], now: datetime) -> Told:
    """The status document in words.

    Parameters
    ----------
    found : mapping
        Of `retrue.service.status`; parts that are not there are passed over.
    now : datetime
        With its zone: times are told by how long ago they were.
    """
    servers = {name: at or "does not run" for name, at in found["stack"].items()}
    problems = {name: _problem(one, now) for name, one in found["problems"].items()}
    return {"servers": servers, **problems}


def ago(text: str | None, now: datetime) -> str:
    """How long ago a moment was, or how far ahead it is; a dash for none.

    Examples
    --------
    >>> now = datetime.fromisoformat("2013-04-01T12:00:00+00:00")
    >>> ago("2013-04-01T09:30:00+00:00", now), ago("2013-04-03T12:00:00+00:00", now)
    ('2 h ago', 'in 2 d')
    >>> ago("2013-04-01T11:59:50+00:00", now)
    'now'
    """
    if text is None:
        return "-"
    seconds = (now - datetime.fromisoformat(text)).total_seconds()
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            n = f"{abs(seconds) // size:.0f} {unit}"
            return f"{n} ago" if seconds > 0 else f"in {n}"
    return "now"


def _problem(one: Mapping[str, Any], now: datetime) -> Told:
    rollout = one.get("rollout")
    told: Told = {"serves": _serves(one, now)}
    if rollout:
        told["rollout"] = f"{rollout['stage']} of version {rollout['model_version']}"
    told["last check"] = _check(one, now)
    told["next check"] = _next(one.get("next_check") or {}, now)
    told["retrainings"] = {
        one["trigger_key"]: _retraining(one, now) for one in one.get("last_retrainings") or ()
    } or "none yet"
    for key, name in (
        ("undone", "drift without an answer"),
        ("alerts_not_delivered", "alerts not delivered"),
        ("waits_for_approval", "waits for approval"),
        ("prediction_log", "prediction log"),
    ):
        if one.get(key):
            told[name] = one[key]
    return told


def _serves(one: Mapping[str, Any], now: datetime) -> str:
    if one["model_version"] is None:
        return "nothing: no version was deployed"
    since = f"since {_minute(one['since'])} ({ago(one['since'], now)})"
    version = f"version {one['model_version']}"
    if one["healthy"] and one["address"]:
        return f"{version} by a {one['target']} at {one['address']}, {since}"
    return f"{version} should, {since}, but nothing answers; `retrue up`"


def _check(one: Mapping[str, Any], now: datetime) -> Told | str:
    check = one.get("last_check")
    if check is None:
        return "none yet"
    magnitude = "no magnitude"
    if check["magnitude"] is not None:
        low, high = check["magnitude_low"], check["magnitude_high"]
        ends = "" if low is None or high is None else f" [{low:.0f}, {high:.0f}]"
        magnitude = f"{check['magnitude']:.0f} %{ends}"
    if check["threshold"] is not None:
        magnitude += f", alarm above {check['threshold']:.0f} %"
    share = check["contribution"]
    top = check["top_feature"] or "-"
    told: Told = {
        "verdict": f"{check['verdict']}, decided {ago(check['decided_at'], now)}",
        "why": check["reason"],
        "magnitude": magnitude,
        "top feature": top if share is None else f"{top} ({share:.0f} %)",
        "window": f"{window(check['window_start'], check['window_end'])},"
        f" version {check['model_version']}",
        "page": check["page"],
    }
    if one.get("check_ran_at"):
        told["last ran"] = f"{_minute(one['check_ran_at'])} ({ago(one['check_ran_at'], now)})"
    return told


def _next(found: Mapping[str, Any], now: datetime) -> str:
    schedule, at, note = (found.get(key) for key in ("schedule", "at", "note"))
    when = f"{_minute(at)} ({ago(at, now)})" if at else ""
    told = "; ".join(part for part in (when, note) if part) or "not known"
    return f"{told}; schedule {schedule}" if schedule else told


def _retraining(one: Mapping[str, Any], now: datetime) -> str:
    version = f" version {one['model_version']}" if one["model_version"] else ""
    when = one["finished_at"] or one["claimed_at"]
    tried = f", attempt {one['attempts']}" if one["attempts"] > 1 else ""
    why = f": {one['reason']}" if one["reason"] else ""
    return f"{one['status']}{version}, {ago(when, now)}{tried}{why}"


def _minute(text: str) -> str:
    return f"{moment(text)} UTC"
