"""When the next drift check runs, and if none will, why."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from retrue import stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from retrue.config import Problem

    Ask = Callable[[str, bytes], bytes | None]

_LATE = timedelta(minutes=1)
"""A run that is due starts within the runner's poll, and a busy machine takes its time."""


def find(
    problem: Problem, running: dict[str, str | None], now: datetime, ask: Ask = stack.ask
) -> dict[str, str | None]:
    """The next scheduled run as the Prefect server has it.

    It is asked, and not computed from `drift.schedule`: a schedule may be paused in the UI, and
    without a server or a runner nothing comes of it.

    Parameters
    ----------
    running : dict
        Of `retrue.stack.status`.
    now : datetime
        With its zone.
    ask : callable
        Gives the body of the answer to a POST of JSON to an address, or None without an answer.

    Returns
    -------
    dict
        `schedule` (cron, UTC), `at` (ISO 8601, or None when nothing will start it) and `note`: why
        there is none, or that it is late.
    """
    found: dict[str, str | None] = {"schedule": problem.drift.schedule, "at": None, "note": None}
    server = running.get("prefect")
    if server is None:
        return found | {"note": "nothing starts it: no Prefect server runs; `retrue up`"}
    if running.get(stack.RUNNER) is None:
        return found | {"note": "nothing starts it: the runner does not run; `retrue up`"}
    answer = ask(f"{server}/api/flow_runs/filter", json.dumps(_query(problem.name)).encode())
    if answer is None:
        return found | {"note": "not known: the Prefect server does not answer"}
    at = _expected(answer)
    if at is None:
        return found | {"note": "none is scheduled: its schedule may be paused in the Prefect UI"}
    late = {"note": "late: the runner has not started it"} if now - _parsed(at) > _LATE else {}
    return found | {"at": at} | late


def _query(problem: str) -> dict[str, Any]:
    return {
        "flows": {"name": {"any_": ["drift-check"]}},
        "deployments": {"name": {"any_": [problem]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        "sort": "EXPECTED_START_TIME_ASC",
        "limit": 1,
    }


def _expected(answer: bytes) -> str | None:
    """The start of the first of the runs in an answer; None without any that can be read."""
    try:
        at = json.loads(answer)[0]["expected_start_time"]
        _parsed(at)
    except (ValueError, TypeError, LookupError):
        return None
    return str(at)


def _parsed(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return found
