"""The search against FLAML, plain Optuna and AutoGluon: same rows, columns, seconds and threads.

    .venv/bin/python -m bench.automl --tables flights,diamonds --budget 60 --seeds 3

It needs `uv sync --all-extras --group bench`. AutoGluon gets an environment of its own, and is left
out with the reason where that cannot be made. The hold-out of each table is what comes later (a
fifth by key where there is no time); nobody sees it before the end. Ways take turns, so that a busy
minute of the machine hits them all.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table as Shown

from bench import report
from bench.automl_overhead import overhead
from bench.automl_peers import AUTOGLUON, PEERS, Given
from bench.automl_tables import TABLES, Table
from bench.serving_peers import install, versions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.config import Problem
    from retrue.refs import DataRef
    from retrue.search.trials import TrialRecord
    from retrue.splits import Split

LOWER_IS_BETTER = ("log_loss", "rmse", "mae")
# 97.5 % quantiles of Student's t with 1 to 9 degrees of freedom.
STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)


def main() -> None:
    """Run it and write the figures."""
    given = _arguments()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    warnings.simplefilter("ignore")
    console = Console(stderr=True)
    peers, installed, left_out = _installed(given.peers)
    ways = ["retrue", "untuned", *peers]
    ratios: dict[str, Any] = {}
    runs: list[dict[str, Any]] = []
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as home:
        os.environ["RETRUE_HOME"] = home
        for name in given.tables:
            table = TABLES[name]()
            problem, data, parts = _prepared(table, given.threads)
            for seed in range(given.seeds):
                for way in ways[seed % len(ways) :] + ways[: seed % len(ways)]:
                    run = _run(way, problem, data, parts, given.budget, seed)
                    runs.append({"table": name, "way": way, "seed": seed, **run})
                    told = ", ".join(f"{k} {v:.4f}" for k, v in run["figures"].items())
                    console.print(
                        f"{name} seed {seed} {way}: {told} ({run['wall_s']:.0f} s,"
                        f" {run['cpu_s']:.0f} CPU-s)"
                    )
            ratios |= _differences(name, [run for run in runs if run["table"] == name], ways[1:])
            if given.overhead and name == given.tables[0]:
                ratios["search_cpu_vs_bare_lightgbm"] = overhead(problem, data, given.overhead)
    report.write(
        "automl",
        ratios,
        before,
        {
            "budget_s": given.budget,
            "seeds": given.seeds,
            "threads": given.threads,
            "peers": installed,
            "left_out": left_out,
            "runs": runs,
        },
    )
    _show(ratios)


def _installed(peers: list[str]) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """Peers that can take part, versions in other environments, and who is left out, with why."""
    if AUTOGLUON.name not in peers:
        return peers, {}, {}
    try:
        install(AUTOGLUON)
    except RuntimeError as error:
        others = [peer for peer in peers if peer != AUTOGLUON.name]
        return others, {}, {AUTOGLUON.name: f"not installed: {error}"}
    return peers, versions(AUTOGLUON), {}


def _prepared(table: Table, threads: int) -> tuple[Problem, DataRef, Split]:
    from retrue import lake, splits

    problem = table.problem
    training = problem.training.model_copy(update={"num_threads": threads})
    problem = problem.model_copy(update={"training": training})
    frame = table.frame
    names = [*splits.needed_columns(problem), *problem.data.key]
    frame = frame[list(dict.fromkeys(names))]
    data = lake.write_version(problem.name, frame, problem.data.key, table.until.isoformat())
    frame = lake.read_version(data)
    if problem.data.time is not None:
        frame = frame.sort_values(problem.data.time, kind="stable", ignore_index=True)
    return problem, data, splits.split(frame, problem, table.until)


def _run(
    way: str, problem: Problem, data: DataRef, parts: Split, budget_s: float, seed: int
) -> dict[str, Any]:
    from retrue import splits, training
    from retrue.search import run
    from retrue.search.recipe import apply

    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    more: dict[str, Any] = {}
    if way in ("retrue", "untuned"):
        tuned = problem.model_copy(
            update={"training": problem.training.model_copy(update={"seed": seed})}
        )
        if way == "retrue":
            told = {"budget_s": budget_s, "seed": seed}
            asked = tuned.model_copy(update={"search": tuned.search.model_copy(update=told)})
            begun = run.begin(asked, data)
            n = asked.search.n_workers
            with ThreadPoolExecutor(n) as lanes:  # in the flow they are task runs, in threads too
                list(lanes.map(lambda _: run.lane(asked, data, begun, _untold), range(n)))
            found = run.finish(asked, data, begun)
            tuned = apply(asked, found.recipe)
            more = {"trials": len(found.trials), "reason": found.reason}
        fitted = training.fit(parts, tuned)
        scores = training.score(fitted.model_text, fitted.features, parts.holdout)
    else:
        scores = PEERS[way](Given(problem, parts), budget_s, seed)
    spent = {"wall_s": time.perf_counter() - wall, "cpu_s": sum(os.times()[:4]) - cpu}
    y = splits.target(parts.holdout, problem, parts.classes)
    return {"figures": _figures(problem.label.task, y, scores), **spent, **more}


def _untold(trial: TrialRecord, line: str) -> None:
    """No progress is shown."""


def _figures(task: str, y: NDArray[Any], scores: NDArray[Any]) -> dict[str, float]:
    from retrue import metrics

    if task == "regression":
        return {
            "rmse": float(np.sqrt(np.mean((y - scores) ** 2))),
            "mae": float(np.mean(np.abs(y - scores))),
        }
    loss = float(metrics.row_losses("log_loss", y, np.clip(scores, 0, 1)).mean())
    if task == "binary":
        return {"auc": metrics.auc(y, np.clip(scores, 0, 1)), "log_loss": loss}
    return {"accuracy": float(np.mean(scores.argmax(axis=1) == y)), "log_loss": loss}


def _differences(name: str, runs: list[dict[str, Any]], peers: list[str]) -> dict[str, Any]:
    """Ours minus theirs, paired by seed: mean and 95 % interval over the seeds (Student)."""
    by = {(run["way"], run["seed"]): run["figures"] for run in runs}
    seeds = sorted({run["seed"] for run in runs})
    found: dict[str, Any] = {}
    for peer in peers:
        for figure in by["retrue", 0]:
            gaps = [by["retrue", seed][figure] - by[peer, seed][figure] for seed in seeds]
            mean, half = float(np.mean(gaps)), None
            if 1 < len(gaps) <= len(STUDENT) + 1:
                spread = float(np.std(gaps, ddof=1)) / len(gaps) ** 0.5
                half = STUDENT[len(gaps) - 2] * spread
            found[f"{name}.{figure}_minus_{peer}"] = {
                "mean": mean,
                "lower": None if half is None else mean - half,
                "upper": None if half is None else mean + half,
            }
    return found


def _show(ratios: dict[str, Any]) -> None:
    table = Shown(title="ours minus theirs; green: ours is at least as good")
    for heading in ("table and figure", "mean", "95 % over seeds"):
        table.add_column(heading, justify="left" if heading[0] == "t" else "right")
    for name, value in ratios.items():
        if isinstance(value, float):
            table.add_row(name, f"{value:.3f}", "target <= 1.15")
            continue
        sign = -1 if any(f".{one}_" in name for one in LOWER_IS_BETTER) else 1
        style = "green" if value["mean"] * sign >= 0 else "red"
        told = "-"
        if value["lower"] is not None:
            told = f"[{value['lower']:+.4f}, {value['upper']:+.4f}]"
        table.add_row(name, f"[{style}]{value['mean']:+.4f}[/]", told)
    Console().print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds a search")
    parser.add_argument("--seeds", type=int, default=3, help="at most 10")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--overhead", type=int, default=8, help="trials to measure it on; 0: not")
    parser.add_argument("--tables", type=lambda text: text.split(","), default=list(TABLES))
    parser.add_argument(
        "--peers",
        type=lambda text: text.split(","),
        default=list(PEERS),
        help="some of them, by comma",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
