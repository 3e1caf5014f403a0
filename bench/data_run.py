"""Read and join the flights in plain pandas, or prepare a data version of them. See `bench.data`.

Run as a process of its own: `python -m bench.data_run pandas|retrue LAPS JOB`.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from bench.clock import Lap, laps_to

if TYPE_CHECKING:
    import pandas as pd

    from retrue.config import Problem

ROOT = Path(__file__).resolve().parent.parent


def in_pandas(problem: Problem) -> int:
    """Read the five tables and join them, as a notebook would; the number of rows."""
    import pandas as pd

    from retrue.sources.source_files import source_path

    def read(name: str) -> pd.DataFrame:
        source = problem.data.sources[name]
        if source.folder is None:
            return pd.read_csv(source_path(name, source, ROOT))
        return pd.concat(map(pd.read_csv, sorted(Path(source.folder).iterdir())))

    linked = read(problem.data.main)
    for link in problem.data.links:
        right = read(link.table)[[*link.on.values(), *link.columns]]
        names = {theirs: ours for ours, theirs in link.on.items()} | link.columns
        linked = linked.merge(right.rename(columns=names), on=list(link.on), how="left")
    linked["time_hour"] = pd.to_datetime(linked["time_hour"])
    return len(linked)


def in_retrue(problem: Problem, until: date) -> int:
    """Ingest, validate, link, hash and write a data version; the number of rows."""
    from retrue import preparation

    sources = preparation.ingest(problem, ROOT)
    return preparation.prepare(problem, until, ROOT, sources).ref.n_rows


def main() -> None:
    """Do it several times; each time Retrue finds an empty state folder."""
    way, laps_wanted, job = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    laps: list[Lap] = []
    with laps_to(Path(job["laps"]), laps):
        for number in range(laps_wanted):
            os.environ["RETRUE_HOME"] = str(Path(job["home"]) / f"home-{number}")
            from retrue.problems import load_problem

            problem = load_problem(Path(job["problem"]))
            until = date.fromisoformat(job["until"])
            n_rows = in_pandas(problem) if way == "pandas" else in_retrue(problem, until)
            laps.append(Lap.now({"n_rows": float(n_rows)}))


if __name__ == "__main__":
    main()
