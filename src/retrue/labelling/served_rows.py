"""The rows that the service answered, as a source table: with late labels they train a model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from retrue.errors import BundleError
from retrue.home import bundles_dir
from retrue.labelling.label_keys import canonical, is_time
from retrue.prediction_table import read_predictions
from retrue.serving.bundle import Signature, read_bundle
from retrue.serving.features import category_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EVER = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Served:
    """Served rows, one a key, and how many were left out: a key again, or sent without its key."""

    frame: pd.DataFrame
    n_doubles: int
    n_without_key: int


def served_rows(problem_name: str) -> pd.DataFrame:
    """Rows that the service answered and that were collected; see `served`."""
    return served(problem_name).frame


def served(problem_name: str) -> Served:
    """Rows that the service answered, as far as they were collected into the lake.

    Returns
    -------
    Served
        Columns: those of the key, the time column, the features as they were sent. Numbers are
        int64 (float64 where one is missing or has decimals), text and categorical features are
        category, times are datetime64[us, UTC]. Of several answers to one key the first counts.
        Rows in order of their time; no rows and no columns before the first answer.

    Raises
    ------
    BundleError
        The bundle that answered last is not there or is damaged: it knows the time and the kinds.
    """
    rows = with_keys(read_predictions(problem_name, *_EVER))
    if rows.empty:
        return Served(pd.DataFrame(), 0, 0)
    is_keyed = rows["key"].notna()
    # Without a key in the definition no row has one, and each stands for itself.
    keyed = rows[is_keyed] if is_keyed.any() else rows
    first = keyed.sort_values(["received_at_us", "prediction_id"])
    if is_keyed.any():
        first = first.drop_duplicates("key")
    first = first.sort_values(["event_time", "key", "row"], kind="stable").reset_index(drop=True)
    newest = rows["bundle_sha256"].iloc[int(rows["received_at_us"].argmax())]
    frame = table(first, signature(problem_name, newest))
    return Served(frame, len(keyed) - len(first), len(rows) - len(keyed))


def with_keys(predictions: pd.DataFrame) -> pd.DataFrame:
    """Predictions with their keys in the one form that labels have."""
    keys = pd.Series(map(canonical, predictions["key"]), predictions.index, object)
    return predictions.assign(key=keys)


@lru_cache(maxsize=64)
def signature(problem_name: str, bundle_sha256: str) -> Signature:
    """Signature of a bundle that served; BundleError if it is not there any more."""
    found = read_bundle(bundles_dir(problem_name) / bundle_sha256[:16], bundle_sha256).signature
    if found.problem != problem_name:
        expected = f"a bundle of {problem_name}"
        raise BundleError(expected, found.problem, bundle_sha256, "fetch the bundle again")
    return found


def table(rows: pd.DataFrame, made_for: Signature) -> pd.DataFrame:
    """Predictions (columns `key`, `row`, `event_time`) as typed columns; see `served`."""
    keys = _decoded(rows["key"].fillna("{}"))
    sent = _decoded(rows["row"])
    kinds = {feature["name"]: feature["kind"] for feature in made_for.features}
    columns: dict[str, Any] = {}
    for name in dict.fromkeys([*_names(keys), made_for.time, *_names(sent)]):
        if name is None:
            continue
        if name == made_for.time:
            columns[name] = rows["event_time"]
            continue
        # A feature that is part of the key is taken as it was sent.
        pairs = zip(sent, keys, strict=True)
        values = [row[name] if name in row else key.get(name) for row, key in pairs]
        columns[name] = _column(values, kinds.get(name))
    return pd.DataFrame(columns)


def _column(values: Sequence[Any], kind: str | None) -> pd.Series[Any]:
    """JSON values as one of: int64, float64, datetime64[us, UTC], category of text."""
    known = [value for value in values if value is not None]
    is_text = kind in ("categorical", "text")
    if not is_text and not any(isinstance(value, str) for value in known):
        try:
            return _numbers(values, known)
        except OverflowError:  # as an id may be: then its digits count
            pass
    elif not is_text and all(isinstance(value, str) and is_time(value) for value in known):
        try:
            times = pd.to_datetime(pd.Series(values, dtype=object), utc=True, format="ISO8601")
            return times.astype("datetime64[us, UTC]")
        except ValueError:  # no such day, or beyond what pandas counts
            pass
    texts = [None if value is None else category_text(value) for value in values]
    return pd.Series(pd.Categorical(texts, sorted({text for text in texts if text is not None})))


def _numbers(values: Sequence[Any], known: Sequence[Any]) -> pd.Series[Any]:
    if len(known) == len(values) and all(isinstance(value, int) for value in known):
        return pd.Series(np.array(values, np.int64))
    return pd.Series([np.nan if value is None else float(value) for value in values], dtype=float)


def _decoded(texts: pd.Series[Any]) -> list[Mapping[str, Any]]:
    decoded: list[Mapping[str, Any]] = msgspec.json.decode("[" + ",".join(texts) + "]")
    return decoded


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    # Versions differ in their features; the names of all of them, in order of appearance.
    return list(dict.fromkeys(name for row in rows for name in row))
