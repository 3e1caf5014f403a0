"""A tiny real model in a real bundle, a problem that serves it, and clients that ask for scores."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import threading
from collections.abc import Callable
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

import retrue.serving
from retrue.config import Problem
from retrue.refs import BundleRef

# Each test worker has images of its own, and removes them at its end.
NAME = f"tiny-{os.getpid()}"
BRIEF = {"shadow_s": 0, "canary_s": 0.3, "watch_s": 0.3}
"""Stages that are short, but there."""

ROWS = [{"temp": t / 10 - 2, "wind": w / 4 - 1} for t in range(40) for w in range(8)]


def write_manifest(folder: Path) -> str:
    """Write manifest.json over the files of `folder`; the bundle's SHA-256 comes out."""
    files = {
        file.name: {
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "size_bytes": file.stat().st_size,
        }
        for file in sorted(folder.iterdir())
        if file.name != "manifest.json"
    }
    manifest = {
        "format": 1,
        "problem": NAME,
        "data": {"version": 0, "sha256": "0" * 64},
        "code_commit": "c" * 40,
        "lock_sha256": "0" * 64,
        "seed": 7,
        "files": files,
    }
    content = json.dumps(manifest, sort_keys=True).encode()
    (folder / "manifest.json").write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def make_bundle(
    folder: Path,
    seed: int,
    names: tuple[str, str] = ("temp", "wind"),
    change: Callable[[str], str] = lambda text: text,
) -> BundleRef:
    """Train a tiny model on two columns and write its bundle into `folder`.

    `change` may spoil the model's text; golden rows are such that it still answers by a number.
    """
    random = np.random.default_rng(seed)
    X = random.normal(size=(300, 2))  # noqa: N806 - the field's name for the features
    y = (X[:, 0] + random.normal(size=300) > 0).astype(int)
    params: dict[str, Any] = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(params, lightgbm.Dataset(X, y), 10)
    text = change(booster.model_to_string())
    booster = lightgbm.Booster(model_str=text)
    rows = X[np.isfinite(np.asarray(booster.predict(X)))][:5]
    folder.mkdir(parents=True)
    (folder / "model.txt").write_text(text)
    features = [{"name": name, "kind": "numeric"} for name in names]
    signature: dict[str, Any] = {
        "problem": NAME,
        "features": features,
        "key": ["flight"],
        "time": "time",
    }
    signature |= {"threshold": 0.5, "label": "late"}
    golden: dict[str, Any] = {
        "rows": [dict(zip(names, row, strict=True)) for row in rows.tolist()],
        "scores": np.asarray(booster.predict(rows)).tolist(),
    }
    requirements = Path(retrue.serving.__path__[0]) / "requirements.txt"
    (folder / "signature.json").write_text(json.dumps(signature))
    (folder / "golden.json").write_text(json.dumps(golden))
    (folder / "requirements.txt").write_bytes(requirements.read_bytes())
    pd.DataFrame(X, columns=list(names)).to_parquet(folder / "reference.parquet")
    return BundleRef(problem=NAME, path=folder, sha256=write_manifest(folder))


def make_problem(port: int) -> Problem:
    """A problem of which only name and serving matter here."""
    cost = {"amount": 1, "unit": "hour", "why": "test"}
    texts = ("question", "decision", "decided_by", "success", "baseline", "label", "label_known")
    canvas: dict[str, Any] = dict.fromkeys(texts, "some words")
    content: dict[str, Any] = {
        "name": NAME,
        "canvas": canvas
        | {"cost_false_positive": cost, "cost_false_negative": cost, "data_sources": ["a table"]},
        "data": {
            "sources": {"flights": {"path": "flights.csv"}},
            "main": "flights",
            "key": ["flight"],
            "time": "time",
        },
        "label": {"expression": "delay > 15", "known_after_days": 1},
        "features": {"numeric": ["temp", "wind"]},
        "training": {
            "start": date(2013, 1, 1),
            "until": date(2013, 4, 1),
            "holdout_days": 28,
            "num_boost_round": 10,
            "seed": 7,
        },
        "gate": {},
        "serving": {"port": port, "rollout": BRIEF},
    }
    return Problem.model_validate(content)


def ask(port: int, path: str = "/health", body: bytes | None = None) -> tuple[int, Any]:
    """Status and JSON of one request over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST" if body else "GET", path, body)
        response = connection.getresponse()
        content = response.read()
        return response.status, json.loads(content) if content.startswith(b"{") else content
    finally:
        connection.close()


class Load:
    """Several clients with kept connections that ask without pause, and count what they get."""

    def __init__(self, port: int, n_clients: int = 6) -> None:
        self.port = port
        self.n_answered = 0
        self.lost: list[str] = []
        self.versions: set[int] = set()
        self.scores: dict[int, set[float | None]] = {}
        """Different answers to each of the rows."""
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._clients = [threading.Thread(target=self._ask, args=(n,)) for n in range(n_clients)]

    def __enter__(self) -> Load:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for client in self._clients:
            client.join()

    def _ask(self, first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        for number in count(first):
            if self._end.is_set():
                break
            at = number % len(ROWS)
            body = json.dumps({"dataframe_records": [ROWS[at]]})
            try:
                connection.request("POST", "/invocations", body)
                response = connection.getresponse()
                content = response.read()
                found = None if response.status == 200 else f"{response.status} {content!r}"
            except (OSError, http.client.HTTPException) as error:
                found = repr(error)
                connection.close()
            with self._lock:
                if found is None:
                    answer = json.loads(content)
                    self.n_answered += 1
                    self.versions.add(answer["model_version"])
                    self.scores.setdefault(at, set()).add(answer["predictions"][0])
                else:
                    self.lost.append(found)
        connection.close()
