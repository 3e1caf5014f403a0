"""Alerts: each raised once, and kept until every receiver has it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from retrue.ledger.store import ALERTS, Ledger

Kind = Literal[
    "drift",
    "cannot tell",
    "worse",
    "broken data",
    "promoted",
    "refused",
    "rejected",
    "failed",
    "exhausted",
    "approval",
]

TAKEN_S = 120.0
"""How long a sender has for one alert before another may think it died."""


@dataclass(frozen=True)
class Alert:
    """One alert; times are ISO 8601 text in UTC."""

    id: int
    problem: str
    kind: Kind
    subject_key: str
    """What it is about: of one kind there is one alert for each."""
    title: str
    body: str
    raised_at: str
    delivered_json: str
    taken_until: float
    attempts: int
    error: str | None

    @property
    def delivered(self) -> tuple[str, ...]:
        """Names of the receivers that have it."""
        return tuple(json.loads(self.delivered_json))


def record_alert(
    ledger: Ledger, problem: str, kind: Kind, subject_key: str, *, title: str, body: str
) -> bool:
    """Raise an alert unless there is one of this kind and subject; whether it is new."""
    new = {
        "problem": problem,
        "kind": kind,
        "subject_key": subject_key,
        "title": title,
        "body": body,
        "raised_at": ledger.now(),
        "delivered_json": "[]",
        "taken_until": 0.0,
        "attempts": 0,
    }
    known = sa.select(ALERTS.c.id).where(
        ALERTS.c.problem == problem, ALERTS.c.kind == kind, ALERTS.c.subject_key == subject_key
    )
    try:
        with ledger.transaction() as connection:
            if connection.execute(known).first() is not None:
                return False
            connection.execute(ALERTS.insert().values(new))
    except IntegrityError:
        return False  # Another process was first (servers only).
    return True


def alerts(ledger: Ledger, problem: str, max_age: timedelta | None = None) -> list[Alert]:
    """Alerts of a problem, oldest first; with `max_age` only those raised since."""
    query = sa.select(ALERTS).where(ALERTS.c.problem == problem)
    if max_age is not None:
        since: datetime = ledger.clock().astimezone(UTC) - max_age
        query = query.where(ALERTS.c.raised_at >= since.isoformat(timespec="microseconds"))
    with ledger.transaction() as connection:
        return [_alert(row) for row in connection.execute(query.order_by(ALERTS.c.id))]


def take_alert(ledger: Ledger, alert_id: int) -> Alert | None:
    """Take an alert to send it; None while another sender has it.

    One that died gives it free after `TAKEN_S`: then a receiver may get it twice, rather than not.
    """
    now = ledger.clock().timestamp()
    with ledger.transaction() as connection:
        taken = connection.execute(
            ALERTS.update()
            .where(ALERTS.c.id == alert_id, ALERTS.c.taken_until <= now)
            .values(taken_until=now + TAKEN_S, attempts=ALERTS.c.attempts + 1)
        )
        if taken.rowcount != 1:
            return None
        return _alert(connection.execute(sa.select(ALERTS).where(ALERTS.c.id == alert_id)).one())


def deliver(ledger: Ledger, taken: Alert, delivered: tuple[str, ...], error: str | None) -> None:
    """Write down who has a taken alert now and what went wrong, and give it free.

    One that another sender has taken meanwhile keeps what that one writes, and gains the names.
    """
    with ledger.transaction() as connection:
        query = sa.select(ALERTS).where(ALERTS.c.id == taken.id).with_for_update()
        now = _alert(connection.execute(query).one())
        names = sorted({*now.delivered, *delivered})
        values: dict[str, Any] = {"delivered_json": json.dumps(names)}
        if now.taken_until == taken.taken_until:
            values |= {"taken_until": 0.0, "error": error}
        connection.execute(ALERTS.update().where(ALERTS.c.id == taken.id).values(values))


def _alert(row: sa.Row[Any]) -> Alert:
    return Alert(**row._mapping)
