"""Prefect tasks that show a drift check: its page, its table in the UI, and its metrics."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from prefect import get_run_logger, task
from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE

from retrue import drift_page, ledger, loop_metrics
from retrue.drift_page import feature_rows
from retrue.ledger import Check


@task(cache_policy=NO_CACHE)
def show(check: Check, more: dict[str, Any] | None = None) -> str | None:
    """Write the page of a check and the metrics; give the page's place.

    What cannot be shown is an error in the log alone: the decision is made, and the loop goes on.
    """
    log = get_run_logger()
    try:
        book = ledger.connect()
        path = drift_page.write_page(check, ledger.checks(book, check.problem), more)
        loop_metrics.write(book, check.problem)
        create_table_artifact(
            feature_rows.rows(check),
            key=f"drift-features-{check.problem}",
            description=f"Features of {check.problem}, largest contribution first",
        )
        create_link_artifact(
            path.as_uri(),
            link_text=path.name,
            key=f"drift-page-{check.problem}",
            description="On the machine that ran the check:"
            f" `retrue report {check.problem} drift --open` opens the newest",
        )
    except Exception:
        log.exception("The check of %s was decided, but not shown", check.problem)
        return None
    log.info("Page of the check: %s", path)
    return str(path)


def progress(problem: str) -> Callable[[float, str], None]:
    """A function that shows in the UI how far a check is, in %, and what is done; never raises."""
    made: list[UUID] = []

    def tell(percent: float, done: str) -> None:
        said = f"The check of {problem}: {done}"
        try:
            if made:
                update_progress_artifact(made[0], percent, said)
                return
            found = create_progress_artifact(percent, f"drift-progress-{problem}", said)
            if isinstance(found, UUID):
                made.append(found)
        except Exception as error:
            get_run_logger().warning("The progress of %s is not shown: %s", problem, error)

    return tell
