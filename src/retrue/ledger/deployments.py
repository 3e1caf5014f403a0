"""Deployments: one at a time a problem; what should serve, and what served before."""

from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from retrue.errors import LedgerError
from retrue.ledger.holders import Holder, this_process
from retrue.ledger.leases import ensure_held, ensure_lease, is_held, locked_lease, release, take
from retrue.ledger.retrainings import Retraining
from retrue.ledger.store import DEPLOYMENTS, Ledger


@dataclass(frozen=True)
class Deployment:
    """One deployment; `status` is deploying, serving, retired or failed."""

    id: int
    problem: str
    model_version: int
    bundle_sha256: str
    status: str
    token: int
    target: str | None
    image_digest: str | None
    details_json: str
    started_at: str
    finished_at: str | None


def start_deployment(
    ledger: Ledger,
    problem: str,
    model_version: int,
    bundle_sha256: str,
    holder: Holder | None = None,
    take_over: bool = False,
    for_retraining: Retraining | None = None,
) -> Deployment:
    """Open a deployment and return it with its fencing token.

    One whose holder died is closed as failed; what serves is not touched before
    `finish_deployment`. The holder (default: this process) must live until then. With `take_over`
    (a rollback) one that runs is closed as well: its token is stale from now on. With
    `for_retraining` that retraining must still hold its claim, in the same transaction: one that
    was silent for too long, and was done again by another, brings nothing in any more.

    Raises
    ------
    LedgerError
        When another deployment of the problem runs, or the retraining lost its claim.
    """
    ensure_lease(ledger, problem, "deployment")
    with ledger.transaction() as connection:
        if for_retraining is not None:
            ensure_held(connection, "retraining", for_retraining.id, for_retraining.token)
        lease = locked_lease(connection, problem, "deployment")
        if is_held(ledger, lease) and not take_over:
            raise LedgerError(
                "no other deployment running",
                f"deployment {lease.row_id} held by pid {lease.pid} on {lease.host}",
                problem,
                "wait for it, or end that process",
            )
        connection.execute(
            DEPLOYMENTS.update()
            .where(DEPLOYMENTS.c.problem == problem, DEPLOYMENTS.c.status == "deploying")
            .values(status="failed", finished_at=ledger.now())
        )
        token = int(lease.token) + 1  # A deployment is never resumed: the token names its row.
        connection.execute(
            DEPLOYMENTS.insert().values(
                problem=problem,
                model_version=model_version,
                bundle_sha256=bundle_sha256,
                status="deploying",
                token=token,
                details_json="{}",
                started_at=ledger.now(),
            )
        )
        made = _one(connection, DEPLOYMENTS.c.problem == problem, DEPLOYMENTS.c.token == token)
        take(ledger, connection, lease, made.id, holder or this_process())
        return made


def finish_deployment(
    ledger: Ledger,
    deployment_id: int,
    token: int,
    status: Literal["serving", "failed"],
    *,
    target: str | None = None,
    image_digest: str | None = None,
    details_json: str = "{}",
) -> Deployment:
    """Record the outcome; on "serving" what served before is retired in the same transaction.

    The same call again changes nothing.

    Raises
    ------
    LedgerError
        When the token is stale: someone took over, or the deployment ended otherwise.
    """
    with ledger.transaction() as connection:
        row = _one(connection, DEPLOYMENTS.c.id == deployment_id)
        if (row.token, row.status) == (token, status):
            return row
        release(connection, "deployment", deployment_id, token)
        if status == "serving":
            connection.execute(
                DEPLOYMENTS.update()
                .where(DEPLOYMENTS.c.problem == row.problem, DEPLOYMENTS.c.status == "serving")
                .values(status="retired")
            )
        connection.execute(
            DEPLOYMENTS.update()
            .where(DEPLOYMENTS.c.id == deployment_id)
            .values(
                status=status,
                target=target,
                image_digest=image_digest,
                details_json=details_json,
                finished_at=ledger.now(),
            )
        )
        return _one(connection, DEPLOYMENTS.c.id == deployment_id)


def deployment_turn(ledger: Ledger, problem: str) -> tuple[int, bool]:
    """The newest fencing token, and whether a deployment that may be alive holds it."""
    ensure_lease(ledger, problem, "deployment")
    with ledger.transaction() as connection:
        lease = locked_lease(connection, problem, "deployment")
        return int(lease.token), is_held(ledger, lease)


def should_serve(ledger: Ledger, problem: str) -> Deployment | None:
    """Return the deployment that serves, or None before the first."""
    return next((d for d in reversed(history(ledger, problem)) if d.status == "serving"), None)


def previous_version(ledger: Ledger, problem: str) -> int | None:
    """Return the model version that served last before the present one, or None: for a rollback.

    After a rollback this is the version rolled back from.
    """
    serving = should_serve(ledger, problem)
    now = serving.model_version if serving else None
    retired = [d for d in history(ledger, problem) if d.status == "retired"]
    return next((d.model_version for d in reversed(retired) if d.model_version != now), None)


def history(ledger: Ledger, problem: str) -> list[Deployment]:
    """All deployments of a problem, oldest first."""
    query = sa.select(DEPLOYMENTS).where(DEPLOYMENTS.c.problem == problem)
    with ledger.transaction() as connection:
        rows = connection.execute(query.order_by(DEPLOYMENTS.c.id))
        return [_deployment(row) for row in rows]


def _one(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> Deployment:
    return _deployment(connection.execute(sa.select(DEPLOYMENTS).where(*where)).one())


def _deployment(row: sa.Row[Any]) -> Deployment:
    return Deployment(**row._mapping)
