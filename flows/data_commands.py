"""The command line's `retrue data`: versions of a problem's data, and rows that were set aside."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from flows.options import Json, Name, print_result
from retrue.data_text import columns, diff_lines, fault_lines, fault_records
from retrue.problems import load_problem
from retrue.story import outline

app = typer.Typer(
    help="Data versions, what changed between them, and the quarantine.", no_args_is_help=True
)

Version = Annotated[
    int | None, typer.Option(min=0, help="Data version; the newest unless it is given.")
]
Limit = Annotated[int, typer.Option(min=1, help="How many rows to print.")]


@app.command("list")
def list_(name: Name, json_: Json = False) -> None:
    """All versions: rows, until when, content hash, and what made them."""
    from retrue.data_versions import entries

    load_problem(name)
    found = [asdict(one) for one in entries(name)]
    lines = [
        (
            str(one["version"]),
            one["until"],
            f"{one['n_rows']:,}",
            f"{one['n_set_aside']:,}",
            one["sha256"][:16],
            one["made_by"][:12] or "-",
            one["made_at"],
        )
        for one in found
    ]
    header = ("version", "until", "rows", "set aside", "sha256", "config", "made at")
    print_result({"versions": found}, json_, columns(header, lines))


@app.command()
def show(
    name: Name,
    version: Version = None,
    verify: Annotated[bool, typer.Option(help="Hash the content again.")] = False,
    json_: Json = False,
) -> None:
    """One version: its pinned tables, columns, match rates and faults."""
    from retrue import data_versions

    load_problem(name)
    shown = data_versions.show(data_versions.find(name, version), verify)
    plain = asdict(shown) | {"tables": {k: pin.model_dump() for k, pin in shown.tables.items()}}
    rates = {table: f"{rate:.2%}" for table, rate in shown.match_rates.items()}
    tables = {
        table: f"version {pin.version}, {pin.n_rows:,} rows, {pin.sha256}"
        for table, pin in shown.tables.items()
    }
    words = {**plain, "key": ", ".join(shown.key), "match_rates": rates, "tables": tables}
    print_result(plain, json_, outline({**words.pop("entry"), **words}))


@app.command()
def diff(
    name: Name,
    before: Annotated[int, typer.Argument(metavar="A", help="The one version", min=0)],
    after: Annotated[int, typer.Argument(metavar="B", help="The other version", min=0)],
    limit: Limit = 20,
    json_: Json = False,
) -> None:
    """What changed from version A to B: columns, rows, cells and distributions."""
    from retrue.data_diff import diff as compare
    from retrue.data_versions import find

    load_problem(name)
    found = compare(find(name, before), find(name, after), limit)
    print_result(asdict(found), json_, diff_lines(found))


@app.command()
def export(
    name: Name,
    out: Annotated[Path, typer.Option(help="A file that ends in .csv, .parquet or .jsonl.")],
    version: Version = None,
    force: Annotated[bool, typer.Option(help="Replace a file that is there.")] = False,
    json_: Json = False,
) -> None:
    """Write any version to a file, after its content was verified."""
    from retrue import data_versions

    load_problem(name)
    ref = data_versions.find(name, version)
    size = data_versions.export(ref, out, force)
    found = {
        "out": str(out),
        "size_bytes": size,
        "version": ref.version,
        "n_rows": ref.n_rows,
        "sha256": ref.sha256,
    }
    print_result(found, json_)


@app.command()
def faults(name: Name, limit: Limit = 50, json_: Json = False) -> None:
    """Rows that were set aside: which rule they broke, and whether they were released."""
    from retrue.quarantine import read_quarantine, read_releases

    load_problem(name)
    found, releases = read_quarantine(name), read_releases(name)
    print_result(
        {"faults": fault_records(found, releases)}, json_, fault_lines(found, releases, limit)
    )


@app.command()
def release(
    name: Name,
    by: Annotated[str, typer.Option(help="Who answers for it.")],
    reason: Annotated[str, typer.Option(help="Why the rows are right; kept beside them.")],
    fault_id: Annotated[
        list[str] | None, typer.Argument(help="Ids of faults, or how they begin.")
    ] = None,
    rule: Annotated[
        str, typer.Option(help="All faults whose table, column and rule contain this text.")
    ] = "",
    all_: Annotated[bool, typer.Option("--all", help="Every fault there is.")] = False,
    json_: Json = False,
) -> None:
    """Let rows pass: the next run takes them in again."""
    from retrue import quarantine

    load_problem(name)
    ways = sum((bool(fault_id), bool(rule), all_))
    if ways != 1:
        raise typer.BadParameter("give fault ids, or --rule, or --all, and one of them only")
    if all_:
        ids = quarantine.read_quarantine(name)["fault_id"].tolist()
    else:
        ids = quarantine.ids_of_rule(name, rule) if rule else []
        ids += quarantine.whole_ids(name, fault_id or ())
    n_new = quarantine.release(name, ids, by, reason, datetime.now(UTC))
    found = {"released": n_new, "released_before": len(set(ids)) - n_new}
    print_result(found, json_)


@app.command()
def explore(name: Name, version: Version = None, json_: Json = False) -> None:
    """Write the exploration page of a version, one HTML file, and tell where it is."""
    from retrue.data_versions import find
    from retrue.exploration_page import write_page

    problem = load_problem(name)
    found = {"page": str(write_page(problem, find(name, version)))}
    print_result(found, json_)
