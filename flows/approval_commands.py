"""The commands `retrue approvals`, `approve` and `reject`: a person's word from the terminal."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from flows.options import Json, Name, print_result
from retrue import stack
from retrue.approval_answers import Answer
from retrue.errors import ConfigError
from retrue.problems import load_problem
from retrue.story import outline

Version = Annotated[
    int | None, typer.Option(min=1, help="Model version; the one that waits unless it is given.")
]
By = Annotated[str, typer.Option(help="Who decides.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the ledger and the registry.")]


def approvals(name: Name, json_: Json = False) -> None:
    """Which versions wait for a person's word, and what was decided, by whom and why."""
    from retrue import approval_facts, ledger
    from retrue.data_text import columns

    load_problem(name)
    found = [approval_facts.facts(one) for one in ledger.approvals(ledger.connect(), name)]
    header = ("version", "status", "by", "asked at", "answer until", "why", "reason", "page")
    lines = [
        (
            str(one["model_version"]),
            one["status"],
            one["decided_by"] or "-",
            one["asked_at"][:16],
            one["deadline_at"][:16] if one["status"] == "waiting" else "-",
            "; ".join(one["why"]) or "-",
            " ".join((one["reason"] or "-").split()),
            one["page"] or "-",
        )
        for one in found
    ]
    print_result({"approvals": found}, json_, columns(header, lines))


def approve(
    name: Name, by: By, reason: Reason, version: Version = None, json_: Json = False
) -> None:
    """Let a version be deployed: the run that waits goes on, or a later one need not ask."""
    _answer(name, version, "approve", by, reason, json_)


def reject(
    name: Name, by: By, reason: Reason, version: Version = None, json_: Json = False
) -> None:
    """Keep a version from being deployed; what serves now goes on."""
    _answer(name, version, "reject", by, reason, json_)


def _answer(
    name: str,
    version: int | None,
    decision: Literal["approve", "reject"],
    by: str,
    reason: str,
    as_json: bool,
) -> None:
    load_problem(name)
    try:
        answer = Answer(decision=decision, reason=reason, name=by)
    except ValidationError as error:
        (first, *_) = error.errors()
        option = {"name": "--by", "reason": "--reason"}.get(str(first["loc"][0]), "the answer")
        remedy = "write it in words"
        found = f"{first['input']!r} ({first['msg']})"
        raise ConfigError("some text", found, option, remedy) from error
    stack.connect()
    from retrue import approval_facts, approvals

    told = approval_facts.facts(approvals.answer_by_hand(name, version, answer))
    if told["page"]:
        told["then"] = f"the run at {told['page']} goes on"
    elif decision == "approve":
        told["then"] = f"`retrue deploy {name} --version {told['model_version']}` brings it in"
    print_result(told, as_json, outline({**told, "why": "; ".join(told["why"])}))
