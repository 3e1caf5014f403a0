"""Served rows as a drift check reads them: batch by batch, with scores, labels and attributions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from retrue import bundles
from retrue.drift import outputs
from retrue.errors import TrainingError
from retrue.interpretation import explained_model
from retrue.interpretation.ranking import ndcg
from retrue.labelling import labels as late_labels
from retrue.labelling.label_expression import LATE_LABEL, columns
from retrue.labelling.served_rows import with_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from retrue.config import Problem
    from retrue.refs import BundleRef

# Some 100 MB of decoded rows at a time.
_BATCH_ROWS = 50_000


def batches(served: pd.DataFrame, names: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
    """Decoded rows, `names` of their columns or all, a part at a time; none without rows."""
    for start in range(0, len(served), _BATCH_ROWS):
        texts = served["row"].iloc[start : start + _BATCH_ROWS]
        rows = msgspec.json.decode("[" + ",".join(texts) + "]")
        yield pd.DataFrame.from_records(rows, columns=None if names is None else list(names))


def scores(served: pd.DataFrame, bundle: BundleRef) -> pd.Series[Any]:
    """Scores of the rows that this bundle answered; the decisions, where there are classes."""
    mine = served[served["bundle_sha256"] == bundle.sha256]
    classes = bundles.read_signature(bundle)["classes"]
    if classes:
        return outputs.decisions(mine["decision"], classes)
    return mine["score"]


def labels(problem: Problem, served: pd.DataFrame, until: datetime) -> pd.Series[Any] | None:
    """Late labels of the rows, as far as the world knew them when they were due.

    None where labels do not come late, or the expression needs more than the label and the row.
    """
    if not problem.label.late:
        return None
    moment = until + timedelta(days=problem.label.known_after_days)
    known = late_labels.as_known_at(problem.name, moment).set_index("key")["value"]
    keyed = with_keys(served)
    keyed = keyed[keyed["key"].isin(known.index)].drop_duplicates("key")
    if keyed.empty:
        return None
    frame = pd.concat(list(batches(keyed)), ignore_index=True)
    values = known.reindex(keyed["key"])
    is_text = any(isinstance(value, str) for value in values)
    frame[LATE_LABEL] = values.to_numpy(object if is_text else np.float64)
    if any(name not in frame.columns for name in columns(problem.label.expression)):
        return None
    return outputs.labels(problem, frame)


def attributions(problem: Problem, bundle: BundleRef, served: pd.DataFrame) -> float | None:
    """Agreement (nDCG) of the features' ranking by mean |SHAP| with the reference's, 0 to 1.

    Of at most `interpretation.n_rows` rows a side. None without rows, or with trees that SHAP does
    not explain.
    """
    if served.empty:
        return None
    n, seed = problem.interpretation.n_rows, problem.interpretation.seed
    now = pd.concat(list(batches(served.sample(min(n, len(served)), random_state=seed))))
    before = bundles.read_reference(bundle)
    before = before.sample(min(n, len(before)), random_state=seed)
    model = explained_model.load(bundle, problem.training.num_threads)
    try:
        sides = [
            np.abs(model.contributions(model.encode(frame))[0]).mean(axis=0).sum(axis=0)
            for frame in (before, now.reindex(columns=before.columns))
        ]
    except TrainingError:
        return None
    return float(ndcg(*sides))
