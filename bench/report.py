"""What every benchmark does around its measuring: options, conditions, the result file."""

from __future__ import annotations

import argparse
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def options(doc: str | None, repeats: int) -> argparse.Namespace:
    """`--repeats` and `--json`."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_args()


def write(
    name: str, ratios: dict[str, Any], load_before: float, conditions: dict[str, Any]
) -> dict[str, Any]:
    """Write `bench/results/NAME.json` and give what is in it.

    Parameters
    ----------
    name : str
        Of the benchmark.
    ratios : dict
        What is published of it.
    load_before : float
        The load average of one minute before it began.
    conditions : dict
        What else there is to know, beside the machine and the moment.
    """
    result = {
        "bench": name,
        "ratios": ratios,
        "conditions": {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": platform.platform(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "load_average_before": load_before,
            "load_average_after": os.getloadavg()[0],
            **conditions,
        },
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    return result
