"""What processing does to each feature, fitted on the training rows alone."""

import math
from collections import Counter

import numpy as np
import pandas as pd

from retrue.config import Features, Processing
from retrue.errors import ConfigError
from retrue.frame_columns import Float64s, column, numbers, texts
from retrue.serving.features import Feature, category_text


def fit_features(frame: pd.DataFrame, features: Features, processing: Processing) -> list[Feature]:
    """Describe the model's inputs and their processing from the training rows alone.

    Parameters
    ----------
    frame : DataFrame
        Training rows, in any order: the same rows give the same features.
    features : Features
        Names of the columns.
    processing : Processing
        What is done to them.

    Returns
    -------
    list of Feature
        Numeric first, then categorical, dates and text; each in the order of the definition.
        Categories are the sorted texts of the non-null values, none for an all-null column. What
        cannot be fitted, such as the median of an all-null column, is left out.

    Raises
    ------
    DataError
        A column is missing, or one that is to be filled or clipped is not made of numbers.
    ConfigError
        A numeric feature is to be filled with what is neither a rule nor a finite number.

    Examples
    --------
    >>> frame = pd.DataFrame({"temp": [39.0, None, 41.0], "origin": ["JFK", None, "EWR"]})
    >>> names = Features(numeric=("temp",), categorical=("origin",))
    >>> fit_features(frame, names, Processing(fill={"temp": "median"}))[0]
    {'name': 'temp', 'kind': 'numeric', 'fill': 40.0}
    >>> fit_features(frame, names, Processing())[1]
    {'name': 'origin', 'kind': 'categorical', 'categories': ['EWR', 'JFK']}
    """
    for name in (*features.dates, *features.text):
        column(frame, name)
    return [
        *(_numeric(frame, name, processing) for name in features.numeric),
        *(_categorical(frame, name, processing) for name in features.categorical),
        *(Feature(name=name, kind="date") for name in features.dates),
        *(
            Feature(name=name, kind="text", buckets=processing.text_buckets)
            for name in features.text
        ),
    ]


def _numeric(frame: pd.DataFrame, name: str, processing: Processing) -> Feature:
    feature = Feature(name=name, kind="numeric")
    found = column(frame, name)
    if name in processing.flag_missing:
        feature["flag"] = True
    if name not in processing.fill and name not in processing.clip:
        return feature
    values = numbers(found, name)
    # Infinities have no mean and would be bounds that clip nothing; 0.0 makes 0.0 of -0.0, which
    # are equal and would otherwise come in the order of the rows.
    finite = values[np.isfinite(values)] + 0.0
    if name in processing.fill:
        fill = _number_fill(name, processing.fill[name], finite)
        if fill is not None:
            feature["fill"] = fill
    if name in processing.clip and len(finite):
        feature["low"], feature["high"] = (
            _quantile(finite, share) for share in processing.clip[name]
        )
    return feature


def _number_fill(name: str, rule: float | str, finite: Float64s) -> float | None:
    """The number that stands for null; None where the rule has no values to go by."""
    if not isinstance(rule, str) and math.isfinite(rule):
        return float(rule)
    if rule not in ("median", "mean", "most_frequent"):
        where = f"processing.fill of {name!r}"
        expected = "median, mean, most_frequent or a finite number"
        raise ConfigError(expected, repr(rule), where, "name one of them")
    if not len(finite):
        return None
    if rule == "median":
        ordered = np.sort(finite)
        # Halved first: the sum of two large numbers is no number.
        return float(ordered[(len(ordered) - 1) // 2] / 2 + ordered[len(ordered) // 2] / 2)
    if rule == "mean":
        return _mean(finite)
    distinct, counts = np.unique(finite, return_counts=True)
    return float(distinct[np.argmax(counts)])


def _mean(finite: Float64s) -> float:
    """Exactly rounded sum over n: it depends on neither the order of rows nor a large partial sum.

    Examples
    --------
    >>> _mean(np.array([1e308, 1e308])), _mean(np.array([1.0, 2.0, 6.0]))
    (1e+308, 3.0)
    """
    mean = math.fsum((finite / 2.0**40).tolist()) / len(finite) * 2.0**40
    return min(max(mean, float(finite.min())), float(finite.max()))


def _quantile(finite: Float64s, share: float) -> float:
    """The smallest value with at least this share of the values at or below it.

    An observed value (definition 1 of Hyndman & Fan 1996): nothing is added up on the way.

    Examples
    --------
    >>> [_quantile(np.arange(1.0, 11.0), share) for share in (0, 0.1, 0.11, 0.5, 1)]
    [1.0, 1.0, 2.0, 5.0, 10.0]
    """
    at = max(math.ceil(share * len(finite)) - 1, 0)
    return float(np.partition(finite, at)[at])


def _categorical(frame: pd.DataFrame, name: str, processing: Processing) -> Feature:
    codes, distinct = texts(column(frame, name), name)
    counts: Counter[str] = Counter()
    for text, count in zip(distinct, _counts(codes, len(distinct)), strict=True):
        counts[text] += count
    feature = Feature(name=name, kind="categorical")
    fill = _text_fill(processing.fill.get(name), counts)
    if fill is not None:
        feature["fill"] = fill
        # Filled rows count: "unknown" is no rare category where many are unknown.
        counts[fill] += int((codes < 0).sum())
    least = processing.rare_below
    feature["categories"] = sorted(text for text, count in counts.items() if count >= least)
    if least:
        feature["other"] = True
    return feature


def _counts(codes: "np.ndarray[tuple[int], np.dtype[np.intp]]", n_texts: int) -> list[int]:
    counts: list[int] = np.bincount(codes[codes >= 0], minlength=n_texts).tolist()
    return counts


def _text_fill(rule: float | str | None, counts: Counter[str]) -> str | None:
    """The text that stands for null; of equally frequent ones the first in the alphabet."""
    if rule == "most_frequent":
        return min(counts, key=lambda text: (-counts[text], text), default=None)
    return None if rule is None else category_text(rule)
