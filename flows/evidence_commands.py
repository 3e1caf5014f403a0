"""The commands `retrue lineage`, `compare`, `card`, `report` and `trace`: what is known."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from flows.options import Json, Name
from retrue.problems import load_problem

Version = Annotated[
    int | None, typer.Option(min=1, help="Model version; the newest unless it is given.")
]


def lineage(
    name: Name,
    version: Version = None,
    data: Annotated[
        int | None, typer.Option(min=0, help="A data version: all models made from it.")
    ] = None,
    json_: Json = False,
) -> None:
    """Where a model version comes from, or what was made from a data version."""
    from retrue import lineage, lineage_text
    from retrue.terminal import print_tree

    if version is not None and data is not None:
        raise typer.BadParameter("give a model version or a data version, not both")
    if data is not None:
        descent = lineage.of_data(name, data)
        if json_:
            typer.echo(descent.model_dump_json(indent=1))
        else:
            print_tree(f"{name}, data version {data}", lineage_text.data_facts(descent))
        return
    found = lineage.of_model(name, version)
    if json_:
        typer.echo(found.model_dump_json(indent=1))
    else:
        serves = ", serves" if found.serves else ""
        title = f"{name}, model version {found.version}{serves}"
        print_tree(title, lineage_text.model_facts(found))


def card(
    name: Name,
    version: Version = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    json_: Json = False,
) -> None:
    """Write the model card of a version anew, with what happened since, and tell where it is."""
    from retrue import model_card
    from retrue.story import outline

    problem = load_problem(name)
    path, facts = model_card.write_card(problem, model_card.find(problem, version))
    found = {
        "card": str(path),
        "model_version": facts.lineage.version,
        "mlflow_run": facts.lineage.run_id,
        "promoted": facts.lineage.promoted,
        "not_measured": model_card.absent(facts),
    }
    typer.echo(json.dumps(found, indent=1) if json_ else "\n".join(outline(found)))
    if open_:
        typer.launch(path.as_uri())


def report(
    name: Name,
    kind: Annotated[str, typer.Argument(help="Only pages of a kind, such as drift.")] = "",
    open_: Annotated[bool, typer.Option("--open", help="Show the newest in the browser.")] = False,
    json_: Json = False,
) -> None:
    """List the pages of a problem, newest first: drift checks, validations, models, ..."""
    from retrue import written_pages
    from retrue.terminal import print_table

    load_problem(name)
    found = written_pages.of(name, kind)
    if json_:
        typer.echo(json.dumps([one.facts() for one in found], indent=1))
    else:
        rows = [(one.kind, one.written_at[:16].replace("T", " "), str(one.path)) for one in found]
        print_table(f"Pages of {name}", ("kind", "written (UTC)", "page"), rows)
    if open_:
        typer.launch(written_pages.newest(name, kind).path.as_uri())


def trace(
    prediction_id: Annotated[str, typer.Argument(help="From an answer's prediction_ids.")],
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Score its row again and compare the bits.")
    ] = False,
    json_: Json = False,
) -> None:
    """Tell what made a prediction: server, image, model, data, code, lock, flow run and verdict."""
    from retrue import rescoring, tracing
    from retrue.terminal import print_tree

    found = tracing.trace(prediction_id)
    if rescore:
        found = rescoring.rescored(found)
    if json_:
        typer.echo(found.model_dump_json(indent=1))
    else:
        print_tree(f"prediction {prediction_id}", tracing.facts(found))
    if found.rescored is not None and not found.rescored.is_same:
        raise typer.Exit(1)


def compare(
    name: Name,
    versions: Annotated[
        str, typer.Option(help="Such as 1,4; the newest twelve unless they are given.")
    ] = "",
    on_newest: Annotated[
        bool,
        typer.Option(
            "--on-newest/--as-judged", help="Score all on the same newest hold-out as well."
        ),
    ] = True,
    json_: Json = False,
) -> None:
    """Put model versions side by side, in words and on a page."""
    from retrue import comparison
    from retrue.comparison import text
    from retrue.comparison.page import write_page
    from retrue.terminal import print_table

    problem = load_problem(name)
    found = comparison.compare(problem, _numbers(versions), on_newest)
    path = write_page(found)
    told = found.comparison
    if json_:
        typer.echo(json.dumps({**told.model_dump(mode="json"), "page": str(path)}, indent=1))
        return
    for title, header, rows in text.tables(told):
        print_table(title, header, rows)
    typer.echo("\n".join([*text.remarks(told), f"page  {path}"]))


def _numbers(text: str) -> list[int] | None:
    try:
        return [int(one) for one in text.split(",")] if text else None
    except ValueError:
        raise typer.BadParameter("give version numbers with commas between, such as 1,4") from None
