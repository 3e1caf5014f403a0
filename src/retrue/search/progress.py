"""How far the searches of this process are, for whoever looks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from retrue.search.trials import TrialRecord

    Look = Callable[[TrialRecord, float], None]

_looking: list[Look] = []


@contextmanager
def watched(look: Look) -> Iterator[None]:
    """Within the block `look` is given each closed trial and the deadline of its search.

    Lanes are threads of Prefect's, which hand nothing over but what tasks return.
    """
    _looking.append(look)
    try:
        yield
    finally:
        _looking.remove(look)


def tell(trial: TrialRecord, deadline: float) -> None:
    """Show a closed trial to all who look."""
    for look in tuple(_looking):
        look(trial, deadline)
