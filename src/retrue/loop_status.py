"""What the loop found and did, from the ledger and the disk alone: no server has to run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from retrue import check_facts, drift_page, ledger
from retrue.home import lake_dir

if TYPE_CHECKING:
    from retrue.ledger import Check, Ledger, Retraining

_MOST_RETRAININGS = 3


def of(book: Ledger, problem: str) -> dict[str, Any]:
    """The last check and what came of it, as plain values; times are ISO 8601 text in UTC.

    Returns
    -------
    dict
        `last_check` and `last_retraining` (None before the first) and `last_retrainings` (newest
        first, at most three).
    """
    checks = ledger.checks(book, problem)
    done = sorted(
        ledger.retrainings(book, problem), key=lambda one: (one.claimed_at, one.id), reverse=True
    )
    told = [retraining_facts(one) for one in done[:_MOST_RETRAININGS]]
    return {
        "last_check": check_told(newest(checks)) if checks else None,
        "check_ran_at": check_ran_at(problem),
        "last_retraining": told[0] if told else None,
        "last_retrainings": told,
    }


def newest(checks: list[Check]) -> Check:
    """The check that was decided last: one that could not tell is decided again in its place."""
    return max(checks, key=lambda one: (one.decided_at, one.id))


def check_ran_at(problem: str) -> str | None:
    """When a check last ran to its end; None before the first.

    The ledger cannot say: a window that was decided before keeps its decision. But each check
    writes its page anew.
    """
    pages = (lake_dir(problem) / "pages").glob("drift-v*.html")
    times = [path.stat().st_mtime for path in pages]
    return datetime.fromtimestamp(max(times), UTC).isoformat() if times else None


def check_told(check: Check) -> dict[str, Any]:
    """One check as plain values."""
    facts = check_facts.read(check)
    page = drift_page.page_path(check)
    return {
        "verdict": facts.verdict,
        "reason": facts.reason,
        "magnitude": facts.magnitude,
        "magnitude_low": facts.magnitude_low,
        "magnitude_high": facts.magnitude_high,
        "threshold": facts.threshold,
        "top_feature": facts.top_feature,
        "contribution": facts.contributions.get(facts.top_feature or ""),
        "model_version": facts.model_version,
        "window_start": facts.window_start,
        "window_end": facts.window_end,
        "decided_at": facts.decided_at,
        "decision": check.trigger_key,
        "page": str(page) if page.exists() else None,
    }


def retraining_facts(one: Retraining) -> dict[str, Any]:
    """One retraining as plain values."""
    details = _details(one)
    return {
        "status": one.status,
        "trigger_key": one.trigger_key,
        "model_version": details.get("model_version"),
        "reason": details.get("reason") or details.get("error"),
        "attempts": one.attempts,
        "claimed_at": one.claimed_at,
        "finished_at": one.finished_at,
    }


def _details(one: Retraining) -> dict[str, Any]:
    try:
        found = json.loads(one.details_json)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
