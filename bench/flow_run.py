"""The `train` flow, twice in one process. Run by `bench.pipeline` as a process of its own."""

import json
import os
import sys
from datetime import date
from pathlib import Path

from bench.clock import Lap, laps_to
from retrue import expectations_process


def main() -> None:
    """Train with two seeds, each time into a state folder of its own: nothing is found again."""
    job = json.loads(sys.argv[1])
    expectations_process.start()  # as `retrue train` does
    laps: list[Lap] = []
    with laps_to(Path(job["laps"]), laps):
        for place, problem in zip(job["homes"], job["problems"], strict=True):
            os.environ["RETRUE_HOME"] = place
            laps.append(Lap.now(_train(problem, date.fromisoformat(job["until"]))))


def _train(problem: str, until: date) -> dict[str, float]:
    from flows.training import train
    from retrue import bundles

    trained = train(problem=problem, until=until)
    found = bundles.read_metrics(trained.model.bundle)["metrics"]
    return {
        "auc": found["holdout_auc"],
        "log_loss": found["holdout_log_loss"],
        "n_train": found["n_train"],
        "n_holdout": found["n_holdout"],
        "model_version": float(trained.model.version),
        "data_version": float(trained.data.version),
    }


if __name__ == "__main__":
    main()
