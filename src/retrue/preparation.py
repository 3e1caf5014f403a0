"""From delivered files to an immutable data version: read, validate, link, validate, write."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from retrue import expectations_process
from retrue.acquisition import Sources, column_kinds, read_source, read_sources
from retrue.config import Problem
from retrue.errors import DataError
from retrue.faults import fault_rows
from retrue.lake import append_quarantine, write_version
from retrue.linking import Linked, known_before, link
from retrue.problems import problem_sha256
from retrue.refs import DataRef, SourcesRef
from retrue.validation import Validation, validate


@dataclass(frozen=True)
class Checked:
    """Tables without the rows set aside, what the suites said, and the faults found."""

    tables: dict[str, pd.DataFrame]
    validations: tuple[Validation, ...]
    faults: pd.DataFrame


@dataclass(frozen=True)
class Prepared:
    """One data version and how it came about; no data, so it is cheap to hand on."""

    ref: DataRef
    validations: tuple[Validation, ...]
    match_rates: dict[str, float]
    n_set_aside: int
    """Rows set aside in this version, whether or not the quarantine knew them already."""
    sources_sha256: dict[str, str]


# What `ingest` parsed, until `prepare` takes it: the same process need not parse it again.
_ingested: dict[str, Sources] = {}


def ingest(problem: Problem, root: Path) -> SourcesRef:
    """Read every source whole, and name what was read by its content.

    Raises
    ------
    DataError
        If a file is missing, damaged, or lacks a column the definition needs.
    """
    expectations_process.start()  # it has its imports to do meanwhile
    sources = read_sources(problem, root)
    _ingested[problem.name] = sources
    return SourcesRef(problem=problem.name, sha256=sources.sha256)


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
        What `ingest` read; default: whatever the files hold now.

    Returns
    -------
    Prepared
        The same files, definition and date give the same version, and each fault is in the
        quarantine once, however often and wherever an earlier run was killed.

    Raises
    ------
    DataError
        If a file, a table or the linked table is refused; earlier versions are untouched.
    """
    sources = _ingested.pop(problem.name, None) or read_sources(problem, root)
    if ingested is not None and sources.sha256 != ingested.sha256:
        sources = read_sources(problem, root)
        _insist_same(sources, ingested)
    checked = check_sources(problem, sources, until, root)
    linked = link(checked.tables, problem)
    whole = check_linked(problem, linked, until, root)
    return store(problem, sources, checked, linked, whole, until=until)


def world(problem: Problem, until: date, root: Path) -> pd.DataFrame:
    """Link what the sources hold before `until`, unvalidated: rows as clients would send them."""
    return link(known_before(read_sources(problem, root).tables, problem, until), problem).frame


def day_after_newest(problem: Problem, root: Path) -> date:
    """The day (UTC) after the newest row of the main table: all there is lies before it."""
    main, kinds = problem.data.main, column_kinds(problem)
    frame, _ = read_source(main, problem.data.sources[main], root, kinds[main])
    newest: pd.Timestamp = frame[problem.data.time].max()
    return newest.date() + timedelta(days=1)


def check_sources(problem: Problem, sources: Sources, until: date, root: Path) -> Checked:
    """Cut each source at `until`, validate it, and set failing rows aside."""
    tables, validations, faults = {}, [], []
    for name, frame in known_before(sources.tables, problem, until).items():
        validation = validate(
            problem.name,
            name,
            frame,
            root / "expectations",
            parameters=_parameters(problem, until),
            path=sources.paths[name],
        )
        validations.append(validation)
        faults.append(fault_rows(validation, frame, _key(problem, name)))
        tables[name] = frame.drop(index=validation.set_aside) if validation.failed else frame
    return Checked(tables, tuple(validations), _together(faults))


def check_linked(problem: Problem, linked: Linked, until: date, root: Path) -> Checked:
    """Validate the linked table, and set failing rows aside."""
    suites = root / "expectations"
    frame = linked.frame
    parameters = _parameters(problem, until)
    validation = validate(problem.name, "linked", frame, suites, parameters=parameters)
    # Its row labels count linked rows, not rows of a file.
    faults = fault_rows(validation, frame, problem.data.key).assign(source_row=None)
    kept = frame.drop(index=validation.set_aside) if validation.failed else frame
    return Checked({"linked": kept}, (validation,), faults)


def store(
    problem: Problem,
    sources: Sources,
    checked: Checked,
    linked: Linked,
    whole: Checked,
    *,
    until: date,
) -> Prepared:
    """Write the version, then its faults; either is found again if the other is missing."""
    faults = _together([checked.faults, whole.faults])
    n_set_aside = len(faults.drop_duplicates(["table", "key"]))
    meta = {
        "problem_sha256": problem_sha256(problem),
        "sources_sha256": sources.sha256,
        "match_rates": linked.match_rates,
        "n_set_aside": n_set_aside,
    }
    frame, key = whole.tables["linked"], problem.data.key
    ref = write_version(problem.name, frame, key, until.isoformat(), meta)
    append_quarantine(problem.name, faults.assign(until=ref.until, data_sha256=ref.sha256))
    validations = (*checked.validations, *whole.validations)
    return Prepared(ref, validations, linked.match_rates, n_set_aside, sources.sha256)


def _insist_same(sources: Sources, ingested: SourcesRef) -> None:
    for name, sha256 in ingested.sha256.items():
        if sources.sha256[name] != sha256:
            raise DataError(
                f"the bytes that were ingested (SHA-256 {sha256[:16]})",
                f"others ({sources.sha256[name][:16]})",
                str(sources.paths[name]),
                "the file changed meanwhile: start again",
            )


def _parameters(problem: Problem, until: date) -> dict[str, float]:
    """Bounds of row counts grow with the span: suites may use `days`."""
    days = (until - problem.training.start).days
    if days <= 0:
        raise DataError(
            f"a date after training.start ({problem.training.start})",
            str(until),
            f"problem {problem.name} until",
            "choose a later date",
        )
    return {"days": days}


def _key(problem: Problem, table: str) -> list[str]:
    if table == problem.data.main:
        return list(problem.data.key)
    return next((list(s.on.values()) for s in problem.data.links if s.table == table), [])


def _together(faults: list[pd.DataFrame]) -> pd.DataFrame:
    found = [f for f in faults if len(f)]
    return pd.concat(found, ignore_index=True) if found else faults[0]
