"""Tables for the triage benchmark: a made-up one in clusters of days, and the flights of 2013."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retrue import splits, training
from retrue.checking import key_hashes
from retrue.config import Features
from retrue.days import midnight
from retrue.linking import link
from retrue.problems import load_problem
from retrue.sources.acquisition import read_sources
from retrue.triage import Side, look

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
REFERENCE_DAYS, WINDOW_DAYS, ROWS_A_DAY = 90, 30, 150
ONE_IN = 4
"""Of the flights, by the hash of their key: a benchmark of minutes, on some 225 rows a day."""
START = pd.Timestamp("2024-01-01", tz="UTC")

SHOP = Features(
    numeric=("temp", "humid", "price", "quantity", "age", "lat", "lon"),
    categorical=("city", "channel", "product"),
)
CITIES = ("Zürich", "Genève", "Bern", "Basel", "Köln", "München", "Wien", "Linz")
WHERE = {city: (46.0 + i * 0.7371, 6.0 + i * 1.1713) for i, city in enumerate(CITIES)}


@dataclass(frozen=True)
class Table:
    """Rows with `time`, `key`, `label` and `score` beside the features; never changed in place."""

    rows: pd.DataFrame
    features: Features

    def side(self) -> Side:
        """As the triage looks at it."""
        return look(
            self.rows,
            self.features,
            times=self.rows["time"],
            key=self.rows["key"],
            labels=self.rows["label"].to_numpy(np.float64),
            scores=self.rows["score"].to_numpy(np.float64),
        )

    def with_rows(self, rows: pd.DataFrame) -> Table:
        """The same table with other rows."""
        return Table(rows.reset_index(drop=True), self.features)


@dataclass(frozen=True)
class Case:
    """A reference, what came between, and a window that is sound as it is."""

    reference: Table
    known: Table
    window: Table


def shop(seed: int, first: int = 0, n_days: int = REFERENCE_DAYS + WINDOW_DAYS) -> pd.DataFrame:
    """Orders of a shop: weather and demand are shared by the rows of a day."""
    rng = np.random.default_rng([seed, first])
    days = np.repeat(np.arange(first, first + n_days), ROWS_A_DAY)
    n = len(days)
    daily = {name: rng.normal(size=n_days)[days - first] for name in ("temp", "humid", "price")}
    hours = np.clip(rng.normal(14, 2.5, n), 0, 23.99)
    city = rng.choice(CITIES, n)
    celsius = 6 + 3 * daily["temp"] + rng.normal(0, 1.5, n)
    price = np.exp(3 + 0.1 * daily["price"] + rng.normal(0, 0.5, n))
    age = rng.integers(18, 80, n).astype(float)
    logit = -1.2 + 0.03 * (age - 45) - 0.25 * (np.log(price) - 3) + 0.1 * (celsius - 6)
    missing = rng.random(n) < 0.05
    return pd.DataFrame(
        {
            "time": START + pd.to_timedelta(days * 24 + hours, unit="h"),
            "key": [f"{seed}-{first}-{i}" for i in range(n)],
            "temp": np.round(celsius, 0) * 1.8 + 32,
            "humid": np.where(missing, np.nan, 60 + 10 * daily["humid"] + rng.normal(0, 8, n)),
            "price": price,
            "quantity": rng.poisson(3, n) + 1.0,
            "age": age,
            "lat": [WHERE[one][0] for one in city],
            "lon": [WHERE[one][1] for one in city],
            "city": city,
            "channel": rng.choice(["web", "app", "shop"], n, p=[0.5, 0.3, 0.2]),
            "product": rng.choice([f"P{i:02d}" for i in range(20)], n),
            "label": (rng.random(n) < 1 / (1 + np.exp(-logit))) * 1.0,
            "score": 1 / (1 + np.exp(-logit - rng.normal(0, 0.3, n))),
        }
    )


def shop_case(seed: int) -> Case:
    """The made-up table, the window right after the reference."""
    rows = shop(seed)
    is_late = rows["time"] >= START + pd.Timedelta(days=REFERENCE_DAYS)
    reference = Table(rows[~is_late].reset_index(drop=True), SHOP)
    return Case(reference, reference, Table(rows[is_late].reset_index(drop=True), SHOP))


def flights_case(month: int) -> Case:
    """January to March of 2013, and one month; between them at most the 90 days before it."""
    rows = flights()
    of_month = rows["time"].dt.month
    features = load_problem("flights", ROOT).features
    start = pd.Timestamp(2013, month, 1, tz="UTC")
    is_old = rows["time"] < pd.Timestamp(2013, 4, 1, tz="UTC")
    is_near = (rows["time"] < start) & (rows["time"] >= start - pd.Timedelta(days=90))
    pick = [is_old, is_old | is_near, of_month == month]
    return Case(*(Table(rows[mine].reset_index(drop=True), features) for mine in pick))


@lru_cache(maxsize=1)
def flights() -> pd.DataFrame:
    """The year, with scores of a model of January and February.

    Its scores of the rows it was fitted on are left out, as `look` asks. Without 31 December: the
    weather of that day is missing from the data, which is a fault of theirs.
    """
    problem = load_problem("flights", ROOT)
    frame = link(read_sources(problem, ROOT).tables, problem).frame
    frame = frame[frame["time_hour"] < pd.Timestamp("2013-12-31", tz="UTC")]
    sample = key_hashes(frame, problem.data.key) % ONE_IN == 0
    frame = frame[sample].reset_index(drop=True)
    until = date(2013, 4, 1)
    fitted = training.fit(splits.split(frame, problem, until), problem)
    scores = training.score(fitted.model_text, fitted.features, frame)
    cut = midnight(date(2013, 3, 4))
    label: NDArray[np.float64] = np.where(
        frame["arr_delay"].isna(),
        np.nan,
        (frame["arr_delay"] > 15) * 1.0,
    )
    key = pd.Series(key_hashes(frame, problem.data.key)).astype(str)
    names = [*problem.features.numeric, *problem.features.categorical]
    score = np.where(frame["time_hour"] < cut, np.nan, scores)
    found: pd.DataFrame = frame[names].assign(
        time=frame["time_hour"], key=key, label=label, score=score
    )
    return found
