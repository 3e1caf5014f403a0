"""What a drift check costs: cells a CPU-second and memory, beside five peers in one run.

`python -m bench.drift [--rows 100000 1000000] [--json]` writes `bench/results/drift.json`. Each
way has a process of its own; the peers have environments of their own. CPU time is what counts:
wall time would tell what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.drift_run import WAYS
from bench.serving_peers import install, versions

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "bench" / "results" / "drift.json"
N_COLUMNS, N_CATEGORICAL = 20, 6
# The figure was published for so many rows a side; more takes minutes for nothing new.
MAGNITUDE_ROWS = 100_000
DEADLINE_S = 1_800.0
TARGETS = {
    "cells_vs_alibi": 10.0,
    "cells_vs_evidently": 100.0,
    "cells_vs_alibi_with_summary": 5.0,
    "distinct_vs_scipy": 4.0,
    "memory_vs_alibi": 0.1,
    "magnitude_cpu_vs_alibi": 0.25,
}


@dataclass(frozen=True)
class Peer:
    """A library in an environment of its own."""

    name: str
    requirements: tuple[str, ...]


# It imports what pandas 3 no longer has.
EVIDENTLY = Peer("evidently", ("evidently==0.7.23", "pandas<3", "pyarrow"))
PEERS = (
    EVIDENTLY,
    # It imports statsmodels, and does not require it.
    Peer("nannyml", ("nannyml==0.13.1", "statsmodels", "pandas<3", "pyarrow")),
    # Nor does whylogs require pandas.
    Peer("whylogs", ("whylogs[viz]==1.6.4", "numpy<2", "pandas<3", "pyarrow<22")),
)


def main() -> None:
    """Measure, write the result file, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    console = Console(stderr=True)
    load_before = os.getloadavg()
    pythons, left_out = _environments(console)
    sides = _flights()
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="retrue-bench-") as name:
        folder = Path(name)
        for n_rows in options.rows:
            _write(folder, *(_drawn(side, n_rows, i) for i, side in enumerate(sides)))
            ways = [way for way in WAYS if not way.startswith("magnitude")]
            found |= _measure(folder, ways, n_rows, pythons, left_out, console)
            _write(folder, *(_distinct(n_rows, i) for i in range(2)))
            for way in ("native", "scipy"):
                one = _measure(folder, [way], n_rows, pythons, left_out, console)
                found |= {f"{key}, distinct": value for key, value in one.items()}
        n_rows = min(MAGNITUDE_ROWS, max(options.rows))
        _write(folder, *(_drawn(side, n_rows, i) for i, side in enumerate(sides)))
        ways = [way for way in WAYS if way.startswith("magnitude")]
        found |= _measure(folder, ways, n_rows, pythons, left_out, console)
    result = {
        "bench": "drift",
        "ratios": _ratios(found, max(options.rows), n_rows),
        "conditions": {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "rows": options.rows,
            "magnitude_rows": n_rows,
            "n_columns": N_COLUMNS,
            "n_categorical": N_CATEGORICAL,
            "cores": os.cpu_count(),
            "load_average_before": load_before,
            "load_average_after": os.getloadavg(),
            "python": platform.python_version(),
            "left_out": left_out,
            "versions": {
                name: version(name)
                for name in ("alibi-detect", "lightgbm", "numpy", "pandas", "scipy")
            },
            "versions_of_peers": {
                one.name: versions(one) for one in PEERS if one.name not in left_out
            },
            "samples": found,
        },
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if options.json:
        print(json.dumps(result))
    else:
        _show(result, found)


def _environments(console: Console) -> tuple[dict[str, str], dict[str, str]]:
    """The interpreter of each way; those that cannot be installed with the reason."""
    pythons, left_out = dict.fromkeys(WAYS, sys.executable), {}
    for peer in PEERS:
        console.log(f"{peer.name}: install")
        try:
            pythons[peer.name] = str(install(peer) / "bin/python")
        except (RuntimeError, OSError) as error:
            left_out[peer.name] = str(error)
            console.log(f"{peer.name} is left out: {error}")
    return pythons, left_out


def _flights() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Winter and spring, numbers first and then categories; whole rows, as peers want them."""
    from retrue.linking import link
    from retrue.problems import load_problem
    from retrue.sources.acquisition import read_sources

    problem = load_problem("flights", ROOT)
    frame = link(read_sources(problem, ROOT).tables, problem).frame
    categorical = list(problem.features.categorical)[:N_CATEGORICAL]
    numeric = list(problem.features.numeric)[: N_COLUMNS - len(categorical)]
    month = frame[problem.data.time].dt.month
    frame = frame[[*numeric, *categorical]].astype(dict.fromkeys(numeric, np.float64))
    # A peer that counts NaN as drift, or as none, would be measured on other work.
    frame[numeric] = frame[numeric].fillna(frame[numeric].median())
    for name in categorical:
        frame[name] = frame[name].astype(object).fillna("none").astype(str).astype("category")
    return frame[month <= 3], frame[(month >= 4) & (month <= 6)]


def _drawn(side: pd.DataFrame, n_rows: int, seed: int) -> pd.DataFrame:
    chosen = np.random.default_rng(seed).integers(0, len(side), n_rows)
    return side.iloc[chosen].reset_index(drop=True)


def _distinct(n_rows: int, seed: int) -> pd.DataFrame:
    import pandas as pd

    values = np.random.default_rng(seed).normal(seed / 100, 1, (n_rows, 4))
    return pd.DataFrame(values, columns=[f"x{i}" for i in range(4)])


def _write(folder: Path, reference: pd.DataFrame, current: pd.DataFrame) -> None:
    reference.to_parquet(folder / "reference.parquet")
    current.to_parquet(folder / "current.parquet")
    n = sum(dtype == "category" for dtype in reference.dtypes)
    os.environ["N_CATEGORICAL"] = str(n)


def _measure(
    folder: Path,
    ways: list[str],
    n_rows: int,
    pythons: dict[str, str],
    left_out: dict[str, str],
    console: Console,
) -> dict[str, dict[str, Any]]:
    found = {}
    # One thread each: a peer's threads would only move CPU time about.
    env = os.environ | {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        # Of whylogs, nannyml and evidently: what they send home is no part of a check.
        "WHYLOGS_NO_ANALYTICS": "True",
        "NML_DISABLE_USAGE_LOGGING": "1",
        "DO_NOT_TRACK": "1",
    }
    for way in (one for one in ways if one not in left_out):
        argv = [pythons[way], str(ROOT / "bench" / "drift_run.py"), way, str(folder)]
        try:
            done = subprocess.run(
                argv, env=env, capture_output=True, text=True, timeout=DEADLINE_S, check=False
            )
            if done.returncode:
                raise RuntimeError(done.stderr.strip()[-800:])
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            left_out[way] = str(error)
            console.log(f"{way} is left out: {error}")
            continue
        one = json.loads((folder / f"{way}.json").read_text())
        found[f"{way}, {n_rows}"] = one | {"answer": one["answer"][:200]}
        console.log(f"{way}, {n_rows:,} rows: {_check_s(one):.3f} CPU-s, {one['extra_mb']:.0f} MB")
    return found


def _check_s(sample: dict[str, Any]) -> float:
    return float(statistics.median(sample["check_s"]))


def _ratios(found: dict[str, dict[str, Any]], n_rows: int, n_magnitude: int) -> dict[str, float]:
    """Ours over the peer's: more cells, less memory and less CPU time are better."""
    ours = found[f"native, {n_rows}"]
    ratios = {}
    for way in ("alibi", "evidently", "nannyml", "whylogs", "scipy"):
        if f"{way}, {n_rows}" in found:
            peer = found[f"{way}, {n_rows}"]
            ratios[f"cells_vs_{way}"] = _check_s(peer) / _check_s(ours)
            both = [one["prepare_s"] + _check_s(one) for one in (peer, ours)]
            ratios[f"cells_vs_{way}_with_summary"] = both[0] / both[1]
            ratios[f"memory_vs_{way}"] = ours["extra_mb"] / max(peer["extra_mb"], 0.1)
    alike = [found[f"{way}, {n_rows}, distinct"] for way in ("scipy", "native")]
    ratios["distinct_vs_scipy"] = _check_s(alike[0]) / _check_s(alike[1])
    mine = _check_s(found[f"magnitude_native, {n_magnitude}"])
    for way in ("alibi", "alibi_same_forest"):
        key = f"magnitude_{way}, {n_magnitude}"
        if key in found:
            ratios[f"magnitude_cpu_vs_{way}"] = mine / _check_s(found[key])
    return ratios


def _show(result: dict[str, Any], found: dict[str, dict[str, Any]]) -> None:
    console = Console()
    table = Table(title="a drift check")
    for name in ("", "prepare CPU-s", "check CPU-s", "extra MB"):
        table.add_column(name, justify="left" if name == "" else "right")
    for name, one in found.items():
        figures = (one["prepare_s"], _check_s(one), one["extra_mb"])
        table.add_row(name, *(f"{value:.3g}" for value in figures))
    console.print(table)
    ratios = Table(title="retrue / peer")
    for name in ("ratio", "", "target"):
        ratios.add_column(name, justify="left" if name == "ratio" else "right")
    for name, value in result["ratios"].items():
        is_less = name.startswith(("memory", "magnitude"))
        target = f"{'<=' if is_less else '>='} {TARGETS[name]:g}" if name in TARGETS else ""
        ratios.add_row(name, f"{value:.3g}", target)
    console.print(ratios)


if __name__ == "__main__":
    main()
