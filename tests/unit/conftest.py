"""A small problem on disk: visits, the shop each goes to, and the weather of its hour."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from retrue import ledger
from retrue.config import Problem
from retrue.dask_cluster import connect
from retrue.errors import StackError
from retrue.ledger import Ledger
from retrue.problems import load_problem
from retrue.processes import free_port
from tests.unit.clocks import Clock
from tests.unit.postgres import Postgres, postgres_server

if TYPE_CHECKING:
    from distributed import Client
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]

YAML = """\
name: visits
canvas:
  question: Will the visit be late?
  decision: Call ahead before leaving
  decided_by: The dispatcher, for each visit
  cost_false_positive: {amount: 1, unit: call, why: A call for nothing}
  cost_false_negative: {amount: 3, unit: call, why: A visit in vain}
  success: Lower log loss
  baseline: No skill
  data_sources: [Visits of 2024]
  label: Delay above 5 minutes
  label_known: The next day
data:
  sources:
    visits: {path: visits.csv}
    shops: {path: shops.csv}
    weather: {path: weather.csv}
  main: visits
  key: [visit]
  time: at
  links:
    - table: shops
      on: {shop: code}
      columns: {size: shop_size, kind: shop_kind}
    - table: weather
      on: {at: hour}
      columns: {wind: wind}
label: {expression: delay > 5, known_after_days: 1}
features:
  numeric: [amount, shop_size, wind]
  categorical: [shop, shop_kind]
training:
  start: 2024-01-01
  until: 2024-01-20
  holdout_days: 5
  num_boost_round: 10
  seed: 7
"""

VISITS = "visit,at,shop,amount,delay\n" + "".join(
    f"{i},2024-01-{1 + i // 2:02d}T{i % 24:02d}:00:00Z,{'ABC'[i % 3]},{i * 0.5},{i % 9}\n"
    for i in range(40)
)
SHOPS = 'code,size,kind\nA,10,"small, old"\nB,20,large\nZ,30,large\n'
WEATHER = "hour,wind\n" + "".join(
    f"2024-01-{1 + i // 2:02d}T{i % 24:02d}:00:00Z,{5 + i % 4}.5\n" for i in range(40)
)


def _rule(kind: str, severity: str = "critical", **kwargs: object) -> dict[str, object]:
    return {"type": kind, "kwargs": kwargs, "severity": severity}


SUITES = {
    "visits": [
        _rule("expect_table_row_count_to_be_between", max_value={"$PARAMETER": "2 * days"}),
        _rule("expect_column_values_to_be_unique", column="visit"),
        _rule(
            "expect_column_values_to_be_between",
            "warning",
            column="amount",
            min_value=0,
            max_value=100,
        ),
        _rule("expect_column_values_to_be_between", column="delay", min_value=0, max_value=60),
    ],
    "shops": [_rule("expect_column_values_to_not_be_null", column="size")],
    "weather": [
        _rule(
            "expect_column_values_to_be_between",
            "warning",
            column="wind",
            min_value=0,
            max_value=99,
        )
    ],
    "linked": [_rule("expect_column_values_to_not_be_null", column="wind", mostly=0.8)],
}


@dataclass(frozen=True)
class Small:
    """A project folder with one problem."""

    root: Path

    @property
    def problem(self) -> Problem:
        return load_problem("visits", self.root)

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def replace(self, name: str, old: str, new: str) -> Path:
        text = (self.root / name).read_text()
        assert text.count(old) >= 1, f"{old!r} is not in {name}"
        return self.write(name, text.replace(old, new, 1))


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))
    return make_project(tmp_path / "project")


def make_project(root: Path) -> Small:
    """Write the small problem with its tables and suites."""
    project = Small(root)
    project.write("configs/visits.yaml", YAML)
    project.write("visits.csv", VISITS)
    project.write("shops.csv", SHOPS)
    project.write("weather.csv", WEATHER)
    for table, rules in SUITES.items():
        suite = {"name": table, "expectations": rules}
        project.write(f"expectations/visits/{table}.json", json.dumps(suite))
    return project


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a scheduler with two workers, each a process of its own."""
    with dask_cluster(tmp_path_factory.mktemp("dask"), n_workers=2) as address:
        yield address


def _connected(address: str) -> "Client":
    """A client, also of a scheduler that a busy machine is long to start."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return connect(address, "search.cluster")
        except StackError:
            if time.monotonic() > deadline:
                raise


@contextmanager
def dask_cluster(folder: Path, n_workers: int) -> Iterator[str]:
    """A Dask scheduler and its workers, until the end of the block."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    at = ["--host", "127.0.0.1", "--no-dashboard"]
    dask = [sys.executable, "-m", "dask"]
    worker = [*dask, "worker", address, *at, "--nthreads", "1", "--no-nanny"]
    commands = [[*dask, "scheduler", *at, "--port", str(port)], *[worker] * n_workers]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("RETRUE_HOME", None)
    with (folder / "log").open("wb") as log:
        started = [
            subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
            for command in commands
        ]
        try:
            with _connected(address) as client:
                if n_workers:
                    client.wait_for_workers(n_workers, timeout=120)
            yield address
        finally:
            for one in reversed(started):
                one.kill()  # a polite end of a worker waits for half a minute
                one.wait()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all that ask for it."""
    with postgres_server() as server:
        yield server


# Not for the session: while it lives the worker has an event loop, and other tests start their own.
@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no Chromium; on Debian: apt-get install chromium")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=executable, args=sandbox)
        yield chromium
        chromium.close()


@pytest.fixture
def clock() -> Clock:
    """One that stands still until told."""
    return Clock()


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    """Where there is no ledger yet."""
    return f"sqlite:///{tmp_path / 'state' / 'ledger.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def either_ledger_url(request: pytest.FixtureRequest, ledger_url: str) -> str:
    """Where there is no ledger yet, on each of the two databases."""
    if request.param == "sqlite":
        return ledger_url
    return str(request.getfixturevalue("postgres").new_database())


@pytest.fixture
def book(ledger_url: str, clock: Clock) -> Ledger:
    """An empty ledger by that clock; a claim that is silent for a minute is lost."""
    return ledger.connect(ledger_url, clock, lease_s=60)
