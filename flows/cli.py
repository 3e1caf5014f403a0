"""The command line: `retrue`."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import (
    approval_commands,
    data_commands,
    evidence_commands,
    init_command,
    keys_commands,
    labels_commands,
)
from flows.options import Json, Name, print_result
from retrue import expectations_process, openmp, stack
from retrue.approval_answers import Rejected
from retrue.errors import RetrueError
from retrue.home import home
from retrue.problems import all_problems, load_problem
from retrue.story import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    pass

app = typer.Typer(
    help="Keep tabular models true while the world drifts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(init_command.init)
app.add_typer(data_commands.app, name="data")
app.add_typer(labels_commands.app, name="labels")
app.add_typer(keys_commands.app, name="keys")
app.command()(approval_commands.approvals)
app.command()(approval_commands.approve)
app.command()(approval_commands.reject)
app.command()(evidence_commands.lineage)
app.command()(evidence_commands.compare)
app.command()(evidence_commands.card)
app.command()(evidence_commands.report)
app.command()(evidence_commands.trace)
err = console(stderr=True)

Since = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day of the window (UTC).")
]
Until = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="Use only what was known before this day (UTC)."),
]
Version = Annotated[int | None, typer.Option(min=1, help="Model version in the registry.")]
Search = Annotated[
    bool,
    typer.Option(
        "--search", help="Look for a better recipe first, within the configuration's `search`."
    ),
]
Reason = Annotated[str, typer.Option(help="Why; kept in the ledger.")]


@app.command()
def up(json_: Json = False) -> None:
    """Start Prefect, MLflow, the deployments and what should serve; leave it running."""
    from retrue import service

    problems = all_problems(Path.cwd())
    at = stack.up(_tell)
    stack.wait_for_deployments(at, len(problems) * stack.FLOWS_PER_PROBLEM)
    serving = service.restore(Path.cwd(), _tell)
    print_result({"prefect": at.prefect, "mlflow": at.mlflow, "serving": serving}, json_)


@app.command()
def down() -> None:
    """Stop all of it: serving, proxies, the runner and the servers."""
    from retrue import service

    service.stop_all(Path.cwd(), _tell)
    stack.down(_tell)


@app.command()
def status(
    json_: Json = False,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Print what the loop found as Prometheus' text.")
    ] = False,
) -> None:
    """What runs, what serves, what the last check found, and what the loop did."""
    from retrue import ledger, loop_metrics, service, status_text
    from retrue.terminal import print_tree

    if prometheus and json_:
        raise typer.BadParameter("give --json or --prometheus, not both")
    if prometheus:
        names = [problem.name for problem in all_problems(Path.cwd())]
        typer.echo(loop_metrics.render(ledger.connect(), names), nl=False)
        return
    found = service.status(Path.cwd())
    if json_:
        print_result(found, json_)
    else:
        print_tree("Retrue", status_text.facts(found, datetime.now(UTC)))


@app.command()
def train(name: Name, until: Until = None, search: Search = False, json_: Json = False) -> None:
    """Make a data version, fit, evaluate and register a model version."""
    expectations_process.start()  # its imports pass beside Prefect's
    _connect(name)
    from flows.training import train as flow

    with _progress(name, search and not json_):
        found = flow(name, _day(until), search)
    print_result(found, json_)


@app.command()
def deploy(
    name: Name, version: Version = None, reason: Reason = "asked for by hand", json_: Json = False
) -> None:
    """Bring a model version (default: the newest) into service."""
    _connect(name)
    from flows.deployment import deploy as flow

    with _stages_shown(name, json_):
        found = _let_through(flow(name, version, reason))
    print_result(found, json_)


@app.command()
def retrain(
    name: Name,
    until: Until = None,
    key: Annotated[str, typer.Option(help="Work with the same key is done once.")] = "",
    reason: Reason = "asked for by hand",
    search: Search = False,
    json_: Json = False,
) -> None:
    """Train on the newest data and deploy the result if it beats the champion."""
    expectations_process.start()
    _connect(name)
    from flows.retraining import retrain as flow

    with _progress(name, search and not json_):
        found = flow(name, _day(until), key, reason, search)
    print_result(found, json_)


@app.command()
def drift_check(name: Name, since: Since = None, until: Until = None, json_: Json = False) -> None:
    """Compare what was served with the training reference; on drift, start a retraining."""
    _connect(name)
    from flows.drift_check import drift_check as flow

    print_result(flow(name, _day(since), _day(until)), json_)


@app.command()
def rollback(
    name: Name, version: Version = None, reason: Reason = "asked for by hand", json_: Json = False
) -> None:
    """Serve the version that served before (or the one named) again."""
    _connect(name)
    from flows.rollback import rollback as flow

    with _stages_shown(name, json_):
        found = _let_through(flow(name, version, reason))
    print_result(found, json_)


@app.command()
def explain(
    name: Name,
    version: Version = None,
    prediction: Annotated[str, typer.Option(help="Id of a logged prediction.")] = "",
    row: Annotated[str, typer.Option(help="A row: a JSON object, or a file with one.")] = "",
    json_: Json = False,
) -> None:
    """Explain a model version, and a prediction or a row by it; write the page."""
    if prediction and row:
        raise typer.BadParameter("give --prediction or --row, not both")
    _connect(name)
    from flows.explanation import explain as flow

    found = flow(name, version, prediction, row)
    if json_:
        print_result(found, json_)
    else:
        from retrue.interpretation.explained_text import tell

        tell(found)


@app.command()
def demo() -> None:
    """The whole loop on real flights: train, serve, drift, retrain, redeploy."""
    from flows.demo import run

    raise typer.Exit(run(Path.cwd()))


def main() -> None:
    """Entry point: a refusal is one line on stderr and exit code 2."""
    _ensure_openmp()
    try:
        app()
    except RetrueError as error:
        err.print(f"retrue: {error}", style="red", soft_wrap=True, markup=False)
        sys.exit(2)


def _ensure_openmp() -> None:
    """Give LightGBM its libgomp.so.1 where a bare machine has none; only a new process sees it."""
    folder = openmp.ensure_openmp(home())
    paths = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    if folder is not None and folder not in paths:
        os.environ["LD_LIBRARY_PATH"] = ":".join([folder, *filter(None, paths)])
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def _progress(name: str, is_shown: bool) -> AbstractContextManager[None]:
    """How far a search is, for people."""
    if not is_shown:
        return nullcontext()
    from retrue.terminal import search_progress

    return search_progress(load_problem(name), console(stderr=True))


def _connect(name: str) -> None:
    load_problem(name)  # a wrong name or configuration is told before anything is started
    stack.connect()
    from prefect.logging.configuration import setup_logging

    setup_logging()
    for handler in logging.getLogger().handlers:
        # A failure is told once, by `main`, in one line; its traceback is in the UI.
        handler.addFilter(lambda record: not _is_told_elsewhere(record))


def _is_told_elsewhere(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR and record.name.startswith("prefect.")


def _let_through(found: Any) -> Any:
    """What serves now; a rejection by a person is a refusal to whoever asked."""
    if isinstance(found, Rejected):
        raise found.error()
    return found


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


@contextmanager
def _stages_shown(name: str, as_json: bool) -> Iterator[None]:
    """Print what the stages of a new deployment saw, also of one that failed."""
    from retrue import deployment
    from retrue.rollout import page as rollout_page
    from retrue.terminal import print_table

    before, _ = deployment.newest_stages(name)
    try:
        yield
    finally:
        newest, stages = deployment.newest_stages(name)
        if stages and newest != before and not as_json:
            rows = rollout_page.stage_rows(stages)
            print_table(f"Stages of deployment {newest}", rollout_page.HEADER, rows)


def _tell(line: str) -> None:
    err.print(line, style="dim", soft_wrap=True, markup=False)
