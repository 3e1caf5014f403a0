"""A small problem with a data version in the lake, for searches of seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retrue import lake
from retrue.search import run
from tests.unit.synthetic import learnable

if TYPE_CHECKING:
    from retrue.config import Problem
    from retrue.refs import DataRef
    from retrue.search.found import Found


def with_search(problem: Problem, **changes: Any) -> Problem:
    """The problem with other bounds of its search."""
    told = {"budget_s": 600.0, "max_trials": 5, "n_folds": 3, "n_workers": 1, "seed": 3} | changes
    update = {"search": problem.search.model_copy(update=told)}
    return problem.model_copy(update=update)


def stored(n: int = 2_000) -> DataRef:
    """A data version of `learnable` rows."""
    return lake.write_version("visits", learnable(n), ["visit"], "2024-01-20")


def untimed(problem: Problem) -> Problem:
    """The same without a time column: folds by the hash of the key."""
    data = problem.data.model_copy(update={"time": None})
    return problem.model_copy(update={"data": data})


def drifting(n: int = 4_000) -> pd.DataFrame:
    """Rows whose label turns with time: what was learned of the oldest rows is wrong of the new."""
    frame = learnable(n)
    turn = np.linspace(1.0, -1.0, n)
    frame["delay"] = 5 + frame["amount"] * turn + np.random.default_rng(1).normal(size=n) * 0.3
    return frame


def searched(problem: Problem, data: DataRef) -> Found:
    """A search from its beginning to its end, in one lane."""
    begun = run.begin(problem, data)
    run.lane(problem, data, begun, lambda trial, line: None)
    return run.finish(problem, data, begun)
