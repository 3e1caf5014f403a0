"""What `memory_vs_frame` is measured against. Run by `bench.pipeline` as a process of its own.

`python -m bench.memory_run PROBLEM`, with RETRUE_HOME of a flow run: memory of a process that has
imported what a training imports, and of its validating child, before there is any data, resident
and shared out; and the bytes of that run's training frame, linked, all columns, in memory.
"""

import json
import os
import sys
from importlib import import_module
from pathlib import Path

import pandas as pd
import psutil

from bench.clock import rss_mb, tree_pss_mb
from retrue import expectations_process

IMPORTED = ("flows.training", "lightgbm", "sklearn.metrics", "mlflow", "retrue.evidence.comparison")


def main() -> None:
    """Measure and print."""
    expectations_process.evaluate([], pd.DataFrame({"x": [1.0]}), {})  # it has imported all, too
    for name in IMPORTED:
        import_module(name)
    children = [child.pid for child in psutil.Process().children(recursive=True)]
    imports_mb = sum(rss_mb(pid) for pid in ("self", *children))
    imports_pss_mb = tree_pss_mb(os.getpid())
    from retrue import lake
    from retrue.problems import load_problem

    (version,) = lake.list_versions(load_problem(Path(sys.argv[1])).name)
    frame_mb = lake.read_version(version).memory_usage(deep=True).sum() / 2**20
    found = {"imports_mb": imports_mb, "imports_pss_mb": imports_pss_mb}
    print(json.dumps(found | {"frame_mb": float(frame_mb)}))


if __name__ == "__main__":
    main()
