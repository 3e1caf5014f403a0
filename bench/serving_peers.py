"""Servers that Retrue's is measured beside, each in an environment of its own, as tutorials say.

They get the matrix that LightGBM wants, where Retrue gets the rows a client has and encodes them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from uv import find_uv_bin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "retrue-bench"
INSTALL_DEADLINE_S = 600.0
_LIGHTGBM = "lightgbm==4.7.0"

Row = list[float]


@dataclass(frozen=True)
class Peer:
    """How to install, start and ask one server."""

    name: str
    requirements: tuple[str, ...]
    path: str
    prepare: Callable[[Path, Path, int, Sequence[str]], list[str]]
    """Writes its files: folder, environment, port and names of the columns in, command out."""
    body: Callable[[Sequence[Row], Sequence[str]], Any]
    scores: Callable[[Any], list[float]]


class Installable(Protocol):
    """Packages that go into one environment."""

    @property
    def name(self) -> str:
        """Of the environment."""

    @property
    def requirements(self) -> tuple[str, ...]:
        """With their versions, which a marker in the environment repeats."""


def install(peer: Installable) -> Path:
    """The folder of the peer's environment, made once.

    Raises
    ------
    RuntimeError
        It cannot be installed; the reason is in the message.
    """
    place = CACHE / peer.name
    marker = place / "installed.json"
    wanted = json.dumps(peer.requirements)
    if marker.is_file() and marker.read_text() == wanted:
        return place
    uv = find_uv_bin()
    for argv in (
        [uv, "venv", "--quiet", "--clear", "--python", "3.11", str(place)],
        [uv, "pip", "install", "--quiet", "--python", str(place), *peer.requirements],
    ):
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, timeout=INSTALL_DEADLINE_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"not installed within {INSTALL_DEADLINE_S:g} s") from error
        if done.returncode:
            raise RuntimeError(done.stderr.strip()[-500:] or "a failed installation")
    marker.write_text(wanted)
    return place


def versions(peer: Installable) -> dict[str, str]:
    """Versions of the packages named, as installed."""
    names = [re.split(r"[\[<=]", one)[0] for one in peer.requirements]
    code = (
        "import importlib.metadata as m, json, sys\n"
        "print(json.dumps({name: m.version(name) for name in sys.argv[1:]}))"
    )
    argv = [str(CACHE / peer.name / "bin/python"), "-c", code, *names]
    found: dict[str, str] = json.loads(subprocess.check_output(argv, text=True))
    return found


def _mlserver(folder: Path, place: Path, port: int, _: Sequence[str]) -> list[str]:
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_port": port + 2,
        "debug": False,
        # Inference in the server's own process. By default it is in a worker process beside it,
        # which costs 2.5 times the CPU (and does not start with uvloop 0.22 or later). With two
        # cores LightGBM scores many rows in two threads.
        "parallel_workers": 0,
    }
    model = {
        "name": "flights",
        "implementation": "mlserver_lightgbm.LightGBMModel",
        "parameters": {"uri": "../model.txt", "version": "1"},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    return [str(place / "bin/mlserver"), "start", str(folder)]


def _mlserver_body(rows: Sequence[Row], _: Sequence[str]) -> Any:
    shape = [len(rows), len(rows[0])]
    data = [value for row in rows for value in row]
    return {"inputs": [{"name": "rows", "shape": shape, "datatype": "FP64", "data": data}]}


def _mlflow(folder: Path, place: Path, port: int, columns: Sequence[str]) -> list[str]:
    code = (
        "import json, sys, lightgbm, mlflow.lightgbm\n"
        "booster = lightgbm.Booster(model_file='../model.txt')\n"
        "mlflow.lightgbm.save_model(booster, 'model', pip_requirements=['lightgbm'])\n"
    )
    argv = [str(place / "bin/python"), "-c", code]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    command = [str(place / "bin/mlflow"), "models", "serve", "--model-uri", str(folder / "model")]
    return [*command, "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]


def _mlflow_body(rows: Sequence[Row], columns: Sequence[str]) -> Any:
    return {"dataframe_split": {"columns": list(columns), "data": list(rows)}}


_BENTO_SERVICE = """import bentoml
import lightgbm
import numpy as np


@bentoml.service
class Flights:
    def __init__(self) -> None:
        self.booster = lightgbm.Booster(model_file="../model.txt")

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.booster.predict(rows)
"""


def _bentoml(folder: Path, place: Path, port: int, _: Sequence[str]) -> list[str]:
    (folder / "service.py").write_text(_BENTO_SERVICE)
    command = [str(place / "bin/bentoml"), "serve", "service:Flights", "--host", "127.0.0.1"]
    return [*command, "--port", str(port), "--working-dir", str(folder)]


PEERS = (
    Peer(
        "mlserver",
        ("mlserver==1.7.1", "mlserver-lightgbm==1.7.1", _LIGHTGBM),
        "/v2/models/flights/infer",
        _mlserver,
        _mlserver_body,
        lambda answer: [float(one) for one in answer["outputs"][0]["data"]],
    ),
    Peer(
        "mlflow",
        ("mlflow==3.17.2", _LIGHTGBM),
        "/invocations",
        _mlflow,
        _mlflow_body,
        lambda answer: list(answer["predictions"]),
    ),
    Peer(
        "bentoml",
        ("bentoml==1.4.40", _LIGHTGBM),
        "/predict",
        _bentoml,
        lambda rows, _: {"rows": list(rows)},
        list,
    ),
)
