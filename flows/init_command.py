"""`retrue init`: a problem definition and suites for a table, and what was guessed, for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.options import Json
from retrue.story import console

if TYPE_CHECKING:
    from retrue.initialisation.initialise import Initialised


def init(
    path: Annotated[str, typer.Argument(help="A file, a folder of files, or a URL.")],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    time: Annotated[
        str | None, typer.Option(help="Column that says when a row happened; else guessed.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the problem; by default the file's.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Overwrite a problem of this name.")] = False,
    json_: Json = False,
) -> None:
    """Profile any table; write configs/NAME.yaml and expectations/NAME/, ready to be trained."""
    from retrue.initialisation.initialise import initialise  # pandas and what reads with it

    made = initialise(path, Path.cwd(), target, time, name, force)
    if json_:
        typer.echo(json.dumps(made.model_dump(mode="json"), indent=1, ensure_ascii=False))
    else:
        _tell(made)


def _tell(made: Initialised) -> None:
    out = console()
    out.print(f"[bold]{made.name}[/]: {made.n_rows:,} rows, {made.n_columns} columns")
    for guess in made.guesses:
        style = "yellow" if guess.startswith(("Leak suspect", "Only ")) else None
        # A column's name may look like markup.
        out.print(f"  {guess}", style=style, markup=False, soft_wrap=True)
    for path in (made.config, *made.suites):
        out.print(f"[green]wrote[/] {path}", soft_wrap=True)
    out.print(
        f"Read {made.config}: each guess says why. Then: retrue train {made.name}", soft_wrap=True
    )
