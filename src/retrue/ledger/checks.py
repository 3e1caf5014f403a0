"""Drift checks: one decision a window and model version, made once."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from retrue.errors import LedgerError
from retrue.ledger.backoff import (
    FINISHED,
    Backoff,
    Standing,
    answered_by_newer,
    answers,
    standing_of,
)
from retrue.ledger.store import DRIFT_CHECKS, RETRAININGS, Ledger

_ANY_ATTEMPTS = 2**31 - 1


@dataclass(frozen=True)
class Check:
    """One recorded drift check; times are ISO 8601 text in UTC."""

    id: int
    problem: str
    model_version: int
    window_start: str
    window_end: str
    trigger_key: str
    """Names the retraining that a drift verdict asks for."""
    verdict: str
    report_json: str
    flow_run_id: str | None
    decided_at: str


def record_check(
    ledger: Ledger,
    problem: str,
    model_version: int,
    window_start: date | str,
    window_end: date | str,
    *,
    verdict: Literal["drift", "no drift", "cannot tell"],
    report_json: str,
    flow_run_id: str | None = None,
) -> Check:
    """Record a check and return it, or the earlier one of this window and version unchanged.

    "cannot tell" is no decision: a later check of the same window replaces it. The window is given
    as dates (midnight UTC), tz-aware datetimes, or ISO text of either; different spellings of one
    moment are one window.

    Raises
    ------
    LedgerError
        When a time of day has no zone, or text is no ISO time.
    """
    start, end = moment(window_start), moment(window_end)
    key = {
        "problem": problem,
        "model_version": model_version,
        "window_start": start,
        "window_end": end,
    }
    values = {
        "verdict": verdict,
        "report_json": report_json,
        "flow_run_id": flow_run_id,
        "decided_at": ledger.now(),
    }
    trigger_key = f"drift:v{model_version}:{start}/{end}"
    same = [DRIFT_CHECKS.c[name] == value for name, value in key.items()]
    try:
        with ledger.transaction() as connection:
            undecided = DRIFT_CHECKS.c.verdict == "cannot tell"
            connection.execute(DRIFT_CHECKS.update().where(*same, undecided).values(values))
            row = connection.execute(sa.select(DRIFT_CHECKS).where(*same)).first()
            if row is None:
                new = {**key, **values, "trigger_key": trigger_key}
                connection.execute(DRIFT_CHECKS.insert().values(new))
                row = connection.execute(sa.select(DRIFT_CHECKS).where(*same)).one()
            return _check(row)
    except IntegrityError:
        # Another process decided between our look and our insert (servers only).
        with ledger.transaction() as connection:
            return _check(connection.execute(sa.select(DRIFT_CHECKS).where(*same)).one())


def open_decisions(ledger: Ledger, problem: str, max_attempts: int = 3) -> list[Check]:
    """Drift decisions whose retraining did not come to an answer: their events are due again.

    Oldest first. A retraining that failed `max_attempts` times waits for a human instead, and the
    answer to a later window of the same model version is the answer to the earlier ones.
    """
    done = sa.or_(
        RETRAININGS.c.status.in_(FINISHED),
        sa.and_(RETRAININGS.c.status == "failed", RETRAININGS.c.attempts >= max_attempts),
    )
    finished = sa.select(RETRAININGS.c.id).where(answers(DRIFT_CHECKS)).where(done)
    return _select(
        ledger,
        sa.and_(
            DRIFT_CHECKS.c.problem == problem,
            DRIFT_CHECKS.c.verdict == "drift",
            ~sa.exists(finished),
            ~sa.exists(answered_by_newer(DRIFT_CHECKS.c)),
        ),
    )


def undone(ledger: Ledger, problem: str, backoff: Backoff) -> list[tuple[Check, Standing]]:
    """Drift decisions without an answer, newest window first, each with how it stands."""
    open_ = open_decisions(ledger, problem, _ANY_ATTEMPTS)
    newest_first = sorted(open_, key=lambda check: (check.window_end, check.id), reverse=True)
    with ledger.transaction() as connection:
        return [
            (check, standing_of(connection, ledger, problem, check.trigger_key, backoff))
            for check in newest_first
        ]


def to_announce(found: list[tuple[Check, Standing]]) -> list[Check]:
    """Of what `undone` gives, the newest window that is due of each model version.

    It has most to train on, and its answer is the answer to the others.
    """
    due = [check for check, stands in found if stands.state == "due"]
    newest: dict[int, Check] = {}
    for check in due:
        newest.setdefault(check.model_version, check)
    return list(newest.values())


def find_decision(ledger: Ledger, problem: str, trigger_key: str) -> Check | None:
    """The drift decision of this key; None when the ledger has none."""
    found = _select(
        ledger,
        sa.and_(
            DRIFT_CHECKS.c.problem == problem,
            DRIFT_CHECKS.c.trigger_key == trigger_key,
            DRIFT_CHECKS.c.verdict == "drift",
        ),
    )
    return found[0] if found else None


def checks(ledger: Ledger, problem: str) -> list[Check]:
    """All checks of a problem, oldest first."""
    return _select(ledger, DRIFT_CHECKS.c.problem == problem)


def moment(when: date | str) -> str:
    """One spelling of a moment: ISO 8601 text in UTC; see `record_check`."""
    try:
        if isinstance(when, str):
            when = date.fromisoformat(when) if len(when) == 10 else datetime.fromisoformat(when)
        if not isinstance(when, datetime):
            when = datetime(when.year, when.month, when.day, tzinfo=UTC)
        if when.tzinfo is None:
            raise ValueError("no time zone")
    except ValueError as error:
        raise LedgerError(
            "an ISO date, or an ISO time with its zone",
            f"{when} ({error})",
            "window of a drift check",
            "give UTC, as in 2013-04-01 or 2013-04-01T06:00:00+00:00",
        ) from error
    return when.astimezone(UTC).isoformat()


def _select(ledger: Ledger, where: sa.ColumnElement[bool]) -> list[Check]:
    query = sa.select(DRIFT_CHECKS).where(where).order_by(DRIFT_CHECKS.c.id)
    with ledger.transaction() as connection:
        return [_check(row) for row in connection.execute(query)]


def _check(row: sa.Row[Any]) -> Check:
    return Check(**row._mapping)
