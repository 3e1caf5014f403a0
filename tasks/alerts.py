"""The Prefect task that sends alerts, and Prefect's notification blocks as receivers."""

import asyncio
from collections.abc import Callable
from inspect import iscoroutine

from prefect import get_run_logger, task
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.cache_policies import NO_CACHE

from retrue import alerts, ledger
from retrue.alerts import Level
from retrue.config import Problem
from retrue.errors import LedgerError


@task(cache_policy=NO_CACHE)
def send(problem: Problem) -> int:
    """Send what is not delivered yet; a receiver that fails never fails the run."""
    log = get_run_logger()
    blocks = {f"block {name}": _by_block(name) for name in problem.alerts.blocks}
    try:
        book = ledger.connect()
    except LedgerError as error:
        log.error("Alerts of %s wait for the next check: %s", problem.name, error)
        return 0
    return alerts.send_waiting(problem, book, blocks, log.error)


def _by_block(name: str) -> Callable[[str, str, Level], None]:
    def send(title: str, body: str, level: Level) -> None:
        del level
        block = Block.load(name)
        if not isinstance(block, NotificationBlock):
            raise ValueError("not a notification block")
        with block.raise_on_failure():  # else a failure is but a line in the log
            told: object = block.notify(body, title)
            if iscoroutine(told):  # of a block of somebody's own, which knows no other way
                asyncio.run(told)

    return send
