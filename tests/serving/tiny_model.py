"""A tiny real model in a real bundle, and real servers of it."""

import hashlib
import json
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import lightgbm
import numpy as np
import pandas as pd

from retrue.config import Features, Processing
from retrue.encoding_frame import encode_frame, fit_features
from retrue.serving.features import width

FEATURES = Features(numeric=("temp", "wind", "hour"), categorical=("carrier", "origin"))
RICH = Features(
    numeric=("temp", "wind"), categorical=("carrier", "origin"), dates=("time",), text=("note",)
)
"""Features that become several columns each, with `RICH_PROCESSING`."""
RICH_PROCESSING = Processing(flag_missing=("temp",), text_buckets=8)
CLASSES = ["early", "late", "on time"]


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
        "problem": "tiny",
        "data": {"problem": "tiny", "path": "lake", "version": 0, "sha256": "0" * 64},
        "code_commit": "0" * 40,
        "lock_sha256": "0" * 64,
        "seed": 7,
        "files": files,
    }
    content = json.dumps(manifest, sort_keys=True).encode()
    (folder / "manifest.json").write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def make_frame(n_rows: int, seed: int) -> pd.DataFrame:
    """Rows with nulls in every column and carriers that a small sample lacks."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "time": pd.Timestamp("2013-01-01", tz="UTC")
            + pd.to_timedelta(np.arange(n_rows), unit="min"),
            "flight": np.arange(n_rows),
            "temp": np.where(random.random(n_rows) < 0.2, np.nan, random.normal(50, 20, n_rows)),
            "wind": random.gamma(2, 5, n_rows),
            "hour": random.integers(0, 24, n_rows),
            "carrier": random.choice(np.array(["UA", "AA", "B6", "DL", None], object), n_rows),
            "origin": random.choice(["EWR", "JFK", "LGA"], n_rows),
        }
    )
    noise = random.normal(0, 1, n_rows)
    late = (frame["hour"] / 12 + (frame["carrier"] == "UA") + frame["wind"] / 20 + noise) > 2.5
    return frame.assign(
        late=late.astype(int),
        note=[f"gate {one}" for one in frame["carrier"]],
        state=np.select([late, frame["hour"] < 6], ["late", "early"], "on time"),
    )


def json_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as a client would send them: null for missing, ISO timestamps, exact floats."""
    texts = frame.assign(time=frame["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")).astype(object)
    values = texts.where(texts.notna(), None).to_numpy().tolist()
    return [dict(zip(frame.columns, row, strict=True)) for row in values]


def predict(booster: lightgbm.Booster, matrix: Any) -> list[Any]:
    """Scores by lightgbm's own package."""
    scores: list[Any] = np.asarray(booster.predict(matrix)).tolist()
    return scores


@dataclass(frozen=True)
class Made:
    """A bundle folder with the booster and the frame it was made of."""

    path: Path
    sha256: str
    booster: lightgbm.Booster
    features: list[Any]
    frame: pd.DataFrame

    def scores(self, frame: pd.DataFrame) -> list[Any]:
        """What lightgbm's own package predicts."""
        return predict(self.booster, encode_frame(frame, self.features))


def make_bundle(
    path: Path,
    seed: int = 7,
    task: str = "binary",
    wanted: Features = FEATURES,
    processing: Processing | None = None,
    objective: str | None = None,
) -> Made:
    """Train a tiny model and write its bundle into the new folder `path`."""
    frame = make_frame(600, seed)
    features = fit_features(frame, wanted, processing or Processing())
    matrix = encode_frame(frame, features)
    starts = np.cumsum([0, *map(width, features)])
    categorical = [
        int(at) for at, f in zip(starts, features, strict=False) if f["kind"] == "categorical"
    ]
    labels = {
        "binary": frame["late"],
        "multiclass": frame["state"].map(CLASSES.index),
        "regression": frame["wind"] + frame["hour"],
    }[task].to_numpy()
    data = lightgbm.Dataset(matrix, labels, categorical_feature=categorical, free_raw_data=True)
    params = {"objective": objective or task, "verbosity": -1, "num_leaves": 7, "num_threads": 1}
    classes = CLASSES if task == "multiclass" else []
    params |= {"num_class": len(classes) or 1, "seed": seed, "min_data_per_group": 5}
    booster = lightgbm.train(params, data, 20)
    path.mkdir(parents=True)
    (path / "model.txt").write_text(booster.model_to_string())
    signature = {
        "problem": "tiny",
        "features": features,
        "key": ["time", "flight"],
        "time": "time",
        "threshold": 0.5,
        "label": "late arrival",
        "task": task,
        "classes": classes,
    }
    (path / "signature.json").write_text(json.dumps(signature))
    golden = frame.head(20)
    scores = predict(booster, encode_frame(golden, features))
    (path / "golden.json").write_text(json.dumps({"rows": json_rows(golden), "scores": scores}))
    (path / "metrics.json").write_text("{}")
    (path / "reference.parquet").write_bytes(b"not read by the server")
    return Made(path, write_manifest(path), booster, features, frame)


@dataclass(frozen=True)
class Server:
    """A running server process."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    errors: Path
    """What it wrote on stderr."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> dict[str, Any]:
        """JSON of a GET request."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            content: dict[str, Any] = json.load(answer)
        return content

    def post(self, body: Any, path: str = "/invocations") -> tuple[int, dict[str, Any]]:
        """Status and JSON of a POST request; bytes are sent as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            with error:
                return error.code, json.load(error)

    def stop(self) -> int:
        """SIGTERM; the exit code comes out."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


Start = Callable[..., Server]
