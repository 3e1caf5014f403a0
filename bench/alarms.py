"""False alarms and the days until drift is seen, beside K-S at .05, PSI at .2 and evidently.

Reference: flights of January to March. Quiet windows: those months, December, and weeks of the
reference drawn at random against the rest. Drift: April to October, and changes injected into the
last days of a drawn window, from its first day on, until all 30 days have them. Each way says
drift or not of the same samples, as its documentation has it, one window at a time. A change counts
as seen where the same window without it raises no alarm. Label shift and concept flip change no
feature; what labels say of them (`retrue_with_labels`, and the test of the concept) is told beside.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench import report
from bench.alarms_labels import by_labels, days
from bench.drift import EVIDENTLY
from bench.serving_peers import install, versions
from retrue import drift
from retrue.alarms import policy
from retrue.alarms.blocks import Blocks, cut
from retrue.alarms.reference import calibrate_reference
from retrue.linking import link
from retrue.problems import load_problem
from retrue.sources.acquisition import read_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from retrue.config import Problem

ROOT = Path(__file__).parents[1]
QUIET_MONTHS = (1, 2, 3, 12)
DRIFT_MONTHS = (4, 5, 6, 7, 8, 9, 10)
DAYS = (1, 3, 7, 15, 30)
"""Days after a change at which the window of 30 days is checked."""
N_DRAWN = 6
SEED = 11
N_ROWS = 10_000
ALPHA, PSI = 0.05, 0.2


def shifted(rows: pd.DataFrame, name: str, sds: float, sd: float) -> pd.DataFrame:
    """A numeric column moved by so many sd of the reference."""
    return rows.assign(**{name: rows[name] + sds * sd})


def injections(reference: pd.DataFrame) -> dict[str, Callable[[pd.DataFrame], pd.DataFrame]]:
    """What is done to the rows after a change."""
    rng = np.random.default_rng(SEED)
    sd = float(reference["distance"].std())

    def masked(name: str, value: Any, share: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
        def change(rows: pd.DataFrame) -> pd.DataFrame:
            there = rows[name].astype(object) if isinstance(value, str) else rows[name]
            return rows.assign(**{name: there.mask(rng.random(len(rows)) < share, value)})

        return change

    def permuted(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(sched_arr_time=rng.permutation(rows["sched_arr_time"].to_numpy()))

    def more_late(rows: pd.DataFrame) -> pd.DataFrame:
        weights = np.where(rows["arr_delay"] > 15, 2.0, 1.0)
        return rows.sample(len(rows), replace=True, weights=weights, random_state=SEED)

    def flipped(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(arr_delay=30 - rows["arr_delay"])

    return {
        "shift_0.2_sd": lambda rows: shifted(rows, "distance", 0.2, sd),
        "shift_0.4_sd": lambda rows: shifted(rows, "distance", 0.4, sd),
        "new_category_1_percent": masked("carrier", "ZZ", 0.01),
        "missing_5_percent": masked("seats", np.nan, 0.05),
        "missing_30_percent": masked("seats", np.nan, 0.30),
        "joint_permutation": permuted,
        "label_shift": more_late,
        "concept_flip": flipped,
    }


def windows(problem: Problem, flights: pd.DataFrame) -> dict[str, tuple[bool, pd.DataFrame]]:
    """By name: whether the window is quiet, and at most 10,000 rows of it."""
    month = flights["time_hour"].dt.month
    reference = flights[month <= 3]
    found = {
        f"month {m}": (m in QUIET_MONTHS, flights[month == m])
        for m in (*QUIET_MONTHS, *DRIFT_MONTHS)
    }
    blocks = cut(days(reference), problem.drift.window_days)
    assert isinstance(blocks, Blocks)
    drawn = [reference[rows] for rows in blocks.draws(N_DRAWN, SEED)]
    found |= {f"drawn {i}": (True, rows) for i, rows in enumerate(drawn)}
    quiet, order = drawn[0], np.argsort(days(drawn[0]), kind="stable")
    for name, change in injections(reference).items():
        for day in DAYS:
            n = round(len(quiet) * day / problem.drift.window_days)
            parts = [quiet.iloc[order[:-n]], change(quiet.iloc[order[-n:]])]
            found[f"{name} {day}"] = (False, pd.concat([p for p in parts if len(p)]))
    return {
        name: (quiet, rows.sample(min(N_ROWS, len(rows)), random_state=SEED))
        for name, (quiet, rows) in found.items()
    }


def ours(
    problem: Problem, reference: pd.DataFrame, found: Mapping[str, tuple[bool, pd.DataFrame]]
) -> tuple[dict[str, bool], dict[str, bool], dict[str, str | None]]:
    """Alarms of Retrue, of its PSI held against .2, and the feature on top."""
    settings = problem.drift.model_copy(update={"backend": "native"})
    calibration = calibrate_reference(problem, reference)
    said, by_psi, top = {}, {}, {}
    for name, (_, rows) in found.items():
        checked = drift.check(reference, rows, problem.features, settings)
        vote = policy.vote(checked, calibration, settings, rows["time_hour"].max())
        said[name] = vote.answer == "drift"
        by_psi[name] = any((feature.psi or 0) > PSI for feature in checked.features)
        top[name] = checked.top_feature
    return said, by_psi, top


def by_ks(problem: Problem, reference: pd.DataFrame, rows: pd.DataFrame) -> bool:
    """Whether K-S, or chi-squared of categories, is below .05 for any feature."""
    from scipy.stats import chi2_contingency, ks_2samp

    for name in problem.features.numeric:
        sides = (reference[name].dropna(), rows[name].dropna())
        if ks_2samp(*sides, method="asymp").pvalue < ALPHA:
            return True
    for name in problem.features.categorical:
        counts = [one[name].astype(object).value_counts() for one in (reference, rows)]
        table = pd.concat(counts, axis=1).fillna(0).to_numpy().T
        if chi2_contingency(table).pvalue < ALPHA:
            return True
    return False


def by_evidently(
    problem: Problem, reference: pd.DataFrame, found: Mapping[str, tuple[bool, pd.DataFrame]]
) -> dict[str, dict[str, bool]]:
    """Whether evidently's preset calls the dataset drifted, or any column, at its defaults."""
    place = install(EVIDENTLY)
    names = [*problem.features.numeric, *problem.features.categorical]
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in {"reference": reference, **{n: r for n, (_, r) in found.items()}}.items():
            plain = rows[names].astype(dict.fromkeys(problem.features.categorical, object))
            plain.to_parquet(Path(folder) / f"{name}.parquet")
        argv = [str(place / "bin/python"), str(Path(__file__).with_name("alarms_evidently.py"))]
        argv += [folder, json.dumps(problem.features.categorical)]
        said: dict[str, dict[str, bool]] = json.loads(subprocess.check_output(argv, text=True))
    return said


def figures(
    said: Mapping[str, bool], found: Mapping[str, tuple[bool, pd.DataFrame]]
) -> dict[str, Any]:
    """False alarms, months of drift seen, and days until each injected change was seen."""
    quiet = [said[name] for name, (is_quiet, _) in found.items() if is_quiet]
    months = [said[f"month {month}"] for month in DRIFT_MONTHS]
    changes = dict.fromkeys(name.rpartition(" ")[0] for name in found if " " in name)
    alarms_anyway = said["drawn 0"]
    delays = {
        name: next((day for day in DAYS if said[f"{name} {day}"] and not alarms_anyway), None)
        for name in changes
        if f"{name} {DAYS[-1]}" in said
    }
    return {
        "false_alarms": sum(quiet),
        "quiet_windows": len(quiet),
        "drift_months_seen": sum(months),
        "drift_months": len(months),
        "alarms_without_a_change": alarms_anyway,
        "delay_days": delays,
    }


def main() -> None:
    """Measure, write the result file, print."""
    load_before = os.getloadavg()[0]
    problem = load_problem("flights", ROOT)
    flights = link(read_sources(problem, ROOT).tables, problem).frame
    winter = flights[flights["time_hour"].dt.month <= 3]
    reference = winter.sample(N_ROWS, random_state=SEED)
    found = windows(problem, flights)
    retrue, psi, top = ours(problem, reference, found)
    worse, changed = by_labels(problem, winter, found)
    said = {
        "retrue": retrue,
        "retrue_with_labels": {name: retrue[name] or worse[name] for name in found},
        "retrue_concept_test": changed,
        "psi_0.2": psi,
        "ks_0.05": {name: by_ks(problem, reference, rows) for name, (_, rows) in found.items()},
    }
    peers: dict[str, Any] = {}
    try:
        said |= by_evidently(problem, reference, found)
        peers = versions(EVIDENTLY)
    except (RuntimeError, subprocess.CalledProcessError) as error:
        peers = {"evidently": f"not measured: {error}"[:500]}
    ratios = {way: figures(answers, found) for way, answers in said.items()}
    result = report.write(
        "alarms",
        ratios,
        load_before,
        {
            "peers": peers,
            "rows": N_ROWS,
            "top_feature": {f"month {m}": top[f"month {m}"] for m in DRIFT_MONTHS},
            "answers": said,
        },
    )
    json.dump(result, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
