"""Days that a triage set aside: rows of the quarantine that people can release as any other."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from retrue import quarantine

if TYPE_CHECKING:
    from retrue.triage.result import Finding, Triage

CERTAIN, SUSPECTED = "triage: ", "triage suspects: "
"""How the rules begin. Days of a suspicion stay in the data; they keep a retraining waiting."""


def set_aside(problem: str, found: Triage) -> int:
    """Write findings to the quarantine, a row for each day; those that are there are not added.

    Returns
    -------
    int
        How many were new.
    """
    rows = [_row(one, day) for one in found.findings for day in one.days or (None,)]
    if not rows:
        return 0
    frame = pd.DataFrame(rows).assign(table="linked", source_row=None, until="", data_sha256="")
    return quarantine.append_quarantine(problem, frame)


def days_aside(problem: str) -> frozenset[date]:
    """Days (UTC) that are kept out of data versions and drift checks: certain, and not released."""
    faults = quarantine.read_quarantine(problem)
    faults = faults[faults["rule"].str.startswith(CERTAIN)]
    faults = quarantine.keep_released(faults, quarantine.released(problem))
    days = {json.loads(key)["day"] for key in faults["key"]}
    return frozenset(date.fromisoformat(day) for day in days if day)


def unsettled(problem: str, found: Triage) -> Triage:
    """The triage without days that are aside already and findings that a person released.

    What is left decides the verdict anew, so a fault that is over does not keep the checks blind.
    """
    aside, released = days_aside(problem), quarantine.released(problem)
    left: list[Finding] = []
    for one in found.findings:
        days = tuple(d for d in one.days if d not in aside and fault_id(one, d) not in released)
        if days or (not one.days and fault_id(one, None) not in released):
            left.append(one.model_copy(update={"days": days, "since": min(days, default=None)}))
    if len(left) == len(found.findings):
        return found.model_copy(update={"findings": tuple(left)})
    if found.verdict == "cannot tell" and not found.findings:
        return found
    is_broken = any(one.is_certain for one in left)
    verdict = "changed" if found.changes else "nothing"
    reason = "; ".join(found.changes[:3]) or "no new fault and no change was found"
    if left:
        verdict = "broken" if is_broken else "cannot tell"
        reason = "; ".join(f"{one.kind}: {one.evidence}" for one in left[:3])
    return found.model_copy(update={"verdict": verdict, "findings": tuple(left), "reason": reason})


def fault_id(finding: Finding, day: date | None) -> str:
    """The same fault of a day has the same id in every window."""
    said = [_rule(finding), finding.column, "" if day is None else day.isoformat()]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _rule(finding: Finding) -> str:
    return (CERTAIN if finding.is_certain else SUSPECTED) + finding.kind


def _row(finding: Finding, day: date | None) -> dict[str, str]:
    text = "" if day is None else day.isoformat()
    return {
        "fault_id": fault_id(finding, day),
        "key": json.dumps({"day": text}),
        "rule": _rule(finding),
        "column": finding.column,
        "value": text or "all rows",
        "reason": f"{finding.evidence}; {finding.remedy}",
        "row": json.dumps({**finding.figures, "share_of_window": finding.share}),
    }
