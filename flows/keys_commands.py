"""The commands `retrue keys ...`: who may ask the running service."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.options import Json, Name, print_result
from retrue import api_keys
from retrue.problems import load_problem
from retrue.serving.keys import Scope

app = typer.Typer(help="API keys of a problem's service.", no_args_is_help=True)

Who = Annotated[str, typer.Argument(help="Name of the key: who or what uses it.")]
May = Annotated[list[Scope], typer.Option("--scope", help="What it may do; again for more.")]
_MAY = [Scope.PREDICT, Scope.FEEDBACK]


@app.command()
def add(name: Name, who: Who, scope: May = _MAY, json_: Json = False) -> None:
    """Make a key and show it, this once; from the first on the service asks for keys."""
    key = api_keys.add(load_problem(name).name, who, scope)
    lines = [key, "Keep it: only its hash is stored. It is in force within a second."]
    print_result({"name": who, "key": key}, json_, lines)


@app.command("list")
def list_(name: Name, json_: Json = False) -> None:
    """What is known of each key: name, age and scopes, never the key."""
    found = api_keys.listed(load_problem(name).name)
    keys = [
        {"name": key.name, "created": key.created, "scopes": list(key.scopes)}
        for key in found or ()
    ]
    lines = [f"{key['name']}  {key['created']}  {', '.join(key['scopes'])}" for key in keys]
    print_result(
        {"wanted": found is not None, "keys": keys},
        json_,
        lines or ["no keys" if found is not None else "the service asks for no keys"],
    )


@app.command()
def revoke(name: Name, who: Who, json_: Json = False) -> None:
    """Take a key back; the running service refuses it within a second."""
    api_keys.revoke(load_problem(name).name, who)
    print_result({"revoked": who}, json_)
