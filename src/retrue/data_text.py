"""Data versions and the quarantine as lines of text for a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from retrue.story import outline

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from retrue.data_diff import Diff
    from retrue.data_shift import Shift

_SHIFTS_SHOWN = 12
_LONG = 60


def diff_lines(found: Diff) -> list[str]:
    """What changed, the schema first, then rows, cells and distributions."""
    if found.is_empty:
        return [f"Versions {found.before} and {found.after} hold the same."]
    retyped = [f"{name} ({old} -> {new})" for name, (old, new) in found.retyped_columns.items()]
    names = {
        "changed sources": found.changed_tables,
        "added columns": found.added_columns,
        "removed columns": found.removed_columns,
        "retyped columns": retyped,
        "rows by": found.key or ("all of their values",),
    }
    counts = {
        "rows added": found.n_added,
        "rows removed": found.n_removed,
        "rows changed": found.n_changed,
        "rows the same": found.n_same,
    }
    lines = outline(
        {name: ", ".join(told) for name, told in names.items() if told}
        | {name: f"{count:,}" for name, count in counts.items()}
    )
    if found.cells:
        n_cells = sum(found.changed_columns.values())
        lines += ["", f"Changed cells, {len(found.cells)} of {n_cells:,}:"]
        cells = [(one.column, one.old, one.new, one.key) for one in found.cells]
        lines += columns(("column", "old", "new", "row"), cells)
    for rows, word in ((found.added, "Added"), (found.removed, "Removed")):
        lines += ["", f"{word} rows, the first {len(rows)}:", *rows] if rows else []
    if found.shifts:
        header = ("column", "psi", "ks", "mean", "", "median", "", "missing", "", "shares")
        lines += ["", "Distributions, before and after:"]
        lines += columns(header, [_shift_line(one) for one in found.shifts[:_SHIFTS_SHOWN]])
        if len(found.shifts) > _SHIFTS_SHOWN:
            lines.append(f"and {len(found.shifts) - _SHIFTS_SHOWN} columns that moved less")
    return lines


def fault_lines(faults: pd.DataFrame, releases: pd.DataFrame, limit: int) -> list[str]:
    """Faults counted by rule, then the first `limit` of them one a line."""
    if faults.empty:
        return ["No row was ever set aside."]
    found = faults.sort_values(["table", "rule", "source_row", "key"])
    counts = (
        found.assign(released=found["fault_id"].isin(releases["fault_id"]))
        .groupby(["table", "column", "rule"])["released"]
        .agg(["size", "sum"])
        .reset_index()
    )
    rules = [
        (row["table"], row["column"], f"{row['size']:,}", f"{row['sum']:,}", row["rule"])
        for row in counts.to_dict("records")
    ]
    rows = [
        (
            row["fault_id"][:12],
            row["table"],
            "-" if row["source_row"] is None else str(row["source_row"]),
            _cut(f"{row['column']} {row['value']}".strip()),
            "released" if row["released"] else "set aside",
            row["key"],
        )
        for row in fault_records(found.head(limit), releases)
    ]
    lines = columns(("table", "column", "rows", "released", "rule"), rules)
    lines += ["", *columns(("fault", "table", "row", "value", "state", "key"), rows)]
    if len(found) > limit:
        lines.append(f"and {len(found) - limit:,} more: raise --limit, or use --json")
    return lines


def fault_records(faults: pd.DataFrame, releases: pd.DataFrame) -> list[dict[str, Any]]:
    """Faults as JSON values, each with who released it, when and why, or None."""
    let_pass = {
        row["fault_id"]: {"by": row["by"], "reason": row["reason"], "at": row["at"].isoformat()}
        for row in releases.to_dict("records")
    }
    # A column of whole numbers with missing ones is one of floats.
    present = faults["source_row"].notna()
    records = faults.drop(columns="source_row").to_dict("records")
    return [
        {
            **{str(name): value for name, value in row.items()},
            "source_row": int(at) if there else None,
            "released": let_pass.get(row["fault_id"]),
        }
        for row, at, there in zip(records, faults["source_row"], present, strict=True)
    ]


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned columns; the last column is as long as it is."""
    table = [header, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _shift_line(one: Shift) -> tuple[str, ...]:
    sides = (one.before, one.after)
    return (
        one.column,
        _number(one.psi, ".4f"),
        _number(one.ks, ".4f"),
        *(_value(side.mean, one) for side in sides),
        *(_value(side.median, one) for side in sides),
        *(f"{side.missing:.2%}" for side in sides),
        ", ".join(f"{text} {p:.1%} -> {q:.1%}" for text, (p, q) in one.shares.items()),
    )


def _value(value: float | None, of: Shift) -> str:
    if value is None or not of.is_time:
        return _number(value, ".6g")
    return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else text[:_LONG] + " …"
