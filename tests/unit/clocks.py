"""Time that passes when a test says so."""

from datetime import UTC, datetime


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.time = datetime(2013, 4, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time
