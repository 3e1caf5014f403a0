"""Options and output that the commands share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrue.story import outline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

Name = Annotated[str, typer.Argument(help="Problem: a file in configs/, without .yaml")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def print_result(
    found: BaseModel | dict[str, Any], as_json: bool, lines: Sequence[str] | None = None
) -> None:
    """Print a result: `lines` for people, an outline where there are none, or one JSON document."""
    plain = found if isinstance(found, dict) else found.model_dump(mode="json")
    if as_json:
        typer.echo(json.dumps(plain, indent=1))
    else:
        typer.echo("\n".join(outline(plain) if lines is None else lines))
