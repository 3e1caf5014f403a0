"""What the data half costs: ingest, link, hash, validate and write, against plain pandas.

`python -m bench.data [--repeats N] [--json]` writes `bench/results/data.json`.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import report
from bench.clock import Sample, cold_and_warm
from retrue.problems import load_problem
from retrue.sources.source_files import source_path

ROOT = Path(__file__).resolve().parent.parent
PROBLEM = ROOT / "configs" / "flights.yaml"
BATCHES = (1, 5, 10)
"""Numbers of batches, each as large as the whole year."""
TARGET = 2.0


def main() -> None:
    """Measure, write the result file, print."""
    options = report.options(__doc__, repeats=5)
    console = Console(stderr=True)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="retrue-bench-") as folder:
        place = Path(folder)
        samples = _one_year(place, options.repeats, console)
        tenfold = _tenfold(place, console)
    ratios = _ratios(samples, tenfold)
    result = report.write(
        "data",
        ratios,
        load,
        {
            "repeats": options.repeats,
            "samples": {name: [asdict(one) for one in many] for name, many in samples.items()},
            "batches": {name: asdict(one) for name, one in tenfold.items()},
        },
    )
    print(json.dumps(result)) if options.json else _show(samples, tenfold, ratios)


def _one_year(place: Path, repeats: int, console: Console) -> dict[str, list[Sample]]:
    """Both by turns, the order swapped each time; the first round is not counted."""
    samples: dict[str, list[Sample]] = {
        f"{way} {state}": [] for way in ("pandas", "retrue") for state in ("cold", "warm")
    }
    for turn in range(repeats + 1):
        for way in ("pandas", "retrue") if turn % 2 else ("retrue", "pandas"):
            cold, warm = _run(place / f"{turn}-{way}", way, PROBLEM)
            console.log(
                f"{turn or 'warm-up'} {way}: cold {cold.cpu_s:.1f} CPU-s, warm {warm.cpu_s:.1f}"
            )
            if turn:
                samples[f"{way} cold"].append(cold)
                samples[f"{way} warm"].append(warm)
    return samples


def _tenfold(place: Path, console: Console) -> dict[str, Sample]:
    """The year again and again, as batches of a folder: a year later each time."""
    found = {}
    for n_batches in BATCHES:
        folder = place / f"{n_batches}-batches"
        problem = _batched(folder, n_batches)
        for way in ("pandas", "retrue"):
            cold, _ = _run(folder / way, way, problem, laps=1)
            found[f"{way} {n_batches}"] = cold
            console.log(
                f"{n_batches} batches {way}: {cold.cpu_s:.1f} CPU-s, peak {cold.peak_rss_mb:.0f} MB"
            )
        shutil.rmtree(folder)
    return found


def _batched(folder: Path, n_batches: int) -> Path:
    """A project whose flights and weather are `n_batches` years; its configuration comes out."""
    import pandas as pd

    problem = load_problem(PROBLEM)
    sources, tree = problem.data.sources, problem.model_dump(mode="json")
    for name in ("flights", "weather"):
        frame = pd.read_csv(source_path(name, sources[name], ROOT))
        times = pd.to_datetime(frame["time_hour"])
        batches = folder / name
        batches.mkdir(parents=True)
        for i in range(n_batches):
            later = (times + pd.Timedelta(days=364 * i)).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
            frame.assign(time_hour=later).to_csv(batches / f"{i:03d}.csv", index=False)
        tree["data"]["sources"][name] = {"folder": str(batches)}
    until = date(2014, 1, 1) + timedelta(days=364 * (n_batches - 1))
    tree["training"] |= {"start": "2013-01-01", "until": str(until)}
    path = folder / "flights.yaml"
    path.write_text(json.dumps(tree))  # JSON is YAML
    return path


def _run(folder: Path, way: str, problem: Path, laps: int = 2) -> tuple[Sample, Sample]:
    folder.mkdir(parents=True)
    until = load_problem(problem).training.until if laps == 1 else date(2014, 1, 1)
    job = {
        "laps": str(folder / "laps.json"),
        "home": str(folder),
        "problem": str(problem),
        "until": str(until),
    }
    argv = [sys.executable, "-m", "bench.data_run", way, str(laps), json.dumps(job)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    return cold_and_warm(argv, env, folder / "laps.json", folder / "run.log")


def _ratios(samples: dict[str, list[Sample]], tenfold: dict[str, Sample]) -> dict[str, float]:
    def median(name: str) -> float:
        return float(statistics.median(one.cpu_s for one in samples[name]))

    last = BATCHES[-1]
    peaks = {n: tenfold[f"retrue {n}"].peak_rss_mb for n in BATCHES}
    return {
        "cpu_vs_pandas": median("retrue warm") / median("pandas warm"),
        "cpu_vs_pandas_cold": median("retrue cold") / median("pandas cold"),
        "cpu_vs_pandas_tenfold": tenfold[f"retrue {last}"].cpu_s / tenfold[f"pandas {last}"].cpu_s,
        "memory_vs_pandas_tenfold": peaks[last] / tenfold[f"pandas {last}"].peak_rss_mb,
        "memory_of_ten_batches_vs_one": peaks[last] / peaks[BATCHES[0]],
        "memory_of_ten_batches_vs_five": peaks[last] / peaks[BATCHES[1]],
    }


def _show(
    samples: dict[str, list[Sample]], tenfold: dict[str, Sample], ratios: dict[str, float]
) -> None:
    console = Console()
    table = Table(title="the year of flights (medians), and as batches of a year each")
    for name in ("what", "CPU-s", "wall s", "peak MB"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for name, many in [*samples.items(), *((name, [one]) for name, one in tenfold.items())]:
        figures = [
            statistics.median(getattr(one, what) for one in many)
            for what in ("cpu_s", "wall_s", "peak_rss_mb")
        ]
        table.add_row(name, *(f"{figure:.1f}" for figure in figures[:2]), f"{figures[2]:.0f}")
    console.print(table)
    for name, value in ratios.items():
        target = f"   (target: at most {TARGET:g})" if name == "cpu_vs_pandas" else ""
        console.print(f"{name:32}{value:6.2f}{target}")


if __name__ == "__main__":
    main()
