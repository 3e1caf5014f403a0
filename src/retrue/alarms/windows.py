"""Rows of a window and of its season in an earlier year, read from the tables that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from retrue import bundles, lake, prediction_table, served_window
from retrue.alarms.decision import learned_until
from retrue.alarms.seasons import same_season
from retrue.days import midnight
from retrue.drift.reference import summarise
from retrue.home import lake_dir
from retrue.refs import DataRef

if TYPE_CHECKING:
    from collections.abc import Callable

    from retrue.config import Problem
    from retrue.drift.reference import Reference
    from retrue.refs import ModelRef

    Read = Callable[[date, date], tuple[pd.DataFrame, int]]


@dataclass(frozen=True)
class Against:
    """What a window is held against: counts of all rows, whole rows, and which they are."""

    counts: Reference
    sample: pd.DataFrame
    described: str


def reference(
    problem: Problem, model: ModelRef, kept: Reference, since: date, until: date
) -> Against:
    """Rows of the window's season in an earlier year, served or in the model's data version.

    Where there are too few of them: the reference that was `kept` in the model's bundle.
    """
    found, drift = None, problem.drift
    if drift.season_days is not None and problem.data.time is not None:
        tables: dict[str, Read] = {
            "served rows": lambda first, end: _served(problem, first, end),
            "training rows": _DataVersion(problem, model),
        }
        learned = learned_until(problem, model)
        found = same_season(since, until, learned, tables, _features(problem), drift)
    if found is None:
        return Against(kept, bundles.read_reference(model.bundle), "the training reference")
    rows, described = found
    sample = rows.sample(n=min(len(rows), drift.max_rows), random_state=drift.seed)
    return Against(summarise(rows, problem.features), sample, described)


def _served(problem: Problem, since: date, until: date) -> tuple[pd.DataFrame, int]:
    """Features of the rows served from one day to before another, and on how many days they are."""
    found = prediction_table.read_predictions(problem.name, midnight(since), midnight(until))
    # By content, not by id: the same rows give the same sample, so the same magnitude, each time.
    found = found.sort_values(["event_time", "row"], kind="stable")
    names = _features(problem)
    parts = [pd.DataFrame(columns=names), *served_window.batches(found, names)]
    rows = pd.concat(parts[1:] or parts, ignore_index=True)
    return rows, found["event_time"].dt.floor("D").nunique()


class _DataVersion:
    """Rows of the data version that a model was made from, read at most once."""

    def __init__(self, problem: Problem, model: ModelRef) -> None:
        self._problem, self._model = problem, model
        self._rows: pd.DataFrame | None = None

    def __call__(self, first: date, end: date) -> tuple[pd.DataFrame, int]:
        time = self._problem.data.time
        names = _features(self._problem)
        # Before the training span there is nothing: do not read a table to find that out.
        if time is None or first < self._problem.training.start:
            return pd.DataFrame(columns=names), 0
        if self._rows is None:
            said = bundles.read_manifest(self._model.bundle)["data"]
            ref = DataRef(path=lake_dir(self._problem.name) / "data", **said)
            self._rows = lake.read_version(ref, columns=[time, *names])
        times = self._rows[time]
        rows = self._rows[(times >= midnight(first)) & (times < midnight(end))]
        return rows[names].reset_index(drop=True), rows[time].dt.floor("D").nunique()


def _features(problem: Problem) -> list[str]:
    return [*problem.features.numeric, *problem.features.categorical]
