"""One piece of work of a kind at a time: a lease a problem, with a fencing token."""

from datetime import timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from retrue.errors import LedgerError
from retrue.ledger.holders import Holder, is_dead, is_local
from retrue.ledger.store import LEASES, Ledger

Work = Literal["retraining", "deployment"]


def ensure_lease(ledger: Ledger, problem: str, work: Work) -> None:
    """Create the problem's lease of this kind, free, when there is none yet."""
    known = sa.select(LEASES.c.token).where(*_at(problem, work))
    with ledger.transaction() as connection:
        if connection.execute(known).first():
            return
    try:
        with ledger.transaction() as connection:
            connection.execute(LEASES.insert().values(problem=problem, work=work, token=0))
    except IntegrityError:
        pass  # Another process was first; that is all that was wanted.


def locked_lease(connection: sa.Connection, problem: str, work: Work) -> sa.Row[Any]:
    """Read the lease, locked until the transaction ends (SQLite locks the whole file instead)."""
    query = sa.select(LEASES).where(*_at(problem, work)).with_for_update()
    return connection.execute(query).one()


def is_held(ledger: Ledger, lease: sa.Row[Any]) -> bool:
    """Whether someone who may still be alive holds the lease.

    On this host the process table knows; elsewhere only the last heartbeat does.
    """
    if lease.row_id is None:
        return False
    holder = Holder(lease.host, lease.pid, lease.created)
    if is_local(holder):
        return not is_dead(holder)
    silent_since = ledger.clock() - timedelta(seconds=ledger.lease_s)
    return bool(lease.heartbeat_at >= silent_since.timestamp())


def take(
    ledger: Ledger, connection: sa.Connection, lease: sa.Row[Any], row_id: int, holder: Holder
) -> int:
    """Give the locked lease to `holder`; returns the raised fencing token."""
    token = int(lease.token) + 1
    connection.execute(
        LEASES.update()
        .where(*_at(lease.problem, lease.work))
        .values(
            token=token,
            row_id=row_id,
            host=holder.host,
            pid=holder.pid,
            created=holder.created,
            heartbeat_at=ledger.clock().timestamp(),
        )
    )
    return token


def release(connection: sa.Connection, work: Work, row_id: int, token: int) -> None:
    """Free the lease.

    Raises
    ------
    LedgerError
        When the token is stale; nothing is changed.
    """
    freed = connection.execute(
        LEASES.update().where(*_held_with(work, row_id, token)).values(row_id=None)
    )
    if freed.rowcount != 1:
        raise _stale(connection, work, row_id, token)


def ensure_held(connection: sa.Connection, work: Work, row_id: int, token: int) -> None:
    """Make sure within a transaction that a claim holds, until the transaction ends.

    Raises
    ------
    LedgerError
        When someone else took over, or the work is finished.
    """
    query = sa.select(LEASES.c.token).where(*_held_with(work, row_id, token)).with_for_update()
    if connection.execute(query).first() is None:
        raise _stale(connection, work, row_id, token)


def check_token(ledger: Ledger, work: Work, row_id: int, token: int) -> None:
    """Make sure the claim still holds; call right before an effect outside the ledger.

    Raises
    ------
    LedgerError
        When someone else took over, or the work is finished.
    """
    heartbeat(ledger, work, row_id, token)


def heartbeat(ledger: Ledger, work: Work, row_id: int, token: int) -> None:
    """Say that the holder is alive; needed only while other hosts share the ledger.

    Raises
    ------
    LedgerError
        When someone else took over, or the work is finished.
    """
    with ledger.transaction() as connection:
        beat = connection.execute(
            LEASES.update()
            .where(*_held_with(work, row_id, token))
            .values(heartbeat_at=ledger.clock().timestamp())
        )
        if beat.rowcount != 1:
            raise _stale(connection, work, row_id, token)


def _at(problem: str, work: str) -> tuple[sa.ColumnElement[bool], ...]:
    return LEASES.c.problem == problem, LEASES.c.work == work


def _held_with(work: Work, row_id: int, token: int) -> tuple[sa.ColumnElement[bool], ...]:
    return LEASES.c.work == work, LEASES.c.row_id == row_id, LEASES.c.token == token


def _stale(connection: sa.Connection, work: Work, row_id: int, token: int) -> LedgerError:
    holding = connection.execute(
        sa.select(LEASES.c.token).where(LEASES.c.work == work, LEASES.c.row_id == row_id)
    ).scalar_one_or_none()
    return LedgerError(
        f"fencing token {token} to hold the claim",
        "a finished or lost claim" if holding is None else f"token {holding} in its place",
        f"{work} {row_id}",
        "stop: another run took the work over or it is done; nothing was written",
    )
