"""Small models to explain: of each task, on rows with gaps, a category and a date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retrue import experiment, lake
from retrue.config import Problem
from retrue.interpretation.explained_model import ExplainedModel, load
from retrue.refs import ModelRef

if TYPE_CHECKING:
    from retrue.refs import BundleRef

MADE_BY = {"code_commit": "c0ffee", "lock_sha256": "1" * 64}
UNTIL = "2024-03-01"


def define(task: str = "binary", **changes: Any) -> Problem:
    """A problem over `rows`; `section__key` names what is different."""
    label = {"binary": "y > 0", "multiclass": "sort", "regression": "y"}[task]
    metric = "squared_error" if task == "regression" else "log_loss"
    cost = {"amount": 1, "unit": "call", "why": "a call"}
    tree: dict[str, Any] = {
        "name": "things",
        "canvas": {
            "question": "Is <b>it</b> so?",
            "decision": "Act",
            "decided_by": "One",
            "cost_false_positive": cost,
            "cost_false_negative": cost,
            "success": "s",
            "baseline": "b",
            "data_sources": ["d"],
            "label": "l",
            "label_known": "k",
        },
        "data": {
            "sources": {"things": {"path": "x.csv"}},
            "main": "things",
            "key": ["id"],
            "time": "at",
        },
        "label": {"task": task, "expression": label},
        "features": {
            "numeric": ["rises", "falls", "noise", "gappy"],
            "categorical": ["kind"],
            "dates": ["since"],
            "text": ["note"],
        },
        "processing": {"flag_missing": ["gappy"], "text_buckets": 4},
        "training": {
            "start": "2024-01-01",
            "until": UNTIL,
            "holdout_days": 14,
            "num_boost_round": 30,
            "num_threads": 1,
            "seed": 7,
            "params": {"num_leaves": 15},
        },
        "gate": {"metric": metric},
        "interpretation": {"n_rows": 150},
    }
    for path, value in changes.items():
        *sections, key = path.split("__")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
    return Problem.model_validate(tree)


def rows(n: int = 1_500, seed: int = 3) -> pd.DataFrame:
    """The label rises with `rises`, falls with `falls`, is high for kind c, and ignores `noise`."""
    rng = np.random.default_rng(seed)
    rises, falls = rng.normal(size=(2, n))
    kind = rng.choice(np.array(["a", "b", "c", None], dtype=object), n)
    gappy = np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n))
    y = 1.5 * rises - falls + 1.0 * (kind == "c") + 0.5 * np.isnan(gappy)
    y = y + 0.4 * rng.normal(size=n)
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "at": pd.date_range("2024-01-01", "2024-02-28", periods=n, tz="UTC"),
            "rises": rises,
            "falls": falls,
            "noise": rng.normal(size=n),
            "gappy": gappy,
            "kind": kind,
            "since": pd.Timestamp("2020-01-01", tz="UTC")
            + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
            "note": rng.choice(["<script>alert(1)</script>", "plain", "more words"], n),
            "y": y,
            "sort": np.select([y < -1, y > 1], ["low", "high"], "middle"),
        }
    )


def fitted(problem: Problem, frame: pd.DataFrame | None = None) -> BundleRef:
    """A bundle under RETRUE_HOME, with its data version in the lake."""
    frame = rows() if frame is None else frame
    data = lake.write_version(problem.name, frame, list(problem.data.key), UNTIL)
    return experiment.fit_bundle(problem, data, MADE_BY)


def as_model(bundle: BundleRef, version: int = 1) -> ModelRef:
    """A registered version without a registry."""
    return ModelRef(problem=bundle.problem, version=version, run_id="run", bundle=bundle)


def opened(problem: Problem, frame: pd.DataFrame | None = None) -> ExplainedModel:
    """A fitted model, opened."""
    return load(fitted(problem, frame), 1)
