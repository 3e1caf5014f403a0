"""The clean table: readings of the sensors of a plant, every quarter of an hour."""

import io
from datetime import date

import numpy as np
import pandas as pd

START = pd.Timestamp("2024-01-01", tz="UTC")
ROWS_A_DAY = 96
DAYS = 10
UNTIL = date(2024, 1, 11)

SENSORS = pd.DataFrame(
    {
        "code": ["north", "south", "east", "west"],
        "height": [2.5, 4.0, 3.0, 6.5],
        "hall": ["press", "paint", "press", "store"],
    }
)
CALIBRATIONS = pd.DataFrame(
    {
        "sensor": ["north", "south", "east", "west", "south"],
        "since": ["2023-12-01", "2023-12-02", "2023-12-03", "2023-12-04", "2024-01-04"],
        "offset": [0.1, -0.2, 0.05, 0.0, 0.15],
    }
)

_REMARKS = ["", "점검 완료", "checked, all fine", 'said "ok"', "größer als sonst"]


def readings(seed: int = 0, first_day: int = 0, days: int = DAYS) -> pd.DataFrame:
    """Return rows in order of time, with times as text; `reading` counts from the start."""
    rng = np.random.default_rng([seed, first_day])
    number = np.arange(first_day * ROWS_A_DAY, (first_day + days) * ROWS_A_DAY)
    n, hour = len(number), number % ROWS_A_DAY / 4
    times = START + pd.to_timedelta(number * 15, unit="min")
    temperature = 18 + 6 * np.sin((hour - 9) / 24 * 2 * np.pi) + rng.normal(0, 2, n)
    load = np.maximum(0, rng.gamma(4, 12, n) * np.where((hour > 6) & (hour < 20), 1, 0.4))
    wear = 0.05 * load + 0.1 * temperature + rng.normal(0, 1, n)
    frame = pd.DataFrame(
        {
            "reading": number,
            "at": times.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "sensor": rng.choice(SENSORS["code"], n, p=[0.4, 0.3, 0.2, 0.1]),
            "temperature": temperature.round(2),
            "load": load.round(1),
            "mode": rng.choice(["idle", "run", "service"], n, p=[0.3, 0.6, 0.1]),
            "battery": (3.7 + rng.normal(0, 0.05, n)).round(3),
            "remark": rng.choice(_REMARKS, n, p=[0.7, 0.1, 0.1, 0.05, 0.05]),
            "wear": wear.round(3),
        }
    )
    frame.loc[rng.random(n) < 0.01, "temperature"] = np.nan
    frame.loc[frame["remark"] == "", "remark"] = None
    return frame


def as_csv(frame: pd.DataFrame) -> str:
    """Return CSV text with the line ends of the corpus."""
    text = io.StringIO()
    frame.to_csv(text, index=False, lineterminator="\n")
    return text.getvalue()
