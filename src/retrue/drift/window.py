"""New rows in one pass: counts on the reference's values, and a sample of whole rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retrue.drift.categories import CategoricalReference, WindowCategories
from retrue.drift.counts import Floats, Numbers
from retrue.drift.reference import to_floats

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from retrue.drift.reference import Reference

Counts = Numbers | WindowCategories


@dataclass(frozen=True)
class Window:
    """Rows counted so far; those of parts add up. Its size does not grow with its rows."""

    n_rows: int
    columns: Mapping[str, Counts]
    sample: pd.DataFrame = field(repr=False)
    """At most `max_rows` rows, each as likely as any other."""
    priorities: Floats = field(repr=False)
    """Of the rows of the sample, uniform in [0, 1): the least were kept."""
    max_rows: int

    def merge(self, other: Window) -> Window:
        """The rows of both, in any order; they must have the same reference.

        Counts add up. Of both samples the rows of least priority stay (bottom-k sampling, Cohen and
        Kaplan 2007), as if all had been drawn from at once.
        """
        columns = {name: _merged(one, other.columns[name]) for name, one in self.columns.items()}
        priorities = np.concatenate([self.priorities, other.priorities])
        parts = [one.sample for one in (self, other) if len(one.sample)]
        both = pd.concat(parts, ignore_index=True) if parts else self.sample
        kept = np.argsort(priorities, kind="stable")[: self.max_rows]
        return Window(
            self.n_rows + other.n_rows, columns, both.iloc[kept], priorities[kept], self.max_rows
        )


def tally(
    reference: Reference, frame: pd.DataFrame, max_rows: int, seed: int, part: int = 0
) -> Window:
    """Count one batch of rows.

    Parameters
    ----------
    frame : DataFrame, shape (n_rows, ...)
        Holds the reference's columns; others are ignored. It may be empty.
    max_rows : int
        Largest size of the sample.
    seed, part : int
        The sample is drawn by them: give each part of a window another `part`.

    Raises
    ------
    ValueError
        A column of the reference is missing, or a numeric one holds what is no number; the message
        names it.
    """
    absent = lacking(frame, reference.columns)
    if absent:
        raise ValueError(f"the current rows lack the columns {', '.join(absent)}")
    columns: dict[str, Counts] = {}
    for name, kept in reference.columns.items():
        if isinstance(kept, CategoricalReference):
            columns[name] = WindowCategories(frozenset(kept.counts.counts)).add(frame[name])
        else:
            columns[name] = Numbers.none(kept.counts.grid).add(to_floats(frame, name))
    priorities = np.random.default_rng([seed, part]).random(len(frame))
    chosen = np.arange(len(frame))
    if len(frame) > max_rows:
        # A sort of all would cost as much as counting two columns.
        chosen = np.argpartition(priorities, max_rows)[:max_rows]
    chosen = chosen[np.argsort(priorities[chosen], kind="stable")]
    # Column by column: rows of a frame of several types are dear to take.
    sample = pd.DataFrame({name: frame[name].array.take(chosen) for name in columns})
    return Window(len(frame), columns, sample, priorities[chosen], max_rows)


def tally_all(
    reference: Reference, batches: Iterable[pd.DataFrame], max_rows: int, seed: int
) -> Window | None:
    """Count batches one after the other; None without any."""
    found: Window | None = None
    for part, batch in enumerate(batches):
        one = tally(reference, batch, max_rows, seed, part)
        found = one if found is None else found.merge(one)
    return found


def lacking(frame: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """Those of the names that no column has."""
    return [name for name in names if name not in frame.columns]


def _merged(one: Counts, other: Counts) -> Counts:
    if isinstance(one, Numbers) and isinstance(other, Numbers):
        return one.merge(other)
    if isinstance(one, WindowCategories) and isinstance(other, WindowCategories):
        return one.merge(other)
    raise TypeError(f"{type(one).__name__} and {type(other).__name__} do not add up")
