"""What an answer costs: Retrue's server beside MLServer, mlflow and BentoML, in one run.

`python -m bench.serving [--seconds 10] [--connections 16] [--repeats 3] [--json]` writes
`bench/results/serving.json`. All servers have one booster and the same rows; they take turns. With
one row a request a server has one core and the client the other; with 1,000, where the client needs
a fiftieth of a core, a server has both, from its start on: by then it chooses its threads.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from bench.clock import cpu_s_of
from bench.load import Load, ask, http_request, put_load
from bench.serving_peers import PEERS, install, versions
from retrue.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from retrue.refs import BundleRef

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "bench" / "results" / "serving.json"
SERVER_CORE, CLIENT_CORE = 0, 1
SIZES = (1, 1000)
SERVER_CORES = {1: {SERVER_CORE}, 1000: {SERVER_CORE, CLIENT_CORE}}
# Different rows, so that nobody answers from a cache; few enough to be prepared at once.
N_REQUESTS = {1: 500, 1000: 8}
START_DEADLINE_S = 120.0
TARGETS = {
    "rps_vs_mlserver_log_on": 6.0,
    "rps_vs_mlserver_log_off": 10.0,
    "rows_per_s_vs_mlserver_1000": 1.0,
}
LOG_ON, LOG_OFF = "retrue, log on", "retrue, log off"
RECORDS = "retrue, rows, log off"
OURS = (LOG_ON, LOG_OFF, RECORDS)


@dataclass(frozen=True)
class Way:
    """A running server and its requests."""

    name: str
    port: int
    pid: int
    requests: list[bytes]
    scores: Callable[[Any], list[float]]


@dataclass(frozen=True)
class Sample:
    """One turn of one server."""

    load: Load
    server_cpu_s: float
    resident_mb: float


def main() -> None:
    """Measure, write the result file, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    console = Console(stderr=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    load_before = os.getloadavg()
    samples: dict[tuple[str, int], list[Sample]] = {}
    left_out: dict[str, str] = {}
    n_logged = 0
    with tempfile.TemporaryDirectory(prefix="retrue-bench-") as name:
        rows = flights_rows(Path(name))
        os.sched_setaffinity(0, {CLIENT_CORE})
        for size in SIZES:
            folder = Path(name) / f"{size}"
            folder.mkdir()
            with ExitStack() as running:
                ways = _start(folder, size, rows, left_out, running, console)
                for way in ways:
                    _insist_same(way, size, rows)
                samples |= _measure(ways, size, options, console)
            n_logged += _logged(folder)
    n_answers = sum(size * one.load.n_answers for size in SIZES for one in samples[LOG_ON, size])
    if n_logged < n_answers:
        raise RuntimeError(f"{n_answers} rows answered and only {n_logged} in the log")
    result = {
        "bench": "serving",
        "ratios": _ratios(samples),
        "conditions": {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": options.seconds,
            "connections": options.connections,
            "repeats": options.repeats,
            "cores": os.cpu_count(),
            "load_average_before": load_before,
            "load_average_after": os.getloadavg(),
            "python": platform.python_version(),
            "n_columns": len(rows.columns),
            "n_trees": rows.booster.num_trees(),
            "rows_in_the_log": n_logged,
            "left_out": left_out,
            "versions": {name: version(name) for name in ("lightgbm", "starlette", "uvicorn")},
            "versions_of_peers": {
                one.name: versions(one) for one in PEERS if one.name not in left_out
            },
            "medians": {f"{name}, {size}": _medians(s) for (name, size), s in samples.items()},
            "samples": {
                f"{name}, {size}": [asdict(one) for one in found]
                for (name, size), found in samples.items()
            },
        },
    }  # fmt: skip
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if options.json:
        print(json.dumps(result))
    else:
        _show(result, samples)


@dataclass(frozen=True)
class Rows:
    """Rows without missing values: as a client has them, and as LightGBM wants them."""

    bundle: BundleRef
    booster: Any
    columns: list[str]
    plain: list[dict[str, Any]]
    matrix: list[list[float]]
    scores: list[float]


def flights_rows(folder: Path) -> Rows:
    """Train on the flights as the configuration says, without a calibrator: peers have none."""
    os.environ["RETRUE_HOME"] = str(folder / "home")
    import lightgbm

    from retrue import bundles, experiment
    from retrue.encoding_frame import encode_frame
    from retrue.lake import read_version
    from retrue.preparation import prepare
    from retrue.problems import load_problem

    problem = load_problem("flights", ROOT)
    training = problem.training.model_copy(update={"calibration": "none"})
    problem = problem.model_copy(update={"training": training})
    data = prepare(problem, date(2013, 4, 1), ROOT).ref
    made_by = {"code_commit": "0" * 40, "lock_sha256": "0" * 64}
    bundle = experiment.fit_bundle(problem, data, made_by)
    text = bundles.read_model_text(bundle)
    features = bundles.read_signature(bundle)["features"]
    names = [feature["name"] for feature in features]
    frame = read_version(data).dropna(subset=names).tail(max(SIZES) * N_REQUESTS[max(SIZES)])
    matrix = encode_frame(frame, features)
    whole = ~np.isnan(matrix).any(axis=1)
    matrix, frame = matrix[whole], frame[whole]
    booster = lightgbm.Booster(model_str=text)
    plain = json.loads(
        frame[names].to_json(orient="records", date_format="iso", double_precision=15)
    )
    scores = np.asarray(booster.predict(matrix)).tolist()
    columns = [f"Column_{i}" for i in range(matrix.shape[1])]
    return Rows(bundle, booster, columns, plain, matrix.tolist(), scores)


def _start(
    folder: Path,
    size: int,
    rows: Rows,
    left_out: dict[str, str],
    running: ExitStack,
    console: Console,
) -> list[Way]:
    """Start every server that can be installed; the others are left out with the reason."""
    from retrue.bundles import read_model_text

    (folder / "model.txt").write_text(read_model_text(rows.bundle))
    cores = SERVER_CORES[size]
    port = free_port()
    argv = [sys.executable, "-m", "retrue.serving", "--bundle", str(rows.bundle.path)]
    argv += ["--sha256", rows.bundle.sha256, "--model-version", "1", "--port", str(port)]
    argv += ["--log-dir", str(folder)]
    pid = running.enter_context(_server(argv, cores, folder, folder / "retrue.log"))

    def requests(path: str, body: Callable[[slice], Any], at: int) -> list[bytes]:
        return [
            http_request(path, json.dumps(body(_slice(rows, size, i))).encode(), at)
            for i in range(N_REQUESTS[size])
        ]

    def plain(part: slice) -> Any:
        return {"dataframe_records": rows.plain[part]}

    def columns(part: slice) -> Any:
        return _tensors(rows.plain[part])

    # Many rows go as MLServer gets them, in the Open Inference Protocol; our columns hold texts.
    path, body = ("/invocations", plain) if size == 1 else ("/v2/models/flights/infer", columns)
    ways = [
        Way(name, port, pid, requests(path + query, body, port), _scores)
        for name, query in ((LOG_ON, ""), (LOG_OFF, "?log=false"))
    ]
    if size > 1:
        by_row = requests("/invocations?log=false", plain, port)
        ways.append(Way(RECORDS, port, pid, by_row, _scores))
    for peer in PEERS:
        if peer.name in left_out:
            continue
        console.log(f"{peer.name}: install and start")
        place = folder / peer.name
        place.mkdir()
        try:
            environment = install(peer)
            port = free_port()
            command = peer.prepare(place, environment, port, rows.columns)
            log = folder / f"{peer.name}.log"
            pid = running.enter_context(_server(command, cores, place, log))

            def encoded(part: slice, peer: Any = peer) -> Any:
                return peer.body(rows.matrix[part], rows.columns)

            asked = requests(peer.path, encoded, port)
            way = Way(peer.name, port, pid, asked, peer.scores)
            _wait(way, log)
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            left_out[peer.name] = str(error)
            console.log(f"{peer.name} is left out: {error}")
        else:
            ways.append(way)
    for way in ways[:2]:
        _wait(way, folder / "retrue.log")
    return ways


def _tensors(rows: Sequence[dict[str, Any]]) -> Any:
    """One tensor a column."""
    inputs = [
        {
            "name": name,
            "shape": [len(rows)],
            "datatype": "BYTES" if isinstance(value, str) else "FP64",
            "data": [row[name] for row in rows],
        }
        for name, value in rows[0].items()
    ]
    return {"inputs": inputs}


def _scores(answer: Any) -> list[float]:
    found = answer["outputs"][0]["data"] if "outputs" in answer else answer["predictions"]
    return list(found)


@contextmanager
def _server(argv: Sequence[str], cores: set[int], folder: Path, log: Path) -> Iterator[int]:
    """A process group on its cores; its pid. It is ended with all it started."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", ",".join(map(str, sorted(cores))), *argv],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            # Commands of the peer's environment before ours: servers start more of themselves.
            env={**os.environ, "PATH": f"{Path(argv[0]).parent}:{os.environ['PATH']}"}
            | {"BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true"},
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _slice(rows: Rows, size: int, number: int) -> slice:
    start = number * size % (len(rows.plain) - size + 1)
    return slice(start, start + size)


def _wait(way: Way, log: Path) -> None:
    end = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            ask(way.port, way.requests[0])
            return
        except (OSError, RuntimeError) as error:
            if time.monotonic() >= end or not psutil.pid_exists(way.pid):
                raise RuntimeError(f"{error}; {log.read_text()[-1500:]}") from error
            time.sleep(0.25)


def _insist_same(way: Way, size: int, rows: Rows) -> None:
    """Every request's answer holds the booster's own scores."""
    for number, request in enumerate(way.requests):
        found = way.scores(json.loads(ask(way.port, request)))
        wanted = rows.scores[_slice(rows, size, number)]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12, err_msg=way.name)


def _measure(
    ways: Sequence[Way], size: int, options: argparse.Namespace, console: Console
) -> dict[tuple[str, int], list[Sample]]:
    """All servers by turns, the order moved on each time; the first round is not counted."""
    samples: dict[tuple[str, int], list[Sample]] = {}
    for turn in range(options.repeats + 1):
        first = turn % len(ways)
        for way in [*ways[first:], *ways[:first]]:
            seconds = options.seconds if turn else min(2.0, options.seconds)
            before = cpu_s_of([way.pid])
            load = put_load(way.port, way.requests, options.connections, seconds)
            sample = Sample(load, cpu_s_of([way.pid]) - before, _resident_mb(way.pid))
            console.log(
                f"{turn or 'warm-up'} {way.name}, {size} a request: {load.per_s:,.0f}/s,"
                f" p50 {load.p50_ms:.2f} ms, p99 {load.p99_ms:.2f} ms,"
                f" client {load.client_cpu_s / load.wall_s:.0%} of its core"
            )
            if turn:
                samples.setdefault((way.name, size), []).append(sample)
    return samples


def _resident_mb(pid: int) -> float:
    """Of a server and its workers; memory they share counts once."""
    root = psutil.Process(pid)
    parts = (root, *root.children(recursive=True))
    return float(sum(one.memory_full_info().pss for one in parts)) / 1e6


def _logged(logs: Path) -> int:
    from retrue.serving.log_reading import read_after

    return sum(len(read_after(log, 0)) for log in logs.glob("*.sqlite"))


def _medians(samples: Sequence[Sample]) -> dict[str, float]:
    def median(read: Callable[[Sample], float]) -> float:
        return float(statistics.median(map(read, samples)))

    return {
        "per_s": median(lambda one: one.load.per_s),
        "p50_ms": median(lambda one: one.load.p50_ms),
        "p99_ms": median(lambda one: one.load.p99_ms),
        "server_cpu_ms": median(lambda one: 1000 * one.server_cpu_s / one.load.n_answers),
        "client_cpu": median(lambda one: one.load.client_cpu_s / one.load.wall_s),
        "resident_mb": median(lambda one: one.resident_mb),
    }


def _ratios(samples: dict[tuple[str, int], list[Sample]]) -> dict[str, float]:
    """Retrue over each peer: more is better, but for p99."""
    found: dict[str, float] = {}
    ours = {key: _medians(one) for key, one in samples.items() if key[0] in (LOG_ON, LOG_OFF)}
    for name in dict.fromkeys(name for name, _ in samples if name not in OURS):
        one, many = _medians(samples[name, 1]), _medians(samples[name, 1000])
        found |= {
            f"rps_vs_{name}_log_on": ours[LOG_ON, 1]["per_s"] / one["per_s"],
            f"rps_vs_{name}_log_off": ours[LOG_OFF, 1]["per_s"] / one["per_s"],
            f"p99_vs_{name}_log_on": ours[LOG_ON, 1]["p99_ms"] / one["p99_ms"],
            f"rows_per_s_vs_{name}_1000": ours[LOG_ON, 1000]["per_s"] / many["per_s"],
            f"rows_per_s_vs_{name}_1000_log_off": ours[LOG_OFF, 1000]["per_s"] / many["per_s"],
        }
    return found


def _show(result: dict[str, Any], samples: dict[tuple[str, int], list[Sample]]) -> None:
    console = Console()
    given = result["conditions"]
    before, after = given["load_average_before"][0], given["load_average_after"][0]
    table = Table(
        title=f"medians of {given['repeats']} turns of {given['seconds']:g} s,"
        f" {given['connections']} connections; load {before:.1f} before, {after:.1f} after"
    )
    columns = ("rows", "", "requests/s", "rows/s", "p50 ms", "p99 ms", "server CPU ms", "MB")
    for name in (*columns, "client CPU"):
        table.add_column(name, justify="left" if name == "" else "right", no_wrap=name == "")
    for (name, size), found in sorted(samples.items(), key=lambda item: item[0][1]):
        one = _medians(found)
        table.add_row(
            f"{size:,}",
            name,
            f"{one['per_s']:,.0f}",
            f"{one['per_s'] * size:,.0f}",
            f"{one['p50_ms']:.2f}",
            f"{one['p99_ms']:.2f}",
            f"{one['server_cpu_ms']:.3f}",
            f"{one['resident_mb']:.0f}",
            f"{one['client_cpu']:.0%}",
        )
    console.print(table)
    ratios = Table(title="retrue / peer")
    for name in ("ratio", "", "target"):
        ratios.add_column(name, justify="left" if name == "ratio" else "right")
    for name, value in result["ratios"].items():
        target = f">= {TARGETS[name]:g}" if name in TARGETS else ""
        target = "< 1" if name.startswith("p99") else target
        ratios.add_row(name, f"{value:.2f}", target)
    console.print(ratios)
    for name, reason in given["left_out"].items():
        console.print(f"{name} was left out: {reason}", style="yellow")


if __name__ == "__main__":
    main()
