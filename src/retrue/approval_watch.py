"""Let a paused run go on: an answer came from elsewhere, or the time for one is over."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from threading import Event, Thread
from typing import TYPE_CHECKING

from retrue import approvals, ledger
from retrue.approval_answers import Answer
from retrue.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from retrue.ledger import Approval

LOOK_EVERY_S = 2.0
"""How long an answer from elsewhere may go unnoticed; a look costs the ledger a millisecond."""

TIMEOUT = "timeout"
"""Who decided when nobody did."""


@contextmanager
def watching(
    asked: Approval, resume: Callable[[Answer], None], every_s: float = LOOK_EVERY_S
) -> Iterator[None]:
    """Let a paused run go on when it was answered elsewhere, or when its time is over.

    A thread looks at the ledger. On a decision, from the command line or by another run, and on the
    deadline, which is a rejection, it calls `resume` with the answer, again and again until the
    block ends: a run that is about to pause cannot be resumed yet.
    """
    ended = Event()

    def watch() -> None:
        while not ended.wait(every_s):
            # A ledger that does not answer now may answer next time.
            with suppress(LedgerError):
                found = _decided(asked)
                if found is not None:
                    resume(_as_answer(found))

    thread = Thread(target=watch, name=f"approval {asked.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def time_left_s(asked: Approval) -> float:
    """Seconds until the deadline, negative after it."""
    deadline = datetime.fromisoformat(asked.deadline_at)
    return (deadline - datetime.now(UTC)).total_seconds()


def silence(asked: Approval) -> Answer:
    """What it means that nobody answered."""
    return Answer(
        decision="reject", name=TIMEOUT, reason=f"no answer until {asked.deadline_at[:16]} UTC"
    )


def _decided(asked: Approval) -> Approval | None:
    """The decision on a question; past its deadline it is made now."""
    found = ledger.find_approval(
        ledger.connect(), asked.problem, asked.model_version, asked.bundle_sha256
    )
    if found is not None and found.decision is None and time_left_s(found) <= 0:
        found = approvals.decide(found, silence(found), "timeout")
    return found if found is not None and found.decision else None


def _as_answer(found: Approval) -> Answer:
    """The standing decision as if it came through the form, which must get something valid."""
    return Answer(
        decision="approve" if found.decision == "approved" else "reject",
        name=str(found.decided_by),
        reason=str(found.reason),
    )
