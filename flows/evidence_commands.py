"""The commands `retrue lineage`, `compare` and `card`: what is known of the model versions."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from retrue.problems import load_problem

Name = Annotated[str, typer.Argument(help="Problem: a file in configs/, without .yaml")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
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
