"""The small problem that each damaged delivery is run through, and its suites."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from retrue.config import Problem
from retrue.initialisation.profiling import profile
from retrue.initialisation.proposals import propose, propose_linked
from retrue.linking import link
from retrue.preparation import Prepared, prepare
from retrue.problems import load_problem
from retrue.sources.acquisition import read_sources
from tests.damaged.readings import CALIBRATIONS, SENSORS, UNTIL, as_csv, readings

NAME = "plant"
READINGS = "readings.csv"

_YAML = """\
name: plant
canvas:
  question: Will the part wear too fast?
  decision: Slow the machine down
  decided_by: The shift leader
  cost_false_positive: {amount: 1, unit: hour, why: A slower hour for nothing}
  cost_false_negative: {amount: 5, unit: hour, why: A worn part stops the line}
  success: Lower log loss
  baseline: No skill
  data_sources: [Sensors of the plant]
  label: Wear above 4
  label_known: At once
data:
  sources: %s
  main: %s
  key: [reading]
  time: at
  links: %s
label: {expression: wear > 4}
features:
  numeric: [temperature, load, height, offset]
  categorical: [sensor, mode, hall]
training: {start: 2024-01-01, until: 2024-01-11, holdout_days: 2, num_boost_round: 10, seed: 7}
"""
_LINKS: list[dict[str, Any]] = [
    {
        "table": "sensors",
        "on": {"sensor": "code"},
        "min_match": 0.9,
        "columns": {"height": "height", "hall": "hall"},
    },
    {
        "table": "calibrations",
        "on": {"sensor": "sensor"},
        "as_of": {"at": "since"},
        "min_match": 0.9,
        "columns": {"offset": "offset"},
    },
]


@dataclass
class Plant:
    """A project folder; what a test delivers and redefines is seen by the next `prepare`."""

    root: Path
    patch: pytest.MonkeyPatch
    main: str = "readings"
    readings: dict[str, Any] = field(default_factory=lambda: {"path": READINGS})
    closing: list[Callable[[], None]] = field(default_factory=list)
    """What ends whatever a fault has started."""

    @property
    def problem(self) -> Problem:
        tables = {"sensors": {"path": "sensors.csv"}, "calibrations": {"path": "calibrations.csv"}}
        sources = {self.main: self.readings, **tables}
        text = _YAML % (json.dumps(sources), self.main, json.dumps(_LINKS))
        self.write("configs/plant.yaml", text)
        return load_problem(NAME, self.root)

    def prepare(self, until: date = UNTIL) -> Prepared:
        return prepare(self.problem, until, self.root)

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def deliver(
        self, content: str | bytes | pd.DataFrame, name: str = READINGS, **keys: Any
    ) -> None:
        """Put a file in place of the readings."""
        self.write(name, as_csv(content) if isinstance(content, pd.DataFrame) else content)
        self.readings = {"path": name, **keys}

    def deliver_batches(self, batches: dict[str, str | pd.DataFrame]) -> None:
        """Add files to a folder of readings, and take the readings from there."""
        for name, content in batches.items():
            text = as_csv(content) if isinstance(content, pd.DataFrame) else content
            self.write(f"batches/{name}", text)
        self.main, self.readings = "batches", {"folder": "batches"}


def build(root: Path, patch: pytest.MonkeyPatch) -> Plant:
    """Write a clean delivery, and the suites that are proposed for it."""
    plant = Plant(root, patch)
    plant.deliver(readings())
    plant.write("sensors.csv", as_csv(SENSORS))
    plant.write("calibrations.csv", as_csv(CALIBRATIONS))
    problem = plant.problem
    tables, start = read_sources(problem, root).tables, problem.training.start
    keys = {"readings": ["reading"], "sensors": ["code"], "calibrations": ["sensor", "since"]}
    for table, frame in tables.items():
        time = "at" if table == "readings" else None
        rules = propose(frame, profile(frame), keys[table], time, start)
        for name in ("readings", "batches") if table == "readings" else (table,):
            _write_suite(plant, name, rules)
    linked = link(tables, problem).frame
    _write_suite(plant, "linked", propose_linked(linked, ["reading"], "at", start))
    return plant


def _write_suite(plant: Plant, table: str, rules: list[dict[str, Any]]) -> None:
    suite = {"name": table, "expectations": rules}
    plant.write(f"expectations/{NAME}/{table}.json", json.dumps(suite))
