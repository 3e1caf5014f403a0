"""Performance checks: one row a window and model version; more labels take the place of fewer."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from retrue.ledger.checks import moment
from retrue.ledger.store import PERFORMANCE, Ledger


@dataclass(frozen=True)
class PerformanceCheck:
    """One recorded check of the performance; times are ISO 8601 text in UTC."""

    id: int
    problem: str
    model_version: int
    window_start: str
    window_end: str
    verdict: str
    n_rows: int
    n_labelled: int
    is_right: bool | None
    """Whether the labels bore the estimate out; None as long as they cannot tell."""
    report_json: str
    flow_run_id: str | None
    checked_at: str


def record_performance(
    ledger: Ledger,
    problem: str,
    model_version: int,
    window_start: date | str,
    window_end: date | str,
    *,
    verdict: Literal["ok", "worse", "cannot tell"],
    n_rows: int,
    n_labelled: int,
    is_right: bool | None,
    report_json: str,
    flow_run_id: str | None = None,
) -> PerformanceCheck:
    """Record a check and return what stands: it, or an earlier one of the window that knows more.

    A check replaces an earlier one when it has more labels, or as many and the earlier could not
    tell; so a check that was late, or ran twice, changes nothing. The window is given as for
    `record_check`.

    Raises
    ------
    LedgerError
        When a time of day has no zone, or text is no ISO time.
    """
    key = {
        "problem": problem,
        "model_version": model_version,
        "window_start": moment(window_start),
        "window_end": moment(window_end),
    }
    values = {
        "verdict": verdict,
        "n_rows": n_rows,
        "n_labelled": n_labelled,
        "is_right": is_right,
        "report_json": report_json,
        "flow_run_id": flow_run_id,
        "checked_at": ledger.now(),
    }
    same = [PERFORMANCE.c[name] == value for name, value in key.items()]
    knows_less = sa.or_(
        PERFORMANCE.c.n_labelled < n_labelled,
        sa.and_(PERFORMANCE.c.n_labelled == n_labelled, PERFORMANCE.c.verdict == "cannot tell"),
    )
    # The second time the row is there: another process wrote it between our look and our insert
    # (servers only).
    for _ in range(2):
        try:
            with ledger.transaction() as connection:
                connection.execute(PERFORMANCE.update().where(*same, knows_less).values(values))
                row = connection.execute(sa.select(PERFORMANCE).where(*same)).first()
                if row is None:
                    connection.execute(PERFORMANCE.insert().values({**key, **values}))
                    row = connection.execute(sa.select(PERFORMANCE).where(*same)).one()
                return _check(row)
        except IntegrityError as error:
            lost = error
    raise lost


def performance_checks(
    ledger: Ledger, problem: str, model_version: int | None = None
) -> list[PerformanceCheck]:
    """All performance checks of a problem, or of one version, by the end of their windows."""
    query = sa.select(PERFORMANCE).where(PERFORMANCE.c.problem == problem)
    if model_version is not None:
        query = query.where(PERFORMANCE.c.model_version == model_version)
    query = query.order_by(PERFORMANCE.c.window_end, PERFORMANCE.c.window_start, PERFORMANCE.c.id)
    with ledger.transaction() as connection:
        return [_check(row) for row in connection.execute(query)]


def _check(row: sa.Row[Any]) -> PerformanceCheck:
    return PerformanceCheck(**row._mapping)
