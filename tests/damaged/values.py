"""Damage to the values of a whole file: what sensors, clocks, people and exports do."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from tests.damaged.faults import as_clean, refused, set_aside, with_cell
from tests.damaged.plant import Plant
from tests.damaged.readings import CALIBRATIONS, SENSORS, as_csv, readings

CLEAN = readings()
TEXT = as_csv(CLEAN)


def frame(change: Callable[[pd.DataFrame], pd.DataFrame | None]) -> Callable[[Plant], None]:
    def damage(plant: Plant) -> None:
        copy = CLEAN.copy()
        changed = change(copy)
        plant.deliver(copy if changed is None else changed)

    return damage


def cell(row: int, column: str, value: str) -> Callable[[Plant], None]:
    return lambda plant: plant.deliver(with_cell(TEXT, row, column, value))


def fahrenheit(values: pd.Series) -> pd.Series:
    return (values * 9 / 5 + 32).round(2)


def _sensor_in_fahrenheit(table: pd.DataFrame) -> None:
    south = table["sensor"] == "south"
    table.loc[south, "temperature"] = fahrenheit(table.loc[south, "temperature"])


def _sticks(table: pd.DataFrame) -> None:
    table.loc[len(table) // 10 :, "temperature"] = 21.5


def _set(column: str, value: str | float) -> Callable[[pd.DataFrame], None]:
    def change(table: pd.DataFrame) -> None:
        table[column] = value

    return change


def _missing(column: str, share: float) -> Callable[[pd.DataFrame], None]:
    def change(table: pd.DataFrame) -> None:
        gone = np.random.default_rng(1).random(len(table)) < share
        table[column] = table[column].mask(gone)

    return change


def _dates(form: str) -> Callable[[pd.DataFrame], None]:
    def change(table: pd.DataFrame) -> None:
        table["at"] = pd.to_datetime(table["at"]).dt.strftime(form)

    return change


def _later(share: float) -> Callable[[pd.DataFrame], None]:
    def change(table: pd.DataFrame) -> None:
        late = np.arange(len(table)) >= (1 - share) * len(table)
        table["at"] = table["at"].where(~late, table["at"].str.replace("2024", "2099"))

    return change


def _side(name: str, table: pd.DataFrame) -> Callable[[Plant], None]:
    return lambda plant: (plant.write(name, as_csv(table)), None)[1]


FAULTS = [
    refused(
        "Celsius turned Fahrenheit",
        frame(lambda t: t.assign(temperature=fahrenheit(t["temperature"]))),
        "readings.csv column temperature",
        "quantile",
    ),
    refused(
        "one sensor in Fahrenheit", frame(_sensor_in_fahrenheit), "readings.csv column temperature"
    ),
    refused("stuck sensor", frame(_set("temperature", 18.25)), "readings.csv column temperature"),
    refused("sensor stuck at zero", frame(_set("load", 0)), "readings.csv column load"),
    refused("sensor that sticks", frame(_sticks), "readings.csv column temperature"),
    refused("a category that is stuck", frame(_set("mode", "run")), "readings.csv column mode"),
    refused(
        "30 % nulls",
        frame(_missing("temperature", 0.3)),
        "readings.csv",
        "column temperature",
        "not_be_null",
    ),
    refused(
        "30 % nulls in a category", frame(_missing("mode", 0.3)), "readings.csv", "column mode"
    ),
    refused("all nulls", frame(_missing("load", 1.1)), "readings.csv", "column load"),
    refused("all nulls in a category", frame(_missing("mode", 1.1)), "column mode"),
    refused("a missing key", cell(8, "reading", ""), "readings.csv row 8 column reading"),
    refused("a missing time", cell(8, "at", ""), "readings.csv row 8 column at"),
    refused(
        "mixed types", cell(30, "temperature", "error"), "row 30 column temperature", "'error'"
    ),
    refused(
        "mixed types in a column no model reads",
        cell(31, "battery", "low"),
        "row 31 column battery",
        "low",
    ),
    refused("decimal commas", cell(32, "load", "41,5"), "readings.csv row 32 column load", "41,5"),
    refused(
        "thousands with a comma", cell(32, "load", "1,041.5"), "readings.csv row 32 column load"
    ),
    set_aside("new category", cell(14, "mode", "turbo"), "readings", "mode", "turbo", "14"),
    set_aside("a category in capitals", cell(14, "mode", "RUN"), "readings", "mode", "RUN", "14"),
    set_aside("absurd value", cell(16, "temperature", "1048.36"), "temperature", "1048.36", "16"),
    set_aside("below absolute zero", cell(17, "temperature", "-300"), "temperature", "-300", "17"),
    set_aside("a sentinel for missing", cell(18, "load", "-9999"), "load", "-9999", "18"),
    set_aside("negative load", cell(18, "load", "-500"), "readings", "load", "-500", "18"),
    set_aside("infinite", cell(19, "load", "inf"), "readings", "load", "inf", "19"),
    set_aside("a number of 300 digits", cell(19, "load", "9" * 300), "readings", "load", "19"),
    refused(
        "dropped column",
        frame(lambda t: t.drop(columns="mode")),
        "readings.csv row 1",
        "the column mode",
    ),
    refused(
        "dropped column no model reads",
        frame(lambda t: t.drop(columns="battery")),
        "readings.csv",
        "battery",
    ),
    refused(
        "renamed column",
        frame(lambda t: t.rename(columns={"temperature": "temp"})),
        "readings.csv row 1",
        "the column temperature",
        "temp",
    ),
    refused(
        "renamed column no model reads",
        frame(lambda t: t.rename(columns={"battery": "volts"})),
        "readings.csv",
        "volts",
    ),
    refused("added column", frame(_set("extra", 1)), "readings.csv", "extra"),
    refused(
        "retyped column",
        frame(lambda t: t.assign(temperature="warm")),
        "readings.csv row 2 column temperature",
        "'warm'",
    ),
    refused(
        "retyped column no model reads",
        frame(lambda t: t.assign(battery="full")),
        "readings.csv row 2 column battery",
    ),
    refused(
        "swapped columns",
        frame(lambda t: t.rename(columns={"load": "temperature", "temperature": "load"})),
        "readings.csv column",
    ),
    as_clean("shuffled columns", frame(lambda t: t[t.columns[::-1]])),
    as_clean("shuffled rows", frame(lambda t: t.sample(frac=1, random_state=3))),
    refused(
        "duplicated rows",
        frame(lambda t: pd.concat([t, t.iloc[:3]])),
        "readings.csv row 2 column reading",
        "unique",
    ),
    refused("all rows twice", frame(lambda t: pd.concat([t, t])), "readings.csv", "column reading"),
    refused("one key for all rows", frame(_set("reading", 7)), "readings.csv", "column reading"),
    refused(
        "dates in another form",
        frame(_dates("%d/%m/%Y %H:%M")),
        "readings.csv row 2 column at",
        "01/01/2024",
    ),
    refused(
        "one date in another form",
        cell(40, "at", "10.01.2024 09:45"),
        "readings.csv row 40 column at",
    ),
    refused(
        "a day that is not there",
        cell(41, "at", "2024-02-30T00:00:00Z"),
        "readings.csv row 41 column at",
    ),
    refused(
        "seconds since 1970", frame(lambda t: t.assign(at=range(len(t)))), "readings.csv column at"
    ),
    refused("future dates", frame(_later(1)), "readings.csv"),
    refused("future dates in most rows", frame(_later(0.85)), "readings.csv", "row_count"),
    refused(
        "dates of the past",
        frame(lambda t: t.assign(at=t["at"].str.replace("2024", "1970"))),
        "link to calibrations",
        "at=1970-01-01",
    ),
    refused(
        "two partners for a key",
        _side("sensors.csv", pd.concat([SENSORS, SENSORS[:1]])),
        "sensors.csv row 2 column code",
        "north",
    ),
    refused(
        "two partners at a time",
        _side("calibrations.csv", pd.concat([CALIBRATIONS, CALIBRATIONS[:1]])),
        "calibrations.csv",
    ),
    refused(
        "a partner that is gone",
        _side("sensors.csv", SENSORS[1:]),
        "link to sensors",
        "sensor=north",
    ),
    refused(
        "partners of the future alone",
        _side("calibrations.csv", CALIBRATIONS.assign(since="2024-01-08")[:4]),
        "link to calibrations",
        "min_match",
    ),
    refused(
        "keys of another type",
        _side("sensors.csv", SENSORS.assign(code=range(4))),
        "link to sensors",
        "code is int64",
    ),
]
