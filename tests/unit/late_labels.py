"""A problem whose labels arrive late, and predictions that a service of it would have logged."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from retrue.config import Problem
from retrue.home import bundles_dir
from retrue.prediction_table import append_predictions

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
COST = {"amount": 1, "unit": "call", "why": "A call for nothing"}


def day(number: int) -> datetime:
    """A day of February 2024, 00:00 UTC."""
    return datetime(2024, 2, 1, tzinfo=UTC) + timedelta(days=number - 1)


def make_problem(
    task: str = "binary", expression: str = "late_label", key: Any = ("visit",)
) -> Problem:
    """Visits, each with a shop (a text) and an amount, that are late or not."""
    return Problem.model_validate(
        {
            "name": "visits",
            "canvas": {
                "question": "Will the visit be late & <costly>?",
                "decision": "Call ahead",
                "decided_by": "The dispatcher",
                "cost_false_positive": COST,
                "cost_false_negative": COST,
                "success": "Lower log loss",
                "baseline": "No skill",
                "data_sources": ["Visits of 2024"],
                "label": "Late",
                "label_known": "The next day",
            },
            "data": {
                "sources": {"visits": {"served": True}},
                "main": "visits",
                "key": key,
                "time": "at",
            },
            "label": {"task": task, "expression": expression, "late": True},
            "features": {"numeric": ["amount"], "categorical": ["shop"]},
            "training": {
                "start": "2024-02-01",
                "until": "2024-03-01",
                "holdout_days": 7,
                "num_boost_round": 10,
                "seed": 7,
            },
        }
    )


def write_bundle(task: str = "binary", classes: tuple[str, ...] = (), **changes: Any) -> str:
    """A bundle that served: whole, but for a model nobody asks; its SHA-256 comes out."""
    signature = {
        "problem": "visits",
        "features": [
            {"name": "amount", "kind": "numeric"},
            {"name": "shop", "kind": "categorical", "categories": ["A", "B"]},
        ],
        "key": ["visit"],
        "time": "at",
        "threshold": 0.4,
        "label": "Late",
        "task": task,
        "classes": classes,
        **changes,
    }
    files = {
        "model.txt": b"none",
        "signature.json": json.dumps(signature).encode(),
        "golden.json": b'{"rows": [], "scores": []}',
        "metrics.json": b'{"metrics": {"holdout_log_loss": 0.6}}',
    }
    manifest = {
        "format": 1,
        "problem": "visits",
        "data": {},
        "code_commit": "0" * 40,
        "lock_sha256": "0" * 64,
        "seed": 7,
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
            for name, content in files.items()
        },
    }
    payload = json.dumps(manifest).encode()
    sha256 = hashlib.sha256(payload).hexdigest()
    folder = bundles_dir("visits") / sha256[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {**files, "manifest.json": payload}.items():
        (folder / name).write_bytes(content)
    return sha256


def serve(rows: list[dict[str, Any]], bundle_sha256: str, log: str = "1-a.sqlite") -> list[str]:
    """Put answers into the lake as `collect` would; each may say key, row, score, decision and day.

    Returns
    -------
    list of str
        The ids of the predictions.
    """
    records = []
    for number, row in enumerate(rows, start=1):
        key = row.get("key", {"visit": number})
        sent = row.get("row", {"amount": number + 0.5, "shop": "AB"[number % 2]})
        records.append(
            {
                "prediction_id": f"{log}-{number:04d}",
                "received_at_us": number,
                "event_time": day(row.get("day", 1)),
                "key": None if key is None else json.dumps(key),
                "row": json.dumps(sent),
                "score": row.get("score", 0.5),
                "decision": row.get("decision", 1),
                "model_version": 3,
                "bundle_sha256": bundle_sha256,
            }
        )
    frame = pd.DataFrame(records).astype({"event_time": "datetime64[us, UTC]"})
    assert append_predictions("visits", log, len(rows), frame)
    return list(frame["prediction_id"])
