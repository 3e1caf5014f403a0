"""Calendar spans that divide the time of a table into few, equal pieces (UTC)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrue.exploration.vectors import Ints, Vector, moment_text

MAX_SPANS = 60
"""Pieces that a picture of a page's width can still tell apart."""
_DAY = 86_400
_MONDAY = 4 * _DAY  # 1970-01-05 was the first Monday after the epoch


@dataclass(frozen=True)
class Spans:
    """`codes` (n_rows,) into `labels`, which are in order of time; -1 without a time."""

    unit: str
    labels: tuple[str, ...]
    codes: Ints
    first: str
    last: str

    @property
    def n_rows(self) -> Ints:
        """Rows of each span, (n_spans,)."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.labels))


def spans(times: Vector) -> Spans | None:
    """The shortest of hour, day, week, month, quarter and year that gives at most 60 spans.

    A wider table is divided into runs of years. None when the column holds no time.
    """
    if times.kind != "time" or not times.n_distinct:
        return None
    known = times.counts > 0
    moments = times.numbers[known]
    unit, index = _units(moments)
    start = int(index.min())
    n_spans = int(index.max()) - start + 1
    step = -(-n_spans // MAX_SPANS)
    labels = tuple(_label(unit, start + i * step) for i in range(-(-n_spans // step)))
    position = np.full(len(times.numbers) + 1, -1, dtype=np.int64)
    position[:-1][known] = (index - start) // step
    first, last = (moment_text(float(x)) for x in (moments.min(), moments.max()))
    unit = unit if step == 1 else f"{step} years"
    return Spans(unit, labels, position[times.codes], first, last)


def _units(moments: np.typing.NDArray[np.float64]) -> tuple[str, Ints]:
    seconds = np.floor(moments).astype(np.int64)
    months = seconds.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    units = {
        "hour": seconds // 3600,
        "day": seconds // _DAY,
        "week": (seconds - _MONDAY) // (7 * _DAY),
        "month": months,
        "quarter": months // 3,
        "year": months // 12,
    }
    for unit, index in units.items():
        if np.ptp(index) < MAX_SPANS:
            return unit, index
    return "year", units["year"]


def _label(unit: str, index: int) -> str:
    if unit in ("month", "quarter", "year"):
        months = index * {"month": 1, "quarter": 3, "year": 12}[unit]
        text = str(np.datetime64(months, "M"))
        return text[:-3] if unit == "year" else text
    seconds = {"hour": index * 3600, "day": index * _DAY, "week": index * 7 * _DAY + _MONDAY}
    text = str(np.datetime64(seconds[unit], "s"))
    return text[:13].replace("T", " ") + "h" if unit == "hour" else text[:10]
