"""Faults and real changes, put into a sound window from a day on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.triage_tables import WHERE, Table, shop

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Injection = Callable[[Table, np.random.Generator], Table]

# What multiplies, after what was taken off.
_UNITS = {
    "temp": (1 / 1.8, 32.0),
    "dewp": (1 / 1.8, 32.0),
    "wind_speed": (1.609344, 0.0),
    "distance": (1.609344, 0.0),
    "dest_alt": (0.3048, 0.0),
    "price": (25.4, 0.0),
}
_SWAPS = (
    ("dest_lat", "dest_lon"),
    ("origin", "dest"),
    ("seats", "plane_year"),
    ("temp", "pressure"),
    ("humid", "visib"),
    ("lat", "lon"),
    ("age", "quantity"),
    ("city", "channel"),
    ("price", "humid"),
)


def _late(table: Table, rng: np.random.Generator, n_days: int | None = None) -> NDArray[np.bool_]:
    """Rows from a random day on: to the end, or for some days; at least a quarter is sound."""
    days = table.rows["time"].dt.floor("D")
    each = np.array(sorted(days.unique()))
    start = int(rng.integers(len(each) // 4, len(each) - 5))
    end = len(each) if n_days is None else start + n_days
    found: NDArray[np.bool_] = days.isin(each[start:end]).to_numpy()
    return found


def _set(table: Table, at: NDArray[np.bool_], **columns: Any) -> Table:
    rows = table.rows.copy()
    for name, values in columns.items():
        old = rows[name] if rows[name].dtype.kind == "f" else rows[name].astype(object)
        new = np.asarray(values) if np.ndim(values) else np.full(len(rows), values)
        rows[name] = np.where(at, new, old.to_numpy())
    return table.with_rows(rows)


def _numeric(table: Table, rng: np.random.Generator, *, varies: bool = False) -> str:
    names = list(table.features.numeric)
    if varies:  # each day, and in each source
        names = [n for n in ("temp", "humid", "price", "age", "dewp", "pressure") if n in names]
    return str(rng.choice(names))


def _category(table: Table, rng: np.random.Generator) -> str:
    return str(rng.choice(table.features.categorical))


def _units(table: Table, rng: np.random.Generator) -> Table:
    name = str(rng.choice([n for n in _UNITS if n in table.features.numeric]))
    factor, offset = _UNITS[name]
    converted = (table.rows[name].astype(float) - offset) * factor
    return _set(table, _late(table, rng), **{name: converted})


def _scale(table: Table, rng: np.random.Generator) -> Table:
    name, factor = _numeric(table, rng), float(rng.choice([0.01, 0.1, 10, 100, 1000]))
    if name in ("precip", "visib"):
        name = "temp"
    return _set(table, _late(table, rng), **{name: table.rows[name].astype(float) * factor})


def _decimal_comma(table: Table, rng: np.random.Generator) -> Table:
    name = _numeric(table, rng)
    texts = table.rows[name].map(lambda x: None if pd.isna(x) else f"{x:.2f}".replace(".", ","))
    rows = table.rows.assign(**{name: table.rows[name].astype(object)})
    return _set(Table(rows, table.features), _late(table, rng), **{name: texts.to_numpy(object)})


def _schema(table: Table, rng: np.random.Generator) -> Table:
    name = _numeric(table, rng)
    if rng.random() < 0.5:
        return table.with_rows(table.rows.drop(columns=name))
    texts = table.rows[name].map(lambda x: None if pd.isna(x) else f"{x:g} units")
    rows = table.rows.assign(**{name: table.rows[name].astype(object)})
    return _set(Table(rows, table.features), _late(table, rng), **{name: texts.to_numpy(object)})


def _stuck(table: Table, rng: np.random.Generator) -> Table:
    name = _numeric(table, rng, varies=True)
    at = _late(table, rng, int(rng.integers(2, 6)))
    source = next((n for n in ("origin", "channel") if n in table.features.categorical), None)
    if source and rng.random() < 0.5:
        at &= (table.rows[source] == rng.choice(table.rows[source].unique())).to_numpy()
    values = table.rows[name][at].dropna()
    return _set(table, at, **{name: float(values.iloc[0])})


def _missing_burst(table: Table, rng: np.random.Generator) -> Table:
    at = _late(table, rng, int(rng.integers(1, 4))) & (rng.random(len(table.rows)) < 0.7)
    return _set(table, at, **{_numeric(table, rng): np.nan})


def _join_broken(table: Table, rng: np.random.Generator) -> Table:
    names = [
        n for n in ("temp", "humid", "wind_speed", "lat", "lon") if n in table.features.numeric
    ]
    return _set(table, _late(table, rng), **dict.fromkeys(names, np.nan))


def _duplicates(table: Table, rng: np.random.Generator) -> Table:
    again = table.rows[_late(table, rng) & (rng.random(len(table.rows)) < 0.1)]
    return table.with_rows(pd.concat([table.rows, again]))


def _replayed(table: Table, rng: np.random.Generator) -> Table:
    rows, days = table.rows, table.rows["time"].dt.floor("D")
    each = sorted(days.unique())
    i = int(rng.integers(1, len(each)))
    old = rows[days == each[i - 1]]
    shifted = old.assign(time=old["time"] + (each[i] - each[i - 1]), key=old["key"] + "-again")
    return table.with_rows(pd.concat([rows[days != each[i]], shifted]))


def _labels_flipped(table: Table, rng: np.random.Generator) -> Table:
    return _set(table, _late(table, rng), label=1 - table.rows["label"])


def _labels_constant(table: Table, rng: np.random.Generator) -> Table:
    at = _late(table, rng) & table.rows["label"].notna().to_numpy()
    return _set(table, at, label=float(rng.integers(0, 2)))


def _swapped(table: Table, rng: np.random.Generator) -> Table:
    there = {*table.features.numeric, *table.features.categorical}
    a, b = list(_SWAPS)[int(rng.choice([i for i, p in enumerate(_SWAPS) if there >= set(p)]))]
    rows = table.rows.astype({a: object, b: object}) if a in table.features.categorical else None
    fresh = table if rows is None else Table(rows, table.features)
    return _set(
        fresh, _late(table, rng), **{a: fresh.rows[b].to_numpy(), b: fresh.rows[a].to_numpy()}
    )


def _sentinel(table: Table, rng: np.random.Generator) -> Table:
    at = _late(table, rng) & (rng.random(len(table.rows)) < 0.03)
    return _set(table, at, **{_numeric(table, rng): float(rng.choice([-999, -9999, 99999]))})


def _clock(table: Table, rng: np.random.Generator) -> Table:
    at, hours = _late(table, rng), int(rng.choice([-8, -5, 5, 8]))
    time = table.rows["time"].where(~at, table.rows["time"] + pd.Timedelta(hours=hours))
    return table.with_rows(table.rows.assign(time=time))


def _damaged_text(table: Table, rng: np.random.Generator) -> Table:
    name = str(
        rng.choice([n for n in ("city", "product", "dest", "manufacturer") if n in table.rows])
    )
    way = (_cut, _lowered, _misread)[int(rng.integers(3))]
    texts = table.rows[name].astype(object).map(lambda x: x if pd.isna(x) else way(x))
    return _set(table, _late(table, rng), **{name: texts.to_numpy(object)})


def _cut(text: str) -> str:
    return text[:2]


def _lowered(text: str) -> str:
    return text.lower() + " "


def _misread(text: str) -> str:
    return text[:-1] if text.isascii() else text.encode().decode("latin-1")


def _recoded(table: Table, rng: np.random.Generator) -> Table:
    name = _category(table, rng)
    codes = pd.Series(pd.factorize(table.rows[name])[0] + 101)
    texts = codes.astype(str).astype(object).mask(table.rows[name].isna(), None).to_numpy(object)
    return _set(table, _late(table, rng), **{name: texts})


def _silent(table: Table, rng: np.random.Generator) -> Table:
    name = "origin" if "origin" in table.rows else "channel"
    at = _late(table, rng, int(rng.integers(1, 8)))
    gone = at & (table.rows[name] == rng.choice(table.rows[name].unique())).to_numpy()
    return table.with_rows(table.rows[~gone])


def _leak(table: Table, rng: np.random.Generator) -> Table:
    name = _numeric(table, rng, varies=True)
    known = 40 * table.rows["label"].fillna(0) + rng.normal(0, 8, len(table.rows))
    return table.with_rows(table.rows.assign(**{name: known}))


def _misjoined(table: Table, rng: np.random.Generator) -> Table:
    names = [n for n in ("dest_lat", "temp", "lat") if n in table.features.numeric]
    name = str(rng.choice([n for n in names if n != "temp" or "origin" in table.rows]))
    at = _late(table, rng)
    return _set(table, at, **{name: rng.permutation(table.rows[name].to_numpy())})


FAULTS: dict[str, Injection] = {
    "units changed": _units,
    "scale by a power of ten": _scale,
    "decimal comma": _decimal_comma,
    "schema": _schema,
    "stuck": _stuck,
    "missing burst": _missing_burst,
    "join broken": _join_broken,
    "duplicates": _duplicates,
    "replayed rows": _replayed,
    "labels flipped": _labels_flipped,
    "labels constant": _labels_constant,
    "swapped columns": _swapped,
    "sentinel": _sentinel,
    "clock shift": _clock,
    "damaged text": _damaged_text,
    "recoded categories": _recoded,
    "silent source": _silent,
    "future leak": _leak,
    "misjoined": _misjoined,
}


def _ramp(table: Table) -> NDArray[np.float64]:
    """From 0 on the first day to 1 on the last."""
    age = (table.rows["time"] - table.rows["time"].min()) / pd.Timedelta(days=1)
    found: NDArray[np.float64] = (age / age.max()).to_numpy(np.float64)
    return found


def _with_cities(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(
        lat=[WHERE[one][0] for one in rows["city"]], lon=[WHERE[one][1] for one in rows["city"]]
    )


def _season(table: Table, rng: np.random.Generator) -> Table:
    step = np.round(_ramp(table) * 14) * 1.8
    return table.with_rows(table.rows.assign(temp=table.rows["temp"] + step))


def _gradual_shift(table: Table, rng: np.random.Generator) -> Table:
    name, by = rng.choice(["humid", "price"]), 1.5 * _ramp(table)
    spread = table.rows[name].std()
    return table.with_rows(table.rows.assign(**{name: table.rows[name] + by * spread}))


def _sudden_shift(table: Table, rng: np.random.Generator) -> Table:
    at = _late(table, rng)
    return _set(table, at, price=table.rows["price"] * float(rng.uniform(1.2, 1.4)))


def _new_category(table: Table, rng: np.random.Generator) -> Table:
    at = rng.random(len(table.rows)) < 0.3 * _ramp(table)
    return _set(table, at, product="P77")


def _new_mix(table: Table, rng: np.random.Generator) -> Table:
    weights = np.where(table.rows["city"].isin(["Wien", "Linz", "Bern"]), 1.0, 0.3)
    chosen = rng.choice(len(table.rows), len(table.rows) // 2, False, weights / weights.sum())
    return table.with_rows(table.rows.iloc[np.sort(chosen)])


def _more_volume(table: Table, rng: np.random.Generator) -> Table:
    more = shop(int(rng.integers(10_000, 20_000)), 90, 30)
    rows = pd.concat([table.rows, more.assign(key=more["key"] + "-more")])
    return table.with_rows(rows.assign(price=rows["price"] * 0.8))


def _variance(table: Table, rng: np.random.Generator) -> Table:
    rows = table.rows
    centre, far = rows["humid"].mean(), 1 + 1.0 * _ramp(table)
    wider = np.exp(3 + (np.log(rows["price"]) - 3) * far)
    return table.with_rows(rows.assign(humid=centre + (rows["humid"] - centre) * far, price=wider))


def _storm_week(table: Table, rng: np.random.Generator) -> Table:
    at = _late(table, rng, 7)
    late = np.where(rng.random(len(at)) < 0.5, 1.0, table.rows["label"])
    temp = table.rows["temp"] - 1.8 * 10
    return _set(table, at, label=late, temp=temp, humid=table.rows["humid"] + 25)


def _concept(table: Table, rng: np.random.Generator) -> Table:
    """The label hangs on what it did not hang on; its rate stays."""
    rows = table.rows
    logit = -1.2 - 0.03 * (rows["age"] - 45) + 0.5 * (rows["quantity"] - 4)
    label = (rng.random(len(rows)) < 1 / (1 + np.exp(-logit))) * 1.0
    return _set(table, _late(table, rng), label=label)


def no_change(table: Table, rng: np.random.Generator) -> Table:
    """The window as it is."""
    return table


CHANGES: dict[str, Injection] = {
    "season": _season,
    "gradual shift": _gradual_shift,
    "sudden price rise": _sudden_shift,
    "new category": _new_category,
    "new mix of cities": _new_mix,
    "more volume at lower prices": _more_volume,
    "growing variance": _variance,
    "storm week": _storm_week,
    "concept change": _concept,
}
