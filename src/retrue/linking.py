"""Many-to-one joins of the main table to its links; the main table never grows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from retrue.config import Link, Problem
from retrue.days import midnight
from retrue.errors import DataError
from retrue.matches import Matches, link_name
from retrue.partners import Codes, find_partners


@dataclass(frozen=True)
class Linked:
    """The linked table, and how many of its rows each link found a partner for.

    `matched` counts rows, `match_rates` are shares in [0, 1] (0 for an empty table); both by
    the link's table, and by `TABLE by COLUMNS` where one table is linked more than once.
    """

    frame: pd.DataFrame
    n_rows: int
    matched: dict[str, int]

    @property
    def match_rates(self) -> dict[str, float]:
        """Share of rows with a partner, for each link."""
        return Matches(self.n_rows, self.matched).match_rates


def known_before(
    tables: Mapping[str, pd.DataFrame], problem: Problem, until: date
) -> dict[str, pd.DataFrame]:
    """Only what was known at `until` (00:00 UTC): rows with an earlier time.

    The main table is cut by its time column, a linked table by its column of `as_of` and by the
    one joined to the main table's time; tables without one are returned as they are, and only
    the tables given are. A row
    without a time cannot be shown to be earlier and is cut. Row labels are kept, so they still
    count the rows of the file. An empty result is returned, not refused.
    """
    data = problem.data
    times = [(data.main, data.time)] if data.time is not None else []
    for step in data.links:
        times += [(step.table, column) for column in step.as_of.values()]
        times += [(step.table, step.on[data.time])] if data.time in step.on else []
    end = midnight(until)
    known = dict(tables)
    for table, column in times:
        if table not in known:
            continue
        early = (known[table][column] < end).to_numpy()
        if not early.all():
            known[table] = known[table].loc[early]
    return known


def link(
    tables: Mapping[str, pd.DataFrame], problem: Problem, matches: Matches | None = None
) -> Linked:
    """Join the links of a problem to its main table, in their order.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Typed tables by source name; never changed.
    problem : Problem
        Its `data` says what is joined on what, and as of which time.
    matches : Matches, optional
        Where the main table comes in parts: what earlier parts found, to which this one adds;
        whoever links the last part asks it whether there were enough. By default the rows are
        all there are, and are asked at once.

    Returns
    -------
    Linked
        All rows and columns of the main table in its order with a fresh index, then the
        linked columns; rows without a partner, or with a missing key or time, have missing
        values there. Linked numbers are always float64, so that types do not depend on the
        match.

    Raises
    ------
    DataError
        If a link would multiply rows (its key is not unique), uses a row twice though it is
        one to one, or finds too few partners; if a column is missing, joins text to numbers, or
        a linked name is already taken.
    """
    data = problem.data
    delivered = tables[data.main]
    main = delivered.copy(deep=False)  # the values are shared: nothing here changes them
    main.index = pd.RangeIndex(len(main))
    columns: dict[str, pd.Series] = {name: main[name] for name in main.columns}
    matched: dict[str, int] = {}
    found = Matches() if matches is None else matches
    found.n_rows += len(main)
    for step in data.links:
        right = tables[step.table]
        _check_names(step, columns, right)
        positions = find_partners(columns, right, step)
        found.insist_single_use(step, data, delivered, right, positions)
        matched[link_name(step, data)] = found.add(step, data, columns, positions)
        for source, target in step.columns.items():
            columns[target] = _taken(right[source], positions)
    if matches is None:
        found.insist_enough(data)
    frame = pd.DataFrame(columns, copy=False)
    return Linked(frame, len(frame), matched)


def _check_names(step: Link, columns: Mapping[str, pd.Series], right: pd.DataFrame) -> None:
    where = f"link to {step.table}"
    for side, have, need in (
        ("the linked rows", list(columns), [*step.on, *step.as_of]),
        (
            step.table,
            list(right.columns),
            [*step.on.values(), *step.as_of.values(), *step.columns],
        ),
    ):
        if missing := [c for c in need if c not in have]:
            raise DataError(
                f"column {missing[0]} in {side}",
                f"columns {', '.join(have)}",
                where,
                "correct data.links in the problem's YAML",
            )
    if taken := [t for t in step.columns.values() if t in columns]:
        raise DataError(
            "a new column name", f"{taken[0]}, already taken", where, "choose another name"
        )


def _taken(column: pd.Series, positions: Codes) -> pd.Series:
    numeric = pd.api.types.is_numeric_dtype(column.dtype)
    values = column.to_numpy(np.float64) if numeric else column.array
    return pd.Series(pd.api.extensions.take(values, positions, allow_fill=True), copy=False)
