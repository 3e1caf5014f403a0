"""A table with something of everything, and the problem that explores it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from retrue.config import Problem

HOSTILE = "<script>alert(1)</script>"


def problem(**changes: Any) -> Problem:
    """A binary problem over `table`; dotted keys replace parts of it."""
    cost = {"amount": 1, "unit": "call", "why": "x"}
    canvas = dict.fromkeys(("question", "decision", "decided_by", "success", "baseline"), "x")
    tree: dict[str, Any] = {
        "name": "things",
        "canvas": {
            **canvas,
            "cost_false_positive": cost,
            "cost_false_negative": cost,
            "data_sources": ["x"],
            "label": "x",
            "label_known": "x",
        },
        "data": {"sources": {"main": {"path": "x.csv"}}, "main": "main"},
        "label": {"expression": "y > 0"},
        "features": {"numeric": ["strong", "weak"], "categorical": ["kind"]},
        "training": {"num_boost_round": 10, "seed": 7},
    }
    tree["data"] |= {"key": ["id"], "time": "at"}
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            tree[section][name] = value
        else:
            tree[section] = value
    return Problem.model_validate_json(json.dumps(tree))


def table(n_rows: int = 1200, seed: int = 0) -> pd.DataFrame:
    """Rows by the hour: two that predict, one written after the fact, and much that is odd."""
    rng = np.random.default_rng(seed)
    strong = rng.normal(size=n_rows)
    kind = rng.choice(["a", "b", "다른 것"], n_rows)
    y = strong + (kind == "a") + rng.normal(size=n_rows) * 1.5
    frame = pd.DataFrame(
        {
            "id": np.arange(n_rows),
            "at": pd.date_range("2024-01-01", periods=n_rows, freq="h", tz="UTC"),
            "strong": strong,
            "weak": rng.normal(size=n_rows),
            "kind": pd.Categorical(kind),
            "after": y + rng.normal(size=n_rows) * 0.01,
            "온도 <b>": rng.normal(size=n_rows),
            "hostile": np.where(rng.random(n_rows) < 0.5, HOSTILE, '"&quot;'),
            "same": 3,
            "nothing": np.full(n_rows, np.nan),
            "y": y,
        }
    )
    gone = rng.random(n_rows) < 0.1
    frame.loc[gone, ["after", "y"]] = np.nan
    return frame
