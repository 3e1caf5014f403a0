"""Proposed rules hold for clean rows, theirs and others of the same kind, and catch each fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrue.errors import DataError
from retrue.initialisation.keys import key_of
from retrue.initialisation.profiling import profile
from retrue.initialisation.proposals import propose, propose_linked
from retrue.initialisation.proposed_bounds import generous_range
from retrue.validation import Validation, ValidationError, validate

START = date(2024, 1, 1)

Floats = Callable[[np.random.Generator, int], Any]

NUMBERS: dict[str, Floats] = {
    "normal": lambda rng, n: rng.normal(12, 8, n),
    "rounded": lambda rng, n: rng.normal(3, 2, n).round(1),
    "skewed": lambda rng, n: rng.lognormal(0, 2, n),
    "pareto": lambda rng, n: rng.pareto(1.2, n),
    "student": lambda rng, n: rng.standard_t(3, n),
    "zeros": lambda rng, n: np.where(rng.random(n) < 0.9, 0.0, rng.exponential(3, n)),
    "flag": lambda rng, n: (rng.random(n) < 0.06).astype(np.int64),
    "count": lambda rng, n: rng.poisson(2, n),
    "large": lambda rng, n: 1_700_000_000 + rng.integers(0, 1000, n),
    "tiny": lambda rng, n: rng.normal(0, 1e-12, n),
    "two sided": lambda rng, n: rng.choice([-1.0, 1.0], n) * rng.exponential(1, n),
    "rare": lambda rng, n: (rng.random(n) < 0.001).astype(float),
    "same": lambda rng, n: np.full(n, 7.5),
    "infinite": lambda rng, n: np.where(rng.random(n) < 0.1, np.inf, rng.normal(size=n)),
}


def texts(rng: np.random.Generator, n: int, weights: np.ndarray[Any, Any]) -> pd.Categorical:
    names = np.array([f"값 {i}" for i in range(len(weights))])
    return pd.Categorical(rng.choice(names, n, p=weights / weights.sum()))


def sample(seed: int, again: int = 0) -> pd.DataFrame:
    """Clean rows of world `seed`; another `again` gives other rows of the same world."""
    shape = np.random.default_rng(seed)
    n = int(shape.choice([1, 3, 60, 150, 400, 1_500]))
    kinds = shape.choice(list(NUMBERS), 3, replace=False)
    holes = shape.choice([0.0, 0.0, 0.02, 0.3, 0.97, 1.0], 3)
    few = shape.dirichlet(np.ones(4)) + 0.1
    many = 1 / np.arange(1, 400) ** shape.uniform(0.5, 2)
    has_key, has_time, repeats = shape.random(3) < 0.5
    rng = np.random.default_rng([seed, again])
    columns: dict[str, Any] = {}
    if has_key:
        columns["order id"] = np.arange(n) + again * n
    if has_time:
        at = pd.Timestamp(START) + pd.to_timedelta(np.sort(rng.integers(0, 40 * 86_400, n)), "s")
        columns["at"] = at.tz_localize("UTC").astype("datetime64[us, UTC]")
    for kind, share in zip(kinds, holes, strict=True):
        values = pd.Series(NUMBERS[kind](rng, n))
        columns[f"기온 {kind}"] = values.where(rng.random(n) >= share) if share else values
    columns["few"] = texts(rng, n, few)
    columns["many: 'x'"] = texts(rng, n, many)
    columns["free"] = pd.Categorical([f"row {i} of {j}" for i, j in rng.integers(0, 10**6, (n, 2))])
    frame = pd.DataFrame(columns)
    if repeats and not has_key and n > 1:
        frame = pd.concat([frame, frame.iloc[: n // 20]], ignore_index=True)
    return frame


def write(tmp_path: Path, frame: pd.DataFrame) -> dict[str, float]:
    """Propose for a frame; the parameters to validate with."""
    columns = profile(frame)
    time = "at" if "at" in frame.columns and len(frame) > 1 else None
    key = key_of(columns, frame, "", time)
    rules = [
        *propose(frame, columns, key, time, START),
        *propose_linked(frame, key, time, START),
    ]
    path = tmp_path / "p" / "t.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"name": "t", "expectations": rules}, allow_nan=False))
    return {"days": 40}


def check(tmp_path: Path, frame: pd.DataFrame, parameters: dict[str, float]) -> Validation:
    return validate("p", "t", frame, tmp_path, parameters=parameters)


@pytest.mark.parametrize("seed", range(50))
def test_proposed_rules_hold_for_their_rows_and_for_others_of_the_same_world(
    tmp_path: Path, seed: int
) -> None:
    frame = sample(seed)
    before = frame.copy()
    parameters = write(tmp_path, frame)

    assert check(tmp_path, frame, parameters).failed == ()
    pd.testing.assert_frame_equal(frame, before)
    assert check(tmp_path, sample(seed, again=1), parameters).failed == ()


def sensors(seed: int = 0, n: int = 2_000, *, keyed: bool = True) -> pd.DataFrame:
    """Readings of a few stations, in degrees Celsius."""
    rng = np.random.default_rng(seed)
    at = pd.date_range(START, periods=n, freq="30min", tz="UTC").astype("datetime64[us, UTC]")
    frame = pd.DataFrame(
        {
            "reading_id": np.arange(n) + seed * n,
            "at": at,
            "station": pd.Categorical(rng.choice(["Busan", "Jeju", "Seoul"], n)),
            "기온 °C": rng.normal(12, 8, n).round(1),
            "wind": rng.exponential(4, n).round(1),
            "rain": np.where(rng.random(n) < 0.9, 0.0, rng.exponential(2, n).round(1)),
            "note": pd.Categorical(
                [f"seen by {i} with {j}" for i, j in rng.integers(0, 999, (n, 2))]
            ),
        }
    )
    return frame if keyed else frame.drop(columns="reading_id")


def _fahrenheit(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{"기온 °C": frame["기온 °C"] * 1.8 + 32})


def _nulls(name: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def fault(frame: pd.DataFrame) -> pd.DataFrame:
        gone = np.random.default_rng(5).random(len(frame)) < 0.3
        return frame.assign(**{name: frame[name].where(~gone)})

    return fault


def _set(**values: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(
        **{name: f(frame) if callable(f) else f for name, f in values.items()}
    )


STOPS: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "Celsius turned Fahrenheit": ("quantile", _fahrenheit),
    "a stuck sensor": ("wind", _set(wind=3.2)),
    "a sensor stuck at its median": ("wind", _set(wind=lambda f: f["wind"].median())),
    "a sensor stuck at zero": ("rain", _set(rain=0.0)),
    "a sensor stuck on three values": ("wind", _set(wind=lambda f: np.arange(len(f)) % 3 * 4.0)),
    "a stuck category": ("station", _set(station=lambda f: pd.Categorical(["Jeju"] * len(f)))),
    "30 % nulls in a number": ("null", _nulls("wind")),
    "30 % nulls in a category": ("null", _nulls("station")),
    "30 % nulls in a text": ("null", _nulls("note")),
    "a dropped column": ("wind", lambda frame: frame.drop(columns="wind")),
    "a renamed column": ("wind", lambda frame: frame.rename(columns={"wind": "gust"})),
    "an added column": ("new", lambda frame: frame.assign(new=1)),
    "other codes": (
        "station",
        _set(station=lambda f: f["station"].cat.rename_categories(str.upper)),
    ),
    "numbers for categories": ("station", _set(station=lambda f: f["station"].cat.codes)),
    "texts for numbers": (
        "wind",
        _set(wind=lambda f: pd.Categorical(f["wind"].astype(str) + " m")),
    ),
    "numbers for texts": ("note", _set(note=lambda f: np.arange(len(f)) % 900)),
    "a batch delivered twice": (
        "unique",
        lambda frame: pd.concat([frame, frame.tail(100)], ignore_index=True),
    ),
    "most rows missing": ("row_count", lambda frame: frame.head(300)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suites")
    write(folder, sensors().drop(columns="at"))
    return folder


@pytest.mark.parametrize("name", STOPS)
def test_each_fault_stops_the_run(folder: Path, name: str) -> None:
    said, fault = STOPS[name]

    with pytest.raises(DataError) as error:
        check(folder, fault(sensors(1).drop(columns="at")), {})
    failed = error.value.validation.failed if isinstance(error.value, ValidationError) else ()
    assert said in f"{error.value} {failed}"


def test_without_a_key_rows_as_a_whole_tell_a_second_delivery(tmp_path: Path) -> None:
    write(tmp_path, sensors(keyed=False).drop(columns="at"))
    clean = sensors(1, keyed=False).drop(columns="at")

    assert check(tmp_path, clean, {}).failed == ()
    with pytest.raises(ValidationError, match="compound_columns_to_be_unique"):
        check(tmp_path, pd.concat([clean, clean.tail(300)], ignore_index=True), {})


def test_a_wide_table_gets_one_rule_less_and_still_refuses_a_stuck_column(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(200, 101))
    frame = pd.DataFrame(values, columns=[f"x{i}" for i in range(101)])
    rules = propose(frame, profile(frame))
    kept = [rule for rule in rules if rule["kwargs"].get("column") in ("x0", "x100")]
    path = tmp_path / "p" / "t.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"name": "t", "expectations": kept}))

    assert len(rules) < 4.1 * 101
    assert check(tmp_path, frame, {}).failed == ()
    with pytest.raises(ValidationError, match="column x100"):
        check(tmp_path, frame.assign(x100=0.0), {})


def test_a_new_category_and_a_wild_value_set_their_rows_aside(folder: Path) -> None:
    frame = sensors(2).drop(columns="at")
    frame["station"] = frame["station"].cat.add_categories("Ulsan")
    frame.loc[[3, 9], "station"] = "Ulsan"
    frame.loc[17, "wind"] = 1048.0

    found = check(folder, frame, {})

    assert found.set_aside.tolist() == [3, 9, 17]
    assert {failure.severity for failure in found.failed} == {"warning"}


def test_rows_are_counted_by_days_and_each_day_so_far_would_have_passed(tmp_path: Path) -> None:
    frame = sensors()
    columns = profile(frame)
    (count, *_) = propose(frame, columns, ("reading_id",), "at", START)
    path = tmp_path / "p" / "t.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"name": "t", "expectations": [count]}))

    for days in (1, 2, 20, 41, 42):
        until = pd.Timestamp(START, tz="UTC") + pd.Timedelta(days=days)
        rows = frame[frame["at"] < until]
        assert check(tmp_path, rows, {"days": days}).failed == ()
    with pytest.raises(ValidationError, match="row_count"):
        check(tmp_path, frame, {"days": 150})
    with pytest.raises(ValidationError, match="row_count"):
        check(tmp_path, pd.concat([frame] * 3, ignore_index=True), {"days": 42})


def test_each_rule_says_why_it_is_there_and_there_are_few() -> None:
    frame = sensors()
    rules = propose(frame, profile(frame), ("reading_id",), "at", START)

    assert all(rule["meta"]["notes"].endswith(".") for rule in rules)
    assert len(rules) <= 5 * len(frame.columns)


def test_zero_is_a_floor_only_where_it_is_common() -> None:
    rng = np.random.default_rng(0)

    assert generous_range(rng.poisson(0.5, 500).astype(float))[0] == 0
    assert generous_range(np.maximum(rng.normal(6, 2, 500).round(), 0))[0] < 0
