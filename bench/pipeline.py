"""What the platform costs: the `train` flow against the bare script, in one interleaved run.

`python -m bench.pipeline [--repeats N] [--json]` writes `bench/results/pipeline.json`.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from bench import report
from bench.clock import PSS_EVERY_S, Sample, cold_and_warm, cpu_s_of, peak_pss_mb
from retrue import processes, stack
from retrue.problems import load_problem
from retrue.sources.source_files import source_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retrue.stack import Urls

ROOT = Path(__file__).resolve().parent.parent
PROBLEM = ROOT / "configs" / "flights.yaml"
SPANS = {"year": date(2014, 1, 1), "Jan-Mar": date(2013, 4, 1)}
"""From 2013-01-01 until: all there is, which the ratios are of, and what the demo trains on."""
PACKAGES = ("prefect", "mlflow", "great-expectations", "lightgbm", "pandas", "deltalake")
WAIT_POLICY = "PASSIVE"
TARGETS = {
    "cpu_vs_bare_cold": 2.2,
    "wall_vs_bare_cold": 2.0,
    "cpu_vs_bare_warm": 1.25,
    "memory_vs_frame": 2.5,
}


@dataclass
class Series:
    """All samples of one way to train on one span."""

    cold: list[Sample] = field(default_factory=list)
    warm: list[Sample] = field(default_factory=list)
    servers_cpu_s: list[float] = field(default_factory=list)
    """Of Prefect's server, MLflow's server and the runner, while both runs of a process took."""


def main() -> None:
    """Measure, write the result file, print."""
    options = report.options(__doc__, repeats=5)
    console = Console(stderr=True)
    load = os.getloadavg()[0]
    with _stack(console) as (at, folder):
        series = _measure(at, folder, options.repeats, console)
        base = {
            span: {
                "peak_pss_mb": _peak_pss_mb(at, folder / f"memory-{span}", until),
                **_base(folder, span, options.repeats),
            }
            for span, until in SPANS.items()
        }
    ratios = {span: _ratios(series[span], base[span]) for span in SPANS}
    result = report.write(
        "pipeline",
        ratios["year"],
        load,
        {
            "ratios_are_of": "year",
            "ratios_Jan-Mar": ratios["Jan-Mar"],
            "repeats": options.repeats,
            "omp_wait_policy": WAIT_POLICY,
            "num_threads": load_problem(PROBLEM).training.num_threads,
            "versions": {name: version(name) for name in PACKAGES},
            "memory": base,
            "memory_asked_every_s": PSS_EVERY_S,
            "samples": {
                span: {way: asdict(one) for way, one in ways.items()}
                for span, ways in series.items()
            },
        },
    )
    if options.json:
        print(json.dumps(result))
    else:
        _show(result, series)


@contextmanager
def _stack(console: Console) -> Iterator[tuple[Urls, Path]]:
    """The servers in a state folder that is gone afterwards, also when a run fails."""
    with tempfile.TemporaryDirectory(prefix="retrue-bench-") as folder:
        os.chdir(ROOT)
        # Told to end, it still stops the servers; by default the signal would leave them running.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
        os.environ["RETRUE_HOME"] = str(Path(folder) / "stack")
        try:
            at = stack.up(console.log)
            yield at, Path(folder)
        finally:
            stack.down(console.log)


def _measure(
    at: Urls, folder: Path, repeats: int, console: Console
) -> dict[str, dict[str, Series]]:
    """Bare and flow by turns, the order swapped each time; the first round is not counted."""
    series = {span: {"bare": Series(), "flow": Series()} for span in SPANS}
    pids = [r.pid for name in (*stack.SERVERS, stack.RUNNER) if (r := processes.running(name))]
    for turn in range(repeats + 1):
        for span, until in SPANS.items():
            if not turn and span != "Jan-Mar":
                continue
            order = ("bare", "flow") if turn % 2 else ("flow", "bare")
            for way in order:
                place = folder / f"{turn}-{span}-{way}"
                place.mkdir()
                before = cpu_s_of(pids)
                cold, warm = _run(way, at, place, until, seed=100 + 2 * turn)
                servers = cpu_s_of(pids) - before
                console.log(
                    f"{turn or 'warm-up'} {span} {way}: cold {cold.cpu_s:.1f} CPU-s"
                    f" {cold.wall_s:.1f} s, warm {warm.cpu_s:.1f} CPU-s {warm.wall_s:.1f} s,"
                    f" servers {servers:.1f} CPU-s"
                )
                if turn:
                    one = series[span][way]
                    one.cold.append(cold)
                    one.warm.append(warm)
                    one.servers_cpu_s.append(servers)
    return series


def _run(way: str, at: Urls, place: Path, until: date, seed: int) -> tuple[Sample, Sample]:
    """One process that trains twice. Two seeds: the second time is fitted, not remembered."""
    laps, log = place / "laps.json", place / "run.log"
    argv, env = _program(way, at, place, until, (seed, seed + 1), laps)
    return cold_and_warm(argv, env, laps, log)


def _peak_pss_mb(at: Urls, place: Path, until: date) -> float:
    """Of a new process that trains once, in a run whose time is not counted."""
    place.mkdir()
    argv, env = _program("flow", at, place, until, (1,), place / "laps.json")
    return peak_pss_mb(argv, env, place / "run.log")


def _program(
    way: str, at: Urls, place: Path, until: date, seeds: tuple[int, ...], laps: Path
) -> tuple[list[str], dict[str, str]]:
    """Command and environment of one way to train, once for each seed."""
    problem = load_problem(PROBLEM)
    job: dict[str, Any] = {"laps": str(laps), "until": until.isoformat()}
    if way == "bare":
        flights = source_path("flights", problem.data.sources["flights"], ROOT)
        job |= {
            "seeds": seeds,
            "folder": str(flights.parent),
            "training": problem.training.model_dump(mode="json"),
            "features": problem.features.model_dump(mode="json"),
        }
        program = "bench.bare"
    else:
        job |= {
            "homes": [str(place / f"home-{one}") for one in seeds],
            "problems": [str(_with_seed(place, one)) for one in seeds],
        }
        program = "bench.flow_run"
    env = {
        **os.environ,
        **stack.environment(at),
        "PREFECT_HOME": str(place / "prefect"),
        # For both: threads that spin while they wait would bill the neighbours' work to the fit.
        "OMP_WAIT_POLICY": WAIT_POLICY,
    }
    return [sys.executable, "-m", program, json.dumps(job)], env


def _base(folder: Path, span: str, turn: int) -> dict[str, float]:
    """Memory of the imports and of the training frame, asked of the last flow run's data."""
    place = folder / f"{turn}-{span}-flow"
    env = {**os.environ, "RETRUE_HOME": str(next(place.glob("home-*")))}
    argv = [sys.executable, "-m", "bench.memory_run", str(next(place.glob("flights-*.yaml")))]
    found: dict[str, float] = json.loads(subprocess.check_output(argv, env=env))
    return found


def _with_seed(place: Path, seed: int) -> Path:
    """The configuration with another seed."""
    line = f"  seed: {load_problem(PROBLEM).training.seed}\n"
    text = PROBLEM.read_text()
    if text.count(line) != 1:
        raise ValueError(f"{PROBLEM}: expected {line.strip()!r} once")
    copy = place / f"flights-{seed}.yaml"
    copy.write_text(text.replace(line, f"  seed: {seed}\n"))
    return copy


def _ratios(ways: dict[str, Series], base: dict[str, float]) -> dict[str, float]:
    """Flow over bare, which as a script is always a new process: only `warm_vs_warm` spares it.

    `memory_vs_frame` is of the flow alone: the highest memory of all its processes at one moment,
    less what they take with nothing but their imports, over the bytes of the frame. In
    `peaks_vs_frame` the peaks of its process and of its validating child are added up as if they
    were at one moment, and pages that both map count twice.
    """
    bare, flow = ways["bare"], ways["flow"]
    return {
        "cpu_vs_bare_cold": _median(flow.cold, "cpu_s") / _median(bare.cold, "cpu_s"),
        "wall_vs_bare_cold": _median(flow.cold, "wall_s") / _median(bare.cold, "wall_s"),
        "cpu_vs_bare_warm": _median(flow.warm, "cpu_s") / _median(bare.cold, "cpu_s"),
        "wall_vs_bare_warm": _median(flow.warm, "wall_s") / _median(bare.cold, "wall_s"),
        "cpu_warm_vs_warm": _median(flow.warm, "cpu_s") / _median(bare.warm, "cpu_s"),
        "rss_vs_bare": _median(flow.cold, "peak_rss_mb") / _median(bare.cold, "peak_rss_mb"),
        "memory_vs_frame": (base["peak_pss_mb"] - base["imports_pss_mb"]) / base["frame_mb"],
        "peaks_vs_frame": (_median(flow.cold, "peak_rss_mb") - base["imports_mb"])
        / base["frame_mb"],
    }


def _median(samples: list[Sample], name: str) -> float:
    return float(statistics.median(getattr(sample, name) for sample in samples))


def _show(result: dict[str, Any], series: dict[str, dict[str, Series]]) -> None:
    console = Console()
    given = result["conditions"]
    before, after = given["load_average_before"], given["load_average_after"]
    table = Table(
        title=f"medians of {given['repeats']}; load {before:.1f} before, {after:.1f} after"
    )
    for name in ("span", "", "CPU-s", "wall s", "peak MB", "AUC", "log loss", "rows fitted"):
        table.add_column(name, justify="left" if name in ("span", "") else "right")
    for span, ways in series.items():
        for way, one in ways.items():
            for state, samples in (("cold", one.cold), ("warm", one.warm)):
                figures = samples[0].figures
                table.add_row(
                    span,
                    f"{way} {state}",
                    *(f"{_median(samples, name):.1f}" for name in ("cpu_s", "wall_s")),
                    f"{_median(samples, 'peak_rss_mb'):.0f}",
                    f"{figures['auc']:.4f}",
                    f"{figures['log_loss']:.4f}",
                    f"{figures['n_train']:,.0f}",
                )
        servers = statistics.median(ways["flow"].servers_cpu_s) / 2
        table.add_row(span, "servers, a flow run", f"{servers:.1f}")
    console.print(table)
    ratios = Table(title="flow / bare")
    for name in ("ratio", *SPANS, "target"):
        ratios.add_column(name, justify="left" if name == "ratio" else "right")
    for name, value in result["ratios"].items():
        target = f"<= {TARGETS[name]}" if name in TARGETS else ""
        ratios.add_row(name, f"{value:.2f}", f"{given['ratios_Jan-Mar'][name]:.2f}", target)
    console.print(ratios)


if __name__ == "__main__":
    main()
