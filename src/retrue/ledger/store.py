"""The ledger's tables and its connection."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from retrue.errors import LedgerError
from retrue.home import ledger_url

# Times are ISO 8601 text in UTC: SQLite has no time zones, and text of one form sorts by time.
TABLES = sa.MetaData()

DRIFT_CHECKS = sa.Table(
    "drift_checks",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("problem", sa.String(64), nullable=False),
    sa.Column("model_version", sa.Integer, nullable=False),
    sa.Column("window_start", sa.String(40), nullable=False),
    sa.Column("window_end", sa.String(40), nullable=False),
    sa.Column("trigger_key", sa.String(200), nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("report_json", sa.Text, nullable=False),
    sa.Column("flow_run_id", sa.String(64)),
    sa.Column("decided_at", sa.String(40), nullable=False),
    sa.UniqueConstraint("problem", "model_version", "window_start", "window_end"),
)

PERFORMANCE = sa.Table(
    "performance",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("problem", sa.String(64), nullable=False),
    sa.Column("model_version", sa.Integer, nullable=False),
    sa.Column("window_start", sa.String(40), nullable=False),
    sa.Column("window_end", sa.String(40), nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("n_rows", sa.Integer, nullable=False),
    sa.Column("n_labelled", sa.Integer, nullable=False),
    sa.Column("is_right", sa.Boolean),
    sa.Column("report_json", sa.Text, nullable=False),
    sa.Column("flow_run_id", sa.String(64)),
    sa.Column("checked_at", sa.String(40), nullable=False),
    sa.UniqueConstraint("problem", "model_version", "window_start", "window_end"),
)

RETRAININGS = sa.Table(
    "retrainings",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("problem", sa.String(64), nullable=False),
    sa.Column("trigger_key", sa.String(200), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("token", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("details_json", sa.Text, nullable=False),
    sa.Column("claimed_at", sa.String(40), nullable=False),
    sa.Column("finished_at", sa.String(40)),
    sa.UniqueConstraint("problem", "trigger_key"),
)

DEPLOYMENTS = sa.Table(
    "deployments",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("problem", sa.String(64), nullable=False, index=True),
    sa.Column("model_version", sa.Integer, nullable=False),
    sa.Column("bundle_sha256", sa.String(64), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("token", sa.Integer, nullable=False),
    sa.Column("target", sa.String(16)),
    sa.Column("image_digest", sa.String(128)),
    sa.Column("details_json", sa.Text, nullable=False),
    sa.Column("started_at", sa.String(40), nullable=False),
    sa.Column("finished_at", sa.String(40)),
)

APPROVALS = sa.Table(
    "approvals",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("problem", sa.String(64), nullable=False),
    sa.Column("model_version", sa.Integer, nullable=False),
    sa.Column("bundle_sha256", sa.String(64), nullable=False),
    sa.Column("why_json", sa.Text, nullable=False),
    sa.Column("flow_run_id", sa.String(64)),
    sa.Column("host", sa.String(255)),
    sa.Column("pid", sa.Integer),
    sa.Column("created", sa.String(64)),
    sa.Column("asked_at", sa.String(40), nullable=False),
    sa.Column("deadline_at", sa.String(40), nullable=False),
    sa.Column("decision", sa.String(16)),
    sa.Column("decided_by", sa.String(200)),
    sa.Column("decided_at", sa.String(40)),
    sa.Column("decided_via", sa.String(16)),
    sa.Column("reason", sa.Text),
    sa.UniqueConstraint("problem", "model_version", "bundle_sha256"),
)

ALERTS = sa.Table(
    "alerts",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("problem", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("subject_key", sa.String(200), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("raised_at", sa.String(40), nullable=False),
    sa.Column("delivered_json", sa.Text, nullable=False),
    sa.Column("taken_until", sa.Double, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("error", sa.Text),
    sa.UniqueConstraint("problem", "kind", "subject_key"),
)

LEASES = sa.Table(
    "leases",
    TABLES,
    sa.Column("problem", sa.String(64), primary_key=True),
    sa.Column("work", sa.String(16), primary_key=True),
    sa.Column("token", sa.Integer, nullable=False),
    sa.Column("row_id", sa.Integer),
    sa.Column("host", sa.String(255)),
    sa.Column("pid", sa.Integer),
    sa.Column("created", sa.String(64)),
    sa.Column("heartbeat_at", sa.Double),
)


def utc_now() -> datetime:
    """Return the present moment, tz-aware UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Ledger:
    """An open ledger: where it is, what time it is, and how long a silent holder is trusted."""

    engine: sa.Engine
    clock: Callable[[], datetime] = utc_now
    lease_s: float = 120.0

    def now(self) -> str:
        """Read the clock as ISO 8601 text in UTC."""
        return self.clock().astimezone(UTC).isoformat(timespec="microseconds")

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """One transaction, all or nothing.

        Raises
        ------
        LedgerError
            When the database does not answer or stays locked.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise  # A unique key did its work: the caller knows what it means.
        except (DBAPIError, sqlite3.Error) as error:
            raise _unavailable(self.engine, error) from error


def connect(
    url: str | None = None, clock: Callable[[], datetime] = utc_now, lease_s: float = 120.0
) -> Ledger:
    """Open the ledger, creating tables (and for SQLite the file and its folder) on first use.

    Parameters
    ----------
    url : str, optional
        SQLAlchemy URL; default RETRUE_LEDGER_URL, else SQLite under RETRUE_HOME.
    clock : callable
        Gives the present as a tz-aware datetime.
    lease_s : float
        Seconds without a heartbeat after which a holder on another host loses its claim.

    Raises
    ------
    LedgerError
        When the database cannot be opened.
    """
    where = sa.make_url(url or ledger_url())
    # No pool: an operation takes milliseconds, and a pooled connection would not survive a fork.
    engine = sa.create_engine(where, poolclass=sa.NullPool)
    try:
        if where.get_backend_name() == "sqlite":
            Path(where.database or "").parent.mkdir(parents=True, exist_ok=True)
            sa.event.listen(engine, "connect", _prepare_sqlite)
            sa.event.listen(engine, "begin", _begin_immediate)
        try:
            with engine.begin() as connection:
                TABLES.create_all(connection)
        except (IntegrityError, ProgrammingError):
            # Another process created the tables in between (servers only; SQLite serialises).
            TABLES.create_all(engine)
    except (DBAPIError, sqlite3.Error, OSError) as error:
        raise _unavailable(engine, error) from error
    return Ledger(engine, clock, lease_s)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not open transactions by itself: it would begin them as readers, and a reader
    # that turns writer fails at once when someone else wrote meanwhile.
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout = 30000")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")
    # A decision must survive a power cut, not only a crash of the process.
    connection.execute("PRAGMA synchronous = FULL")


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _unavailable(engine: sa.Engine, error: Exception) -> LedgerError:
    return LedgerError(
        "a ledger that answers",
        str(getattr(error, "orig", error)),
        engine.url.render_as_string(hide_password=True),
        "check RETRUE_LEDGER_URL, the disk and who holds the database",
    )
