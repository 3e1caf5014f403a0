"""Retrainings: one at a time a problem, each trigger served once."""

from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from retrue.errors import LedgerError
from retrue.ledger.backoff import FINISHED, Backoff, Standing, standing_of
from retrue.ledger.holders import Holder, this_process
from retrue.ledger.leases import ensure_lease, is_held, locked_lease, release, take
from retrue.ledger.store import RETRAININGS, Ledger

DIED = '{"error": "the process that ran it died"}'


@dataclass(frozen=True)
class Retraining:
    """One retraining; `status` is running, promoted, refused, rejected or failed."""

    id: int
    problem: str
    trigger_key: str
    status: str
    token: int
    attempts: int
    details_json: str
    claimed_at: str
    finished_at: str | None


@dataclass(frozen=True)
class Claim:
    """The answer to a claim.

    `claimed`: `retraining` is yours, with its token. `finished`: `retraining` is the one that
    served this trigger, or a later window of the same model version, before. `busy`: `retraining`
    is the one that runs now. `waits`, `exhausted`: nothing is yours, `retraining` is the one that
    failed or was refused before, and `standing` says until when.
    """

    outcome: Literal["claimed", "finished", "busy", "waits", "exhausted"]
    retraining: Retraining
    standing: Standing | None = None

    @property
    def mine(self) -> Retraining:
        """The claimed retraining."""
        if self.outcome != "claimed":
            raise LedgerError(
                "a claim", self.outcome, "a retraining", "look at the outcome before the work"
            )
        return self.retraining


def claim_retraining(
    ledger: Ledger,
    problem: str,
    trigger_key: str,
    holder: Holder | None = None,
    backoff: Backoff | None = None,
) -> Claim:
    """Ask for the problem's one retraining; of many that ask at once exactly one gets it.

    A holder that died loses its claim (at once on this host, after the lease elsewhere), its
    token goes stale, and its trigger's next claim resumes the same row. A failed retraining may be
    claimed again: at once by a person, by a machine when `backoff` lets it.

    Parameters
    ----------
    ledger : Ledger
        The open ledger.
    problem : str
        Name of the problem.
    trigger_key : str
        What asks: a check's `trigger_key`, or the flow run id of a manual run.
    holder : Holder, optional
        Default: this process. It must live as long as the retraining.
    backoff : Backoff, optional
        Without it nothing is waited for.
    """
    ensure_lease(ledger, problem, "retraining")
    mine = sa.and_(RETRAININGS.c.problem == problem, RETRAININGS.c.trigger_key == trigger_key)
    with ledger.transaction() as connection:
        lease = locked_lease(connection, problem, "retraining")
        row = connection.execute(sa.select(RETRAININGS).where(mine)).first()
        if row is not None and row.status in FINISHED:
            return Claim("finished", _retraining(row))
        if is_held(ledger, lease):
            return Claim("busy", _by_id(connection, lease.row_id))
        if backoff is not None:
            found = standing_of(connection, ledger, problem, trigger_key, backoff)
            if found.state != "due":
                outcome = "finished" if found.state == "answered" else found.state
                return Claim(outcome, _by_id(connection, found.retraining_id), found)
        # Only a dead holder's row can still say "running" here; its own trigger may claim it again.
        orphan = sa.and_(RETRAININGS.c.problem == problem, RETRAININGS.c.status == "running")
        connection.execute(
            RETRAININGS.update()
            .where(orphan)
            .values(status="failed", details_json=DIED, finished_at=ledger.now())
        )
        fresh = {"status": "running", "claimed_at": ledger.now(), "finished_at": None}
        if row is None:
            new = {"problem": problem, "trigger_key": trigger_key, "details_json": "{}", **fresh}
            connection.execute(RETRAININGS.insert().values(**new, token=0, attempts=0))
            row = connection.execute(sa.select(RETRAININGS).where(mine)).one()
        token = take(ledger, connection, lease, row.id, holder or this_process())
        connection.execute(
            RETRAININGS.update()
            .where(RETRAININGS.c.id == row.id)
            .values(**fresh, details_json="{}", token=token, attempts=RETRAININGS.c.attempts + 1)
        )
        return Claim("claimed", _by_id(connection, row.id))


def finish_retraining(
    ledger: Ledger,
    retraining_id: int,
    token: int,
    status: Literal["promoted", "refused", "rejected", "failed"],
    details_json: str = "{}",
) -> Retraining:
    """Record the outcome and let the next retraining in; the same call again changes nothing.

    Raises
    ------
    LedgerError
        When the token is stale: someone took the work over, or it ended otherwise.
    """
    with ledger.transaction() as connection:
        row = _by_id(connection, retraining_id)
        if (row.token, row.status) == (token, status):
            return row
        release(connection, "retraining", retraining_id, token)
        connection.execute(
            RETRAININGS.update()
            .where(RETRAININGS.c.id == retraining_id)
            .values(status=status, details_json=details_json, finished_at=ledger.now())
        )
        return _by_id(connection, retraining_id)


def running_retraining(ledger: Ledger, problem: str) -> Retraining | None:
    """The retraining whose holder may be alive; None when there is none."""
    ensure_lease(ledger, problem, "retraining")
    with ledger.transaction() as connection:
        lease = locked_lease(connection, problem, "retraining")
        return _by_id(connection, lease.row_id) if is_held(ledger, lease) else None


def retrainings(ledger: Ledger, problem: str) -> list[Retraining]:
    """All retrainings of a problem, oldest first."""
    query = sa.select(RETRAININGS).where(RETRAININGS.c.problem == problem)
    with ledger.transaction() as connection:
        rows = connection.execute(query.order_by(RETRAININGS.c.id))
        return [_retraining(row) for row in rows]


def _by_id(connection: sa.Connection, retraining_id: int | None) -> Retraining:
    query = sa.select(RETRAININGS).where(RETRAININGS.c.id == retraining_id)
    return _retraining(connection.execute(query).one())


def _retraining(row: sa.Row[Any]) -> Retraining:
    return Retraining(**row._mapping)
