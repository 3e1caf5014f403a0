"""The commands `retrue labels ...`: take late labels in, choose rows to label, look at them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from flows.options import Json, Name, print_result
from retrue.errors import ConfigError
from retrue.problems import load_problem

app = typer.Typer(help="Labels that arrive apart from their rows.", no_args_is_help=True)

Answers = Annotated[
    Path,
    typer.Argument(help="CSV of labels by key, a queue's CSV filled in, or Label Studio's JSON."),
]
Author = Annotated[str | None, typer.Option(help="Whose labels, where the file does not say.")]
Rows = Annotated[int, typer.Option("--n", min=1, help="How many rows.")]
Share = Annotated[float, typer.Option(min=0, max=1, help="Share of rows drawn at random.")]
Form = Annotated[Literal["csv", "label-studio"], typer.Option("--format", help="For whom.")]
Since = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only rows from this day on (UTC).")
]
Seed = Annotated[int, typer.Option(min=0, help="Of the random share.")]
Key = Annotated[str | None, typer.Option(help='JSON such as {"visit": 7}: the history of a row.')]


@app.command("import")
def import_(name: Name, file: Answers, author: Author = None, json_: Json = False) -> None:
    """Take labels from a file, each file once."""
    from retrue.labelling.review_answers import import_file

    found = import_file(load_problem(name), file, author, datetime.now(UTC))
    print_result({"taken": found.taken, "skipped": found.skipped}, json_)


@app.command()
def queue(
    name: Name,
    out: Annotated[Path, typer.Option(help="File to write.")],
    n: Rows = 100,
    random_share: Share = 0.2,
    format_: Form = "csv",
    since: Since = None,
    seed: Seed = 7,
    json_: Json = False,
) -> None:
    """Export the least certain predictions without a label, and a random share."""
    from retrue import monitoring
    from retrue.labelling import review_queue

    problem = load_problem(name)
    monitoring.collect(problem.name)
    start = None if since is None else since.replace(tzinfo=UTC)
    chosen = review_queue.build(problem, n, random_share, seed, start)
    found: dict[str, Any] = {"rows": len(chosen), "file": str(out)}
    if format_ == "csv":
        review_queue.export_csv(chosen, out)
    else:
        found["config"] = str(review_queue.export_label_studio(problem, chosen, out))
    print_result(found, json_)


@app.command()
def show(name: Name, key: Key = None, json_: Json = False) -> None:
    """Count the labels, or tell what became known of one row, and when."""
    from retrue import monitoring
    from retrue.labelling import labels

    problem = load_problem(name)
    monitoring.collect(problem.name)
    if key is None:
        print_result(labels.summary(problem.name), json_)
        return
    found = labels.history(problem.name, _key(key, problem.data.key))
    rows = json.loads(found.to_json(orient="records", date_format="iso", date_unit="us"))
    print_result({"labels": rows}, json_)


def _key(text: str, names: tuple[str, ...]) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or set(found) != set(names):
        expected = f"a JSON object with {', '.join(names)}"
        raise ConfigError(expected, repr(text)[:60], "--key", "name each column of data.key")
    return {name: found[name] for name in names}
