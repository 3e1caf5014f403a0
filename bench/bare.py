"""The peer: what a notebook would do, in plain pandas, LightGBM and scikit-learn.

Nothing is checked, versioned, tracked or kept. Run by `bench.pipeline` as a process of its own.
"""

import json
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from bench.clock import Lap, laps_to

Figures = dict[str, float]


def train(folder: Path, until: date, training: dict[str, Any], features: dict[str, Any]) -> Figures:
    """Read the five files, join them, fit, and score the newest days."""
    import lightgbm as lgb
    import pandas as pd
    from sklearn.metrics import log_loss, roc_auc_score

    flights = pd.read_csv(folder / "flights.csv.zip")
    weather = pd.read_csv(folder / "weather.csv")
    planes = pd.read_csv(folder / "planes.csv")
    airports = pd.read_csv(folder / "airports.csv")
    airlines = pd.read_csv(folder / "airlines.csv")

    hourly = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
    data = (
        flights.merge(
            weather[["origin", "time_hour", *hourly]], on=["origin", "time_hour"], how="left"
        )
        .merge(
            planes[["tailnum", "year", "manufacturer", "engine", "seats"]].rename(
                columns={"year": "plane_year"}
            ),
            on="tailnum",
            how="left",
        )
        .merge(
            airports[["faa", "lat", "lon", "alt"]].rename(
                columns={"faa": "dest", "lat": "dest_lat", "lon": "dest_lon", "alt": "dest_alt"}
            ),
            on="dest",
            how="left",
        )
        .merge(airlines.rename(columns={"name": "airline"}), on="carrier", how="left")
    )
    data["time_hour"] = pd.to_datetime(data["time_hour"], utc=True)
    end = pd.Timestamp(until, tz="UTC")
    data = data[
        (data["time_hour"] >= pd.Timestamp(training["start"], tz="UTC"))
        & (data["time_hour"] < end - timedelta(days=1))
        & data["arr_delay"].notna()
    ]
    y = (data["arr_delay"] > 15).astype(float)
    x = data[[*features["numeric"], *features["categorical"]]].copy()
    for name in features["categorical"]:
        x[name] = x[name].astype("category")
    old = data["time_hour"] < end - timedelta(days=training["holdout_days"])

    booster = lgb.train(
        {
            **training["params"],
            "objective": "binary",
            "seed": training["seed"],
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": training["num_threads"],
            "verbosity": -1,
        },
        lgb.Dataset(x[old], y[old]),
        training["num_boost_round"],
    )
    score = booster.predict(x[~old])
    return {
        "auc": float(roc_auc_score(y[~old], score)),
        "log_loss": float(log_loss(y[~old], score)),
        "n_train": float(old.sum()),
        "n_holdout": float((~old).sum()),
    }


def main() -> None:
    """Train twice in one process, with two seeds; the second time is the warm one."""
    job = json.loads(sys.argv[1])
    laps: list[Lap] = []
    with laps_to(Path(job["laps"]), laps):
        for seed in job["seeds"]:
            training = {**job["training"], "seed": seed}
            figures = train(
                Path(job["folder"]), date.fromisoformat(job["until"]), training, job["features"]
            )
            laps.append(Lap.now(figures))


if __name__ == "__main__":
    main()
