"""Broken or changed: which faults and which real changes the triage tells apart.

`python -m bench.triage [--repeats N] [--json]` writes `bench/results/triage.json`. The thresholds
were set with seeds 0 to 2 of the made-up table and the flights of April, June, September and
November; these are others: seeds 100 on, and July, August, October and December.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table as Grid

from bench import report
from bench.triage_faults import CHANGES, FAULTS, no_change
from bench.triage_tables import flights_case, shop_case
from retrue.triage import triage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.triage_faults import Injection
    from bench.triage_tables import Case

SEEDS, MONTHS = tuple(range(100, 200)), (7, 8, 10, 12)
VERDICTS = ("broken", "cannot tell", "changed", "nothing")


@dataclass(frozen=True)
class Judged:
    """One window and what was said of it."""

    table: str
    truth: str
    """`fault`, `change` or `as it is`."""
    kind: str
    seed: int
    verdict: str
    named: tuple[str, ...]


def main() -> None:
    """Judge all windows, write the result file, print the matrix."""
    options = report.options(__doc__, repeats=5)
    console, load = Console(stderr=True), os.getloadavg()[0]
    judged = []
    for one in judge(SEEDS[: options.repeats], MONTHS):
        judged.append(one)
        if (one.truth == "fault") != (one.verdict in ("broken", "cannot tell")):
            console.log(f"{one.table} {one.seed}, {one.kind}: {one.verdict} {one.named}")
    result = report.write(
        "triage", ratios(judged), load, {"windows": [asdict(one) for one in judged]}
    )
    print(json.dumps(result)) if options.json else _show(judged, ratios(judged))


def judge(seeds: Iterable[int], months: Iterable[int]) -> Iterator[Judged]:
    """Each fault in each window; each made-up change; each window as it is."""
    for seed in seeds:
        yield from _judge_case("made up", seed, shop_case(seed), CHANGES)
    for month in months:
        yield from _judge_case("flights", month, flights_case(month), {})


def ratios(judged: list[Judged]) -> dict[str, float]:
    """Shares of faults and of real windows by verdict."""
    faults = [one for one in judged if one.truth == "fault"]
    real = [one for one in judged if one.truth != "fault"]
    return {
        "faults_broken": _share(faults, ("broken",)),
        "faults_held_back": _share(faults, ("broken", "cannot tell")),
        "real_let_through": _share(real, ("changed", "nothing")),
        "real_called_broken": _share(real, ("broken",)),
        "n_faults": float(len(faults)),
        "n_real": float(len(real)),
    }


def _judge_case(
    table: str, seed: int, case: Case, changes: dict[str, Injection]
) -> Iterator[Judged]:
    reference, known = case.reference.side(), case.known.side()
    for truth, kinds in (
        ("fault", FAULTS),
        ("change", changes),
        ("as it is", {"as it is": no_change}),
    ):
        for i, (kind, inject) in enumerate(kinds.items()):
            window = inject(case.window, np.random.default_rng([seed, i])).side()
            found = triage(reference, window, known)
            named = tuple(dict.fromkeys(one.kind for one in found.findings))
            yield Judged(table, truth, kind, seed, found.verdict, named)


def _share(judged: list[Judged], verdicts: tuple[str, ...]) -> float:
    return sum(one.verdict in verdicts for one in judged) / max(len(judged), 1)


def _show(judged: list[Judged], figures: dict[str, float]) -> None:
    console, grid = Console(), Grid(title="verdicts")
    for name in ("table", "truth", *VERDICTS):
        grid.add_column(name)
    rows = Counter((one.table, one.kind, one.verdict) for one in judged)
    for table, kind in dict.fromkeys((one.table, one.kind) for one in judged):
        grid.add_row(table, kind, *(str(rows[table, kind, verdict] or "") for verdict in VERDICTS))
    console.print(grid)
    for name, value in figures.items():
        console.print(f"{name:24}{value:7.3f}")


if __name__ == "__main__":
    main()
