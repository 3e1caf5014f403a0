"""When a retraining may be tried: at once, later, or never again without a person."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from retrue.ledger.store import DRIFT_CHECKS, RETRAININGS, Ledger

FINISHED = ("promoted", "refused", "rejected")
"""The gate's answer, or a person's after it; a trigger that has one is not served again."""

_LONGEST_AFTER_FAILURE = timedelta(days=1)
_LONGEST_AFTER_REFUSAL = timedelta(days=28)
# 2.0**1024 is no float any more; no wait doubles that often before it is as long as it can be.
_MOST_DOUBLINGS = 60


@dataclass(frozen=True)
class Backoff:
    """How long is waited before a retraining is tried again.

    Parameters
    ----------
    max_attempts : int
        Attempts of one trigger before it waits for a person.
    failed_s : float
        Seconds after the first failure of a trigger; doubled with each further one, at most a day.
    refused_s : float
        Seconds after the first refusal of a model version's retraining before another decision
        about that version is tried; doubled with each further one, at most 28 days.
    """

    max_attempts: int = 3
    failed_s: float = 900
    refused_s: float = 86_400

    def after_failures(self, n: int) -> timedelta:
        """Wait after the n-th failure of a trigger.

        Examples
        --------
        >>> [int(Backoff().after_failures(n).total_seconds() // 60) for n in (1, 2, 3, 10)]
        [15, 30, 60, 1440]
        """
        return _doubled(self.failed_s, n, _LONGEST_AFTER_FAILURE)

    def after_refusals(self, n: int) -> timedelta:
        """Wait after the n-th refusal of a model version's retraining.

        Examples
        --------
        >>> [Backoff().after_refusals(n).days for n in (1, 2, 3, 10)]
        [1, 2, 4, 28]
        """
        return _doubled(self.refused_s, n, _LONGEST_AFTER_REFUSAL)


@dataclass(frozen=True)
class Standing:
    """How a trigger stands.

    `answered`: by its own retraining, or by that of a later window of the same model version.
    `due`: may be tried now. `waits`: not before `not_before`. `exhausted`: a person must ask.
    """

    state: Literal["answered", "due", "waits", "exhausted"]
    not_before: datetime | None = None
    n_failures: int = 0
    n_refusals: int = 0
    retraining_id: int | None = None
    """The retraining that answered, that failed, or that was refused last."""

    @property
    def told(self) -> str:
        """In plain words."""
        if self.state == "exhausted":
            return f"waits for a person after {_many(self.n_failures, 'failure')}"
        if self.state != "waits" or self.not_before is None:
            return self.state
        if self.n_failures:
            why = _many(self.n_failures, "failure")
        else:
            why = f"{_many(self.n_refusals, 'refusal')} for this model version"
        return f"waits until {self.not_before:%Y-%m-%d %H:%M:%S} UTC after {why}"


def standing(ledger: Ledger, problem: str, trigger_key: str, backoff: Backoff) -> Standing:
    """How a trigger stands now; one that nobody knows is due."""
    with ledger.transaction() as connection:
        return standing_of(connection, ledger, problem, trigger_key, backoff)


def standing_of(
    connection: sa.Connection, ledger: Ledger, problem: str, trigger_key: str, backoff: Backoff
) -> Standing:
    """As `standing`, within a transaction."""
    now = ledger.clock().astimezone(UTC)
    own = connection.execute(
        sa.select(RETRAININGS).where(_of(RETRAININGS, problem), _named(RETRAININGS, trigger_key))
    ).first()
    if own is not None and own.status in FINISHED:
        return Standing("answered", retraining_id=own.id)
    check = connection.execute(
        sa.select(DRIFT_CHECKS).where(_of(DRIFT_CHECKS, problem), _named(DRIFT_CHECKS, trigger_key))
    ).first()
    if check is not None:
        newer = connection.execute(answered_by_newer(check)).first()
        if newer is not None:
            return Standing("answered", retraining_id=newer.id)
    if own is not None and own.attempts:
        n = own.attempts
        if n >= backoff.max_attempts:
            return Standing("exhausted", n_failures=n, retraining_id=own.id)
        # One that died has no end: what it was doing is told by when it began.
        since = datetime.fromisoformat(own.finished_at or own.claimed_at)
        not_before = since + backoff.after_failures(n)
        state: Literal["due", "waits"] = "due" if now >= not_before else "waits"
        return Standing(state, not_before, n_failures=n, retraining_id=own.id)
    return Standing("due") if check is None else _after_refusals(connection, check, backoff, now)


def answers(checks: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a retraining is the answer to one of the checks."""
    return sa.and_(
        RETRAININGS.c.problem == checks.c.problem,
        RETRAININGS.c.trigger_key == checks.c.trigger_key,
    )


def answered_by_newer(check: Any) -> sa.Select[Any]:
    """Retrainings that answered a later window of the same version (columns or a row of checks).

    What was trained knows all that the earlier window had to tell.
    """
    other = DRIFT_CHECKS.alias("newer")
    return (
        sa.select(RETRAININGS.c.id)
        .join_from(
            RETRAININGS,
            other,
            answers(other),
        )
        .where(
            other.c.problem == check.problem,
            other.c.model_version == check.model_version,
            other.c.window_end >= check.window_end,
            other.c.id != check.id,
            RETRAININGS.c.status.in_(FINISHED),
        )
    )


def _after_refusals(
    connection: sa.Connection, check: Any, backoff: Backoff, now: datetime
) -> Standing:
    """Wait for time to pass or for data of that span, whichever is first."""
    refused = connection.execute(
        sa.select(
            sa.func.count(),
            sa.func.max(RETRAININGS.c.finished_at),
            sa.func.max(DRIFT_CHECKS.c.window_end),
            sa.func.max(RETRAININGS.c.id),
        )
        .join_from(
            RETRAININGS,
            DRIFT_CHECKS,
            answers(DRIFT_CHECKS),
        )
        .where(
            DRIFT_CHECKS.c.problem == check.problem,
            DRIFT_CHECKS.c.model_version == check.model_version,
            RETRAININGS.c.status.in_(("refused", "rejected")),
        )
    ).one()
    n, last, last_end, last_id = refused
    if not n:
        return Standing("due")
    wait = backoff.after_refusals(n)
    not_before = datetime.fromisoformat(last) + wait
    new_data = datetime.fromisoformat(check.window_end) - datetime.fromisoformat(last_end)
    if now >= not_before or new_data >= wait:
        return Standing("due", n_refusals=n)
    return Standing("waits", not_before, n_refusals=n, retraining_id=last_id)


def _of(table: sa.Table, problem: str) -> sa.ColumnElement[bool]:
    return table.c.problem == problem


def _named(table: sa.Table, trigger_key: str) -> sa.ColumnElement[bool]:
    return table.c.trigger_key == trigger_key


def _doubled(first_s: float, n: int, longest: timedelta) -> timedelta:
    seconds = first_s * 2.0 ** min(max(n - 1, 0), _MOST_DOUBLINGS)
    return min(timedelta(seconds=min(seconds, longest.total_seconds())), longest)


def _many(n: int, word: str) -> str:
    return f"{n} {word}" + ("" if n == 1 else "s")
