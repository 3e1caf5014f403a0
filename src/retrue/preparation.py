"""From delivered tables to an immutable data version: validate, link, validate, write."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TypeGuard

import numpy as np
import pandas as pd

from retrue import expectations_process, ingestion, lake, memory, quarantine, validation_page
from retrue.checking import Checked, check, key_hashes
from retrue.config import Problem
from retrue.errors import DataError
from retrue.ingestion import Ingested
from retrue.labelling import labels
from retrue.linking import known_before, link
from retrue.matches import Matches
from retrue.problems import problem_sha256
from retrue.refs import DataRef, SourcesRef, TablePin
from retrue.sources.acquisition import read_sources
from retrue.triage import windows
from retrue.validation import Validation, ValidationError


@dataclass(frozen=True)
class Prepared:
    """One data version and how it came about; no data, so it is cheap to hand on."""

    ref: DataRef
    validations: tuple[Validation, ...]
    match_rates: dict[str, float]
    n_set_aside: int
    """Rows set aside in this version, whether or not the quarantine knew them already."""
    tables: dict[str, TablePin]


@dataclass
class _Tally:
    """What adds up over the parts of the main table."""

    validations: list[Validation] = field(default_factory=list)
    faults: list[pd.DataFrame] = field(default_factory=list)
    matches: Matches = field(default_factory=Matches)
    n_set_aside: int = 0

    def add(self, checked: Checked) -> pd.DataFrame:
        self.validations.append(checked.validation)
        self.n_set_aside += checked.n_set_aside
        if len(checked.faults):
            self.faults.append(checked.faults)
        return checked.frame

    def all_faults(self) -> pd.DataFrame:
        empty = pd.DataFrame(columns=quarantine.QUARANTINE.names)
        return pd.concat(self.faults, ignore_index=True) if self.faults else empty


# What `ingest` parsed, until `prepare` takes it: the same process need not parse it again.
_ingested: dict[str, Ingested] = {}


def ingest(problem: Problem, root: Path) -> SourcesRef:
    """Read every source whole, take in new batches, and name what was read by its content.

    Raises
    ------
    DataError
        If a file is missing, damaged, or lacks a column the definition needs.
    """
    expectations_process.start()  # it has its imports to do meanwhile
    ingested = ingestion.read(problem, root)
    _ingested[problem.name] = ingested
    memory.give_back()
    return SourcesRef(problem=problem.name, sha256=ingested.sha256)


def prepare(
    problem: Problem, until: date, root: Path, ingested: SourcesRef | None = None
) -> Prepared:
    """Make, or find again, the data version of what was known at `until`.

    Parameters
    ----------
    problem : Problem
        Its sources, links and key.
    until : date
        Exclusive, 00:00 UTC.
    root : Path
        The project folder: relative source paths and `expectations/` start here.
    ingested : SourcesRef, optional
        What `ingest` read; default: whatever the sources hold now.

    Returns
    -------
    Prepared
        The same deliveries, definition and date give the same version, and each fault is in the
        quarantine once, however often and wherever an earlier run was killed.

    Raises
    ------
    DataError
        If a source, a table or the linked table is refused; earlier versions are untouched.
    """
    tally = _Tally()
    try:
        prepared = _prepare(problem, until, root, ingested, tally)
    except ValidationError as error:
        raise validation_page.stopped(problem.name, error, tally.validations) from error
    validation_page.write_page(problem.name, prepared)
    memory.give_back()
    return prepared


def _prepare(
    problem: Problem, until: date, root: Path, ingested: SourcesRef | None, tally: _Tally
) -> Prepared:
    days = ingestion.span_days(problem, until)
    given = _ingested.pop(problem.name, None) or ingestion.read(problem, root)
    if ingested is not None and given.sha256 != ingested.sha256:
        given = ingestion.read(problem, root)
        _insist_same(given, ingested)
    with ingestion.stored(problem, given) as pinned:
        return _versioned(problem, until, root, given, days, pinned, tally)


def _versioned(
    problem: Problem,
    until: date,
    root: Path,
    given: Ingested,
    days: float,
    pinned: Callable[[], dict[str, TablePin]],
    tally: _Tally,
) -> Prepared:
    paths = {name: one.path for name, one in given.delivered.items()}
    sides = {
        name: ingestion.whole(problem, given, name)
        for name in problem.data.sources
        if name != problem.data.main
    }
    released = quarantine.released(problem.name)
    for name, frame in known_before(sides, problem, until).items():
        path = paths.get(name)
        seen = np.empty(0, np.uint64) if name in given.batched else None
        sides[name] = tally.add(
            check(problem, name, frame, root, days, path=path, released=released, earlier=seen)
        )
    pins: dict[str, TablePin] = {}

    def meta() -> dict[str, object]:
        tally.matches.insist_enough(problem.data)
        pins.update(pinned())
        return {
            "problem_sha256": problem_sha256(problem),
            "tables": {name: one.model_dump() for name, one in pins.items()},
            "match_rates": tally.matches.match_rates,
            "n_set_aside": tally.n_set_aside,
        }

    linked = _linked_parts(problem, given, sides, tally, until, root, released)
    ref = lake.write_parts(problem.name, linked, problem.data.key, until.isoformat(), meta)
    faults = tally.all_faults().assign(until=ref.until, data_sha256=ref.sha256)
    quarantine.append_quarantine(problem.name, faults)
    rates = tally.matches.match_rates
    return Prepared(ref, tuple(tally.validations), rates, tally.n_set_aside, pins)


def world(problem: Problem, until: date, root: Path) -> pd.DataFrame:
    """Link what the sources hold before `until`, unvalidated: rows as clients would send them."""
    return link(known_before(read_sources(problem, root).tables, problem, until), problem).frame


def day_after_newest(problem: Problem, root: Path) -> date:
    """The day (UTC) after the newest row of the main table: all there is lies before it.

    Without a time column it is the end of the training span, which never ends.
    """
    if problem.data.time is None:
        return problem.training.until
    given = ingestion.read(problem, root)
    parts = ingestion.parts(problem, given, problem.data.main)
    times = [part[problem.data.time].max() for part in parts]
    newest: pd.Timestamp = max(times)
    return newest.date() + timedelta(days=1)


def _linked_parts(
    problem: Problem,
    given: Ingested,
    sides: dict[str, pd.DataFrame],
    tally: _Tally,
    until: date,
    root: Path,
    released: frozenset[str],
) -> Iterator[pd.DataFrame]:
    """Parts of the main table, checked, linked and checked again, one of them in memory."""
    main, key = problem.data.main, list(problem.data.key)
    one = given.delivered.get(main)
    path, is_whole = (None, False) if one is None else (one.path, True)
    del one  # it holds the rows
    seen = None if is_whole else np.empty(0, np.uint64)

    def known(part: pd.DataFrame) -> pd.DataFrame | None:
        frame = known_before({main: part}, problem, until)[main]
        return frame if is_whole or len(frame) else None

    def linked(frame: pd.DataFrame) -> pd.DataFrame | None:
        nonlocal seen
        days = (
            ingestion.span_days(problem, until)
            if is_whole
            else ingestion.days_of(problem, main, frame)
        )
        kept = tally.add(
            check(problem, main, frame, root, days, path=path, released=released, earlier=seen)
        )
        if seen is not None and key:
            # Two sorted runs after the first part: a stable sort merges them.
            seen = np.sort(np.concatenate([seen, key_hashes(kept, key)]), kind="stable")
        if kept.empty and not is_whole:
            return None
        whole = link({**sides, main: kept}, problem, tally.matches).frame
        if problem.label.late:
            whole = labels.join(problem, whole, until)
        sound = windows.without_days_aside(problem, whole, problem.data.time)
        tally.n_set_aside += len(whole) - len(sound)
        if sound.empty and not is_whole:
            return None
        whole = sound
        return tally.add(check(problem, "linked", whole, root, days, released=released))

    # `map` and `filter` hold no part while the next one is made, as the variable of a loop would.
    known_parts = filter(_is_any, map(known, ingestion.parts(problem, given, main)))
    return filter(_is_any, map(linked, known_parts))


def _is_any(frame: pd.DataFrame | None) -> TypeGuard[pd.DataFrame]:
    return frame is not None


def _insist_same(given: Ingested, ingested: SourcesRef) -> None:
    for name, sha256 in ingested.sha256.items():
        if given.sha256[name] != sha256:
            raise DataError(
                f"the bytes that were ingested (SHA-256 {sha256[:16]})",
                f"others ({given.sha256[name][:16]})",
                f"source {name}",
                "it changed meanwhile: start again",
            )
