"""The serving image of the flights: its size, a build for a new model, ready and at rest.

`python -m bench.image [--repeats 5] [--json]` writes `bench/results/image.json`; needs a Docker
engine. Image ids are compared too: the same bundle must give the same one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from rich.console import Console
from rich.table import Table

from bench.serving import ROOT, flights_rows
from retrue import images, slots
from retrue.engine import engine_or_reason
from retrue.problems import load_problem
from retrue.refs import BundleRef

if TYPE_CHECKING:
    from retrue.config import Problem
    from retrue.engine import Engine

RESULT = ROOT / "bench" / "results" / "image.json"
TARGETS = {"size_mb": 100.0, "model_build_s": 1.0, "ready_s": 3.5, "resident_mb": 60.0}
# A server that has started touches a little more memory in its first second.
_SETTLE_S = 2.0


def main() -> None:
    """Measure, write the result file, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    client = engine_or_reason()
    if isinstance(client, str):
        sys.exit(client)
    load = os.getloadavg()
    built: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="retrue-bench-") as folder:
        bundle = flights_rows(Path(folder)).bundle
        problem = load_problem("flights", ROOT)
        try:
            found = _measure(client, problem, bundle, Path(folder), options.repeats, built)
        finally:
            for image in built:
                client.images.remove(image, force=True)
            client.close()
    medians = {name: statistics.median(values) for name, values in found["samples"].items()}
    result = {
        "bench": "image",
        "ratios": {f"{name}_of_target": medians[name] / TARGETS[name] for name in TARGETS},
        "conditions": {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "load_average_before": load,
            "load_average_after": os.getloadavg(),
            "repeats": options.repeats,
            "medians": medians,
            **found,
        },
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if options.json:
        print(json.dumps(result))
        return
    table = Table(title=f"medians of {options.repeats}; load {load[0]:.1f} before")
    for name in ("", "measured", "target"):
        table.add_column(name, justify="right" if name else "left")
    for name, value in medians.items():
        table.add_row(name, f"{value:.2f}", f"<= {TARGETS[name]:g}" if name in TARGETS else "")
    table.add_row("the same bundle, the same id", str(found["is_same_id"]), "True")
    Console().print(table)


def _measure(
    client: Engine,
    problem: Problem,
    bundle: BundleRef,
    folder: Path,
    repeats: int,
    built: set[str],
) -> dict[str, Any]:
    base = images.ensure_base_image(client, problem.serving.base_image)
    samples: dict[str, list[float]] = {
        name: [] for name in ("size_mb", "first_build_s", "model_build_s", "ready_s", "resident_mb")
    }

    def build(one: BundleRef, name: str) -> str:
        begun = time.monotonic()
        image = images.build_image(client, one, 1, base)
        samples[name].append(time.monotonic() - begun)
        built.add(image)
        return image

    image = build(bundle, "first_build_s")
    for number in range(repeats):
        image_of_other = build(_another(bundle, folder, number), "model_build_s")
        samples["size_mb"].append(images.image_size_bytes(client, image_of_other) / 1e6)
    for _ in range(repeats):
        begun = time.monotonic()
        ref = slots.start_slot(problem, "a", bundle, 1, slots.CONTAINER, image=image)
        samples["ready_s"].append(time.monotonic() - begun)
        time.sleep(_SETTLE_S)
        samples["resident_mb"].append(_resident_mb(client, ref.handle))
        slots.stop_slot(ref)
    client.images.remove(image, force=True)
    again = images.build_image(client, bundle, 1, base)
    return {"samples": samples, "is_same_id": again == image}


def _another(bundle: BundleRef, folder: Path, number: int) -> BundleRef:
    """The same model with another manifest: a layer that the engine has not seen."""
    path = Path(shutil.copytree(bundle.path, folder / f"bundle-{number}"))
    manifest = json.loads((path / "manifest.json").read_bytes()) | {"seed": number}
    content = json.dumps(manifest).encode()
    (path / "manifest.json").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    return BundleRef(problem=bundle.problem, path=path, sha256=sha256)


def _resident_mb(client: Engine, container: str) -> float:
    top: Any = client.containers.get(container).top()
    at = top["Titles"].index("PID")
    parts = [psutil.Process(int(row[at])) for row in top["Processes"]]
    return float(sum(one.memory_info().rss for one in parts)) / 1e6


if __name__ == "__main__":
    main()
