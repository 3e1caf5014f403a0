"""The rows that one model version answered in a window, with its scores and what is known of them.

A row of another version's answer says nothing of this one, and a model that was trained on a row
would look too good on it: only what a version itself answered counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retrue import bundles, splits
from retrue.days import midnight
from retrue.errors import DataError
from retrue.home import bundles_dir
from retrue.labelling import label_expression, labels
from retrue.labelling.label_expression import LATE_LABEL
from retrue.labelling.label_keys import key_texts
from retrue.labelling.served_rows import signature, table, with_keys
from retrue.lake import latest_version, read_version
from retrue.prediction_table import read_predictions
from retrue.refs import BundleRef
from retrue.serving.features import category_text

if TYPE_CHECKING:
    from datetime import date

    from retrue.config import Problem
    from retrue.metrics import Array
    from retrue.serving.bundle import Signature


@dataclass(frozen=True)
class Answered:
    """Rows that a version answered, one a key, in order of their time."""

    rows: pd.DataFrame
    """As they were logged, with keys in the one form that labels have."""
    score: Array
    """Shape (n_rows,), or (n_rows, n_classes) for several classes."""
    days: Array
    bundle: BundleRef
    signature: Signature

    @property
    def keys(self) -> pd.Series[str]:
        """In the one form that labels have; missing where a row was sent without its key."""
        keys: pd.Series[str] = self.rows["key"]
        return keys

    @cached_property
    def features(self) -> pd.DataFrame:
        """Key, time and features as they were sent; without labels nobody asks for them."""
        return table(self.rows, self.signature)


def read(problem: Problem, model_version: int, since: date, until: date) -> Answered | None:
    """Read what a version answered from `since` to `until` (exclusive); None if it was nothing.

    Of several answers to one key the first counts, as in `retrue.labelling.served_rows`. Binary
    scores and predicted values are those of the log. Of several classes it holds the likeliest
    one's alone, so the bundle scores these rows again, to the same bit.

    Raises
    ------
    BundleError
        The bundle that answered is not there or is damaged.
    """
    rows = with_keys(read_predictions(problem.name, midnight(since), midnight(until)))
    rows = rows[rows["model_version"] == model_version]
    if rows.empty:
        return None
    rows = rows.sort_values(["received_at_us", "prediction_id"])
    rows = rows[rows["key"].isna() | ~rows["key"].duplicated()]
    rows = rows.sort_values(["event_time", "key", "row"], kind="stable").reset_index(drop=True)
    sha256 = rows["bundle_sha256"].iloc[-1]
    made_for = signature(problem.name, sha256)
    path = bundles_dir(problem.name) / sha256[:16]
    bundle = BundleRef(problem=problem.name, path=path, sha256=sha256)
    if made_for.task == "multiclass":
        score = bundles.score_with(bundle, table(rows, made_for), made_for.classes)
    else:
        score = rows["score"].to_numpy(np.float64)
    days = rows["event_time"].to_numpy("datetime64[D]")
    return Answered(rows, score, days, bundle, made_for)


def known_labels(problem: Problem, now: datetime) -> pd.DataFrame:
    """What the label is made from, by key, as the world knows it at `now`.

    Late labels: the newest ones known by then. Others: the columns of the label in the newest data
    version, of rows old enough for `label.known_after_days`.

    Returns
    -------
    DataFrame
        Its index holds keys in the one form, each once. Empty where there is nothing yet, and where
        the problem has no key to find a row by.
    """
    nothing = pd.DataFrame(index=pd.Index([], dtype=object))
    if not problem.data.key:
        return nothing
    if problem.label.late:
        known = labels.as_known_at(problem.name, now)
        values = known["value"].tolist()
        if any(isinstance(value, str) for value in values):
            values = [category_text(value) for value in values]
        return pd.DataFrame({LATE_LABEL: values}, pd.Index(known["key"], dtype=object))
    newest = latest_version(problem.name)
    if newest is None:
        return nothing
    read_columns = label_expression.columns(problem.label.expression)
    time = [problem.data.time] if problem.data.time else []
    columns = list(dict.fromkeys([*problem.data.key, *time, *read_columns]))
    frame = read_version(newest, columns)
    if problem.data.time:
        known_after = pd.Timedelta(days=problem.label.known_after_days)
        newest_known = min(pd.Timestamp(newest.until, tz="UTC"), pd.Timestamp(now)) - known_after
        frame = frame[frame[problem.data.time] < newest_known]
    keys = pd.Index(key_texts(frame, problem.data.key), dtype=object)
    found = frame[list(read_columns)].set_axis(keys)
    return found[keys.notna() & ~keys.duplicated()]


def labels_of(problem: Problem, rows: Answered, known: pd.DataFrame) -> Array:
    """Labels of answered rows as `retrue.splits.target` gives them, NaN where none is known.

    Raises
    ------
    ConfigError, DataError, TrainingError
        The label reads a column that was not served, or a value that cannot be a label.
    """
    y = np.full(len(rows.keys), np.nan)
    if known.empty:
        return y
    read_columns = label_expression.columns(problem.label.expression)
    frame = known.reindex(pd.Index(rows.keys, dtype=object)).reset_index(drop=True)
    for name in read_columns:
        if name not in frame:
            if name not in rows.features:
                raise DataError(
                    "a label made from late labels and served columns",
                    f"column {name}, which is not served",
                    f"{problem.name}, label.expression",
                    "label the rows by late_label alone to have their performance realised",
                )
            frame[name] = rows.features[name]
    is_known = label_expression.evaluate(problem.label.expression, frame).notna().to_numpy()
    if is_known.any():
        y[is_known] = splits.target(frame[is_known], problem, tuple(rows.signature.classes))
    return y
