"""Tables as a run sees them: files read whole, new batches of a folder taken in once each."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from retrue import tables, validation_page
from retrue.checking import check, key_of, time_of
from retrue.errors import DataError
from retrue.hashing import text_sha256
from retrue.sources.acquisition import column_kinds, deliveries
from retrue.validation import ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import date
    from pathlib import Path

    from retrue.config import Problem
    from retrue.refs import TablePin
    from retrue.sources.acquisition import Delivery, Kind


@dataclass(frozen=True)
class Ingested:
    """All tables of a problem: in memory as delivered, or pinned in the lake, batch by batch."""

    delivered: dict[str, Delivery]
    batched: dict[str, TablePin]

    @property
    def sha256(self) -> dict[str, str]:
        """What was delivered, by table."""
        whole = {name: one.sha256 for name, one in self.delivered.items()}
        return whole | {name: pin.sha256 for name, pin in self.batched.items()}


def read(problem: Problem, root: Path) -> Ingested:
    """Read every source; a folder's new batches are validated and appended to its table.

    Raises
    ------
    DataError
        As `retrue.sources.acquisition.deliveries`, for the first source that cannot be taken.
    ValidationError
        A new batch breaks a critical rule: it is not taken in, those before it are.
    """
    kinds = column_kinds(problem)
    delivered, batched = {}, {}
    for name, source in problem.data.sources.items():
        if source.folder:
            batched[name] = _take_in(problem, name, root, kinds[name])
        else:
            (delivered[name],) = deliveries(name, source, root, kinds[name], problem=problem.name)
    return Ingested(delivered, batched)


def parts(problem: Problem, ingested: Ingested, name: str) -> Iterator[pd.DataFrame]:
    """Yield the rows of one table: at once, and then they are not kept here, or in batches."""
    if name in ingested.delivered:
        yield ingested.delivered.pop(name).frame
    else:
        yield from tables.parts(problem.name, name, ingested.batched[name])


def whole(problem: Problem, ingested: Ingested, name: str) -> pd.DataFrame:
    """All rows of one table."""
    found = list(parts(problem, ingested, name))
    return found[0] if len(found) == 1 else pd.concat(found, ignore_index=True)


@contextmanager
def stored(problem: Problem, ingested: Ingested) -> Iterator[Callable[[], dict[str, TablePin]]]:
    """Write the tables that were read whole to the lake, each once, ahead of their use.

    Yields
    ------
    callable
        Pins them, and names the versions of all tables; without a call none is kept.
    """
    kinds = column_kinds(problem)
    with ExitStack() as stack:
        pins = {
            name: stack.enter_context(_stored(problem, one, kinds[name]))
            for name, one in ingested.delivered.items()
        }
        yield lambda: {**ingested.batched, **{name: pin() for name, pin in pins.items()}}


def days_of(problem: Problem, table: str, frame: pd.DataFrame) -> float:
    """Days from the first to the last row of a batch; 1 where the table has no time."""
    time = time_of(problem, table)
    if time is None or frame.empty:
        return 1
    span: pd.Timedelta = frame[time].max().floor("D") - frame[time].min().floor("D")
    return span.days + 1


def span_days(problem: Problem, until: date) -> float:
    """Days from the start of the training span to `until`; 1 where there is no time.

    Raises
    ------
    DataError
        There are none.
    """
    if problem.data.time is None:
        return 1
    days = (until - problem.training.start).days
    if days <= 0:
        raise DataError(
            f"a date after training.start ({problem.training.start})",
            str(until),
            f"problem {problem.name} until",
            "choose a later date",
        )
    return days


def _stored(
    problem: Problem, one: Delivery, kinds: Mapping[str, Kind]
) -> AbstractContextManager[Callable[[], TablePin]]:
    how = f"{one.sha256} {problem.data.sources[one.table].model_dump_json()} {kinds}"
    key = key_of(problem, one.table)
    return tables.stored(problem.name, one.table, one.frame, key, text_sha256(how))


def _take_in(problem: Problem, name: str, root: Path, kinds: Mapping[str, Kind]) -> TablePin:
    source, known = problem.data.sources[name], tables.batches(problem.name, name)
    found = tables.newest(problem.name, name)
    for batch in deliveries(name, source, root, kinds, known=known):
        days = days_of(problem, name, batch.frame)
        try:
            check(problem, name, batch.frame, root, days, path=batch.path)
        except ValidationError as error:
            raise validation_page.stopped(problem.name, error) from error
        file = "" if batch.path is None else batch.path.name
        key = key_of(problem, name)
        found = tables.append(problem.name, name, batch.frame, key, batch.sha256, file)
    if found is None:
        raise DataError("at least one batch", "none", f"{source.folder}", "deliver one")
    return found
