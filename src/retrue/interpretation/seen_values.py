"""Which values each feature has taken: what explanations may try in its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retrue.encoding_frame import encode_frame
from retrue.frame_columns import column
from retrue.interpretation.explained_model import ExplainedModel, Floats, Ints
from retrue.serving.features import Feature, category_text

if TYPE_CHECKING:
    from collections.abc import Sequence

NORMAL_IQR = 1.349
"""Interquartile range of a normal distribution of standard deviation 1."""


@dataclass(frozen=True)
class SeenValues:
    """Distinct values of one feature in rows that were seen, missing ones apart.

    Numbers and times in rising order, categories by falling frequency.
    """

    feature: Feature
    columns: slice
    """The feature's columns in the model's matrix."""
    encoded: Floats
    """Shape (n_values, width): each value as the model sees it."""
    raw: tuple[Any, ...]
    """The same as JSON values, as a client would send them."""
    counts: Ints
    n_missing: int

    @property
    def name(self) -> str:
        """Of the feature."""
        return self.feature["name"]

    @property
    def is_ordered(self) -> bool:
        """Whether more and less mean something."""
        return self.feature["kind"] in ("numeric", "date")

    @property
    def places(self) -> Floats:
        """Numbers as they are, times in seconds, categories by their rank of frequency."""
        if not self.is_ordered:
            return np.arange(len(self.raw), dtype=np.float64)
        if self.feature["kind"] == "numeric":
            return np.array(self.raw, dtype=np.float64)
        return self.encoded[:, -1]  # seconds since 1970 come last of a date's parts

    @property
    def spread(self) -> float:
        """Of numbers and times: a standard deviation that outliers do not move; never 0."""
        values = np.repeat(self.places, self.counts)
        if not self.is_ordered or not len(values):
            return 1.0
        low, high = np.quantile(values, [0.25, 0.75])
        return float((high - low) / NORMAL_IQR or values.std() or 1.0)

    @property
    def texts(self) -> tuple[str, ...]:
        """Values for people."""
        return tuple(shown(value) for value in self.raw)

    def grid(self, n: int) -> Ints:
        """At most `n` of the values: evenly spread over the rows, or the most frequent."""
        if len(self.raw) <= n or not self.is_ordered:
            return np.arange(min(len(self.raw), n))
        reached = np.cumsum(self.counts) / self.counts.sum()
        # Without the outermost hundredths: a curve over outliers alone shows little else.
        wanted = np.linspace(0.01, 0.99, n)
        places = np.minimum(np.searchsorted(reached, wanted), len(self.raw) - 1)
        return np.asarray(np.unique(places), dtype=np.intp)


def seen_values(frame: pd.DataFrame, model: ExplainedModel) -> list[SeenValues]:
    """Values of each feature of the model, in its order.

    Infinities, and categories that the model does not know, are left out; free text has no values
    that could be tried in its place.
    """
    return [
        _of_feature(frame, feature, part)
        for feature, part in zip(model.features, model.slices, strict=True)
    ]


def shown(value: Any, digits: int = 7) -> str:
    """A value for people; seven digits are enough to tell numbers apart.

    Examples
    --------
    >>> [shown(value) for value in (None, 41.0, 0.1 + 0.2, "2013-01-01T05:00:00+00:00")]
    ['missing', '41', '0.3', '2013-01-01 05:00']
    """
    if value is None:
        return "missing"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number:
        return f"{value:.{digits}g}"
    text = category_text(value)
    if re.match(r"\d{4}-\d\d-\d\dT", text):
        text = text.replace("T", " ").removesuffix("+00:00").removesuffix(":00")
        return text.removesuffix(" 00:00")
    return text


def as_json(value: Any) -> Any:
    """A cell of a frame as a client would send it: missing is None, a time ISO 8601."""
    if isinstance(value, pd.Timestamp):
        return None if pd.isna(value) else value.isoformat()
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and np.isnan(plain) else plain


def rows_as_json(frame: pd.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    """Rows as a client would send them, these columns only."""
    columns = [[as_json(value) for value in column(frame, name)] for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _of_feature(frame: pd.DataFrame, feature: Feature, part: slice) -> SeenValues:
    values = column(frame, feature["name"])
    known = values[values.notna()]
    n_missing = len(values) - len(known)
    if feature["kind"] == "text":
        known = known.iloc[:0]
    codes, uniques = pd.factorize(known)
    values_seen = [as_json(value) for value in uniques]
    n = np.bincount(codes, minlength=len(values_seen)).astype(np.intp)
    distinct = pd.Series(uniques).astype(known.dtype).to_frame(feature["name"])
    encoded = encode_frame(distinct, [feature])
    if feature["kind"] == "categorical":
        usable = np.flatnonzero(~np.isnan(encoded[:, 0])).tolist()
        order = sorted(usable, key=lambda i: (-n[i], category_text(values_seen[i])))
    elif feature["kind"] == "numeric":
        numbers = np.array([np.nan if v is None else float(v) for v in values_seen])
        usable = np.flatnonzero(np.isfinite(numbers)).tolist()
        order = sorted(usable, key=lambda i: numbers[i])
    else:
        usable = np.flatnonzero(np.isfinite(encoded).all(axis=1)).tolist()
        order = sorted(usable, key=lambda i: encoded[i, -1])
    picked = np.array(order, dtype=np.intp)
    raw = tuple(values_seen[i] for i in order)
    return SeenValues(feature, part, encoded[picked], raw, n[picked], n_missing)
