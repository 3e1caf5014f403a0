"""How long served rows are kept: logs of servers that ended, rows in the lake, and their size."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import ceil, inf
from typing import TYPE_CHECKING, Any

from retrue import delta, delta_upkeep, ledger, monitoring, prediction_logs, prediction_table
from retrue.days import midnight
from retrue.delta_sync import sync_log
from retrue.home import lake_dir
from retrue.labelling import feedback, labels
from retrue.serving import log_reading

if TYPE_CHECKING:
    from pathlib import Path

    from retrue.config import Problem
    from retrue.ledger import Ledger

# A server that is starting has made its file and not yet locked it.
STARTING_S = 5
"""Logs that were written later are not deleted."""
# Repeated decisions of a retraining: one that failed may be asked for by hand, however often.
_ANY_ATTEMPTS = 10**9


@dataclass(frozen=True)
class Retained:
    """What was deleted, and the size of what is left."""

    n_logs: int
    n_rows: int
    size_bytes: int
    is_over: bool
    """More than `retention.max_mb`, all of it still needed or not collected."""


def retain(problem: Problem, book: Ledger, now: datetime) -> Retained:
    """Delete logs and rows that `retention` lets go, and nothing that was not collected.

    A log goes when no server writes it and all that it holds is in the lake, on disk. A row goes
    by the time it was answered, unless `undecided_since` needs it.
    """
    name, keep = problem.name, problem.retention
    with prediction_logs.locked(name):
        n_logs = n_rows = 0
        if keep.log_days is not None:
            n_logs = _delete_logs(name, keep.log_days * 86_400, inf)
        if keep.row_days is not None:
            before = now - timedelta(days=keep.row_days)
            n_rows = _delete_rows(problem, book, int(before.timestamp() * 1e6))
        limit = inf if keep.max_mb is None else keep.max_mb * 1e6
        if (over := _size_bytes(name) - limit) > 0:
            n_logs += _delete_logs(name, 0, over)
        if (over := _size_bytes(name) - limit) > 0 and (oldest := _oldest(name, over)):
            n_rows += _delete_rows(problem, book, oldest)
        if (_table(name) / "_delta_log").is_dir():
            with delta.locked(lake_dir(name)):
                delta_upkeep.tidy(_table(name))
        size = _size_bytes(name)
    return Retained(n_logs, n_rows, size, size > limit)


def undecided_since(problem: Problem, book: Ledger) -> date:
    """The first day whose rows a drift check or a retraining may still ask for.

    That is the earliest of: the window that would be checked now and as many days before it as
    labels may take (`label.known_after_days`), which judge what was answered then, the end of the
    last window that was decided, those that could not be and end later, and decisions whose
    retraining has not answered. Before any decision it is the beginning of time.
    """
    checks = ledger.checks(book, problem.name)
    decided = [check.window_end for check in checks if check.verdict != "cannot tell"]
    if not decided:
        return date.min
    until = max(decided)
    open_ = [check for check in checks if check.verdict == "cannot tell"]
    starts = [check.window_start for check in open_ if check.window_end > until]
    unanswered = ledger.open_decisions(book, problem.name, _ANY_ATTEMPTS)
    starts += [check.window_start for check in unanswered]
    days = [date.fromisoformat(moment[:10]) for moment in (until, *starts)]
    unlabelled = timedelta(days=problem.label.known_after_days)
    return min(*days, monitoring.window(problem, None, None)[0] - unlabelled)


def sizes(problem: str) -> dict[str, Any]:
    """How many logs wait on the disk and how large they and the served rows are, for people."""
    logs = prediction_logs.files(problem)
    return {
        "logs": len(logs),
        "logs_mb": round(sum(map(_log_bytes, logs)) / 1e6, 1),
        "rows_mb": round(delta_upkeep.active_bytes(_table(problem)) / 1e6, 1),
    }


def _delete_logs(problem: str, older_than_s: float, at_most_bytes: float) -> int:
    """Delete collected logs, oldest first, until that many bytes are free."""
    # A collector that was killed after its commit has not synced it.
    for table in ("predictions", "labels"):
        if (lake_dir(problem) / table / "_delta_log").is_dir():
            sync_log(lake_dir(problem) / table, 0)
    logs = sorted(prediction_logs.files(problem), key=_written_at)
    n_deleted, freed = 0, 0
    for log in logs:
        if freed >= at_most_bytes or time.time() - _written_at(log) < older_than_s + STARTING_S:
            break
        with prediction_logs.kept_closed(log) as is_closed:
            if is_closed and _is_collected(problem, log):
                freed += _log_bytes(log)
                # The file itself first: what is left without it holds nothing.
                for file in (log, *_beside(log)):
                    file.unlink(missing_ok=True)
                n_deleted += 1
    for side in prediction_logs.SIDE_FILES:
        for file in prediction_logs.folder(problem).glob(f"*.sqlite{side}"):
            if not file.with_name(file.name.removesuffix(side)).exists():
                file.unlink(missing_ok=True)
    return n_deleted


def _is_collected(problem: str, log: Path) -> bool:
    rows = prediction_table.predictions_watermark(problem, log_reading.source_id(log))
    labelled = labels.watermark(problem, feedback.source_id(log))
    return rows >= log_reading.last_seq(log) and labelled >= log_reading.last_seq(log, "feedback")


def _delete_rows(problem: Problem, book: Ledger, received_before_us: int) -> int:
    until = midnight(undecided_since(problem, book))
    return prediction_table.delete_before(problem.name, received_before_us, until)


def _oldest(problem: str, n_bytes: float) -> int | None:
    """When the last of the oldest rows was answered that take about so many bytes, plus 1 us."""
    received = sorted(prediction_table.received_at_us(problem))
    share = min(1.0, n_bytes / max(1, delta_upkeep.active_bytes(_table(problem))))
    n_rows = ceil(share * len(received))
    return received[n_rows - 1] + 1 if n_rows else None


def _size_bytes(problem: str) -> int:
    logs = sum(map(_log_bytes, prediction_logs.files(problem)))
    return logs + delta_upkeep.active_bytes(_table(problem))


def _log_bytes(log: Path) -> int:
    return sum(file.stat().st_size for file in (log, *_beside(log)) if file.exists())


def _written_at(log: Path) -> float:
    return max(file.stat().st_mtime for file in (log, *_beside(log)) if file.exists())


def _beside(log: Path) -> list[Path]:
    return [log.with_name(log.name + side) for side in prediction_logs.SIDE_FILES]


def _table(problem: str) -> Path:
    return lake_dir(problem) / "predictions"
