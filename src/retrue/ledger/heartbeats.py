"""Heartbeats of work that takes longer than a lease, such as a wait for a person's answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from retrue.errors import LedgerError
from retrue.ledger.leases import Work, heartbeat
from retrue.ledger.store import Ledger


@contextmanager
def beating(ledger: Ledger, work: Work, row_id: int, token: int) -> Iterator[None]:
    """Say every third of a lease that the holder lives, from a thread, until the block ends.

    A beat that fails is left out: a ledger that does not answer may answer the next one, and a
    claim that was lost is told by the fencing token where it matters, at the final write.
    """
    ended = Event()

    def beat() -> None:
        while not ended.wait(ledger.lease_s / 3):
            try:
                heartbeat(ledger, work, row_id, token)
            except LedgerError:
                continue

    thread = Thread(target=beat, name=f"heartbeat of {work} {row_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
