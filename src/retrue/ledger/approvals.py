"""Approvals: a person's word on a model version, asked for and given once."""

import json
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from retrue.ledger.holders import Holder, is_dead, this_process
from retrue.ledger.store import APPROVALS, Ledger

Decision = Literal["approved", "rejected"]
Via = Literal["form", "command line", "timeout"]


@dataclass(frozen=True)
class Approval:
    """What was asked about one model version and what was answered; times are ISO 8601 in UTC."""

    id: int
    problem: str
    model_version: int
    bundle_sha256: str
    why_json: str
    flow_run_id: str | None
    """The run that waits; None where a person answered unasked."""
    host: str | None
    pid: int | None
    created: str | None
    asked_at: str
    deadline_at: str
    decision: Decision | None
    decided_by: str | None
    decided_at: str | None
    decided_via: Via | None
    reason: str | None

    @property
    def status(self) -> Literal["waiting", "approved", "rejected"]:
        """The decision, or that there is none yet."""
        return self.decision or "waiting"

    @property
    def why(self) -> tuple[str, ...]:
        """Why a person was asked."""
        return tuple(json.loads(self.why_json))

    @property
    def has_a_run(self) -> bool:
        """Whether the run that asked still lives, as far as this host can know."""
        if self.host is None or self.pid is None:
            return False
        return not is_dead(Holder(self.host, self.pid, self.created or ""))


def request_approval(
    ledger: Ledger,
    problem: str,
    model_version: int,
    bundle_sha256: str,
    *,
    why: tuple[str, ...],
    timeout_s: float,
    flow_run_id: str,
    holder: Holder | None = None,
) -> Approval:
    """Ask for a person's word on a version, or give what is known of it.

    A decision is returned unchanged. A question that is still open keeps its deadline, unless that
    passed while no run waited: then it is asked anew. When its run died, it becomes this one's.

    Parameters
    ----------
    ledger : Ledger
        The open ledger.
    problem, model_version, bundle_sha256
        Which model.
    why : tuple of str
        Why a person is asked.
    timeout_s : float
        Seconds until the deadline.
    flow_run_id : str
        The run that waits for the answer.
    holder : Holder, optional
        Default: this process. It must live as long as the run.
    """
    mine = holder or this_process()
    run = {
        "flow_run_id": flow_run_id,
        "host": mine.host,
        "pid": mine.pid,
        "created": mine.created,
    }
    moments = {"asked_at": ledger.now(), "deadline_at": _later(ledger, timeout_s)}
    new = {
        "problem": problem,
        "model_version": model_version,
        "bundle_sha256": bundle_sha256,
        "why_json": json.dumps(why),
        **run,
        **moments,
    }
    same = _same(problem, model_version, bundle_sha256)
    try:
        with ledger.transaction() as connection:
            row = connection.execute(sa.select(APPROVALS).where(*same).with_for_update()).first()
            if row is None:
                connection.execute(APPROVALS.insert().values(new))
            elif row.decision is None:
                known = _approval(row)
                change = {} if known.has_a_run and known.flow_run_id != flow_run_id else run
                if row.deadline_at <= ledger.now():
                    change = {**change, **moments}
                if change:
                    connection.execute(APPROVALS.update().where(*same).values(change))
            return _one(connection, *same)
    except IntegrityError:
        # Another process asked between our look and our insert (servers only).
        with ledger.transaction() as connection:
            return _one(connection, *same)


def record_decision(
    ledger: Ledger,
    problem: str,
    model_version: int,
    bundle_sha256: str,
    *,
    decision: Decision,
    by: str,
    reason: str,
    via: Via,
) -> Approval:
    """Record a decision unless there is one, and return the one that stands.

    The first decision wins. A timeout is silence and no person's word, so the command line may
    still replace it. A version nobody asked about may be decided on as well.
    """
    same = _same(problem, model_version, bundle_sha256)
    now = ledger.now()
    values = {
        "decision": decision,
        "decided_by": by,
        "decided_at": now,
        "decided_via": via,
        "reason": reason,
    }
    open_: sa.ColumnElement[bool] = APPROVALS.c.decision.is_(None)
    if via == "command line":
        open_ = sa.or_(open_, APPROVALS.c.decided_via == "timeout")
    unasked = {"why_json": "[]", "asked_at": now, "deadline_at": now}
    key = {"problem": problem, "model_version": model_version, "bundle_sha256": bundle_sha256}

    def update(connection: sa.Connection) -> Approval:
        connection.execute(APPROVALS.update().where(*same, open_).values(values))
        return _one(connection, *same)

    try:
        with ledger.transaction() as connection:
            if connection.execute(sa.select(APPROVALS.c.id).where(*same)).first() is None:
                connection.execute(APPROVALS.insert().values({**key, **unasked, **values}))
            return update(connection)
    except IntegrityError:
        # Another process asked or decided between our look and our insert (servers only).
        with ledger.transaction() as connection:
            return update(connection)


def find_approval(
    ledger: Ledger, problem: str, model_version: int, bundle_sha256: str
) -> Approval | None:
    """What is known of a version; None when nobody asked and nobody decided."""
    query = sa.select(APPROVALS).where(*_same(problem, model_version, bundle_sha256))
    with ledger.transaction() as connection:
        row = connection.execute(query).first()
    return None if row is None else _approval(row)


def approvals(ledger: Ledger, problem: str) -> list[Approval]:
    """All approvals of a problem, asked for first coming first."""
    query = sa.select(APPROVALS).where(APPROVALS.c.problem == problem)
    with ledger.transaction() as connection:
        rows = connection.execute(query.order_by(APPROVALS.c.id))
        return [_approval(row) for row in rows]


def _later(ledger: Ledger, seconds: float) -> str:
    # In the form of `Ledger.now`, so that the two can be compared as text.
    later = ledger.clock().astimezone(UTC) + timedelta(seconds=seconds)
    return later.isoformat(timespec="microseconds")


def _same(
    problem: str, model_version: int, bundle_sha256: str
) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        APPROVALS.c.problem == problem,
        APPROVALS.c.model_version == model_version,
        APPROVALS.c.bundle_sha256 == bundle_sha256,
    )


def _one(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> Approval:
    return _approval(connection.execute(sa.select(APPROVALS).where(*where)).one())


def _approval(row: sa.Row[Any]) -> Approval:
    return Approval(**row._mapping)
