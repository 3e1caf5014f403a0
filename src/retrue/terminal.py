"""Trees and tables for a terminal; with `story` the home of rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from retrue.story import console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WHOLE = 22
"""Cells up to this length stay on one line, such as a figure with its interval."""


def print_tree(title: str, facts: Mapping[str, Any]) -> None:
    """Print nested facts: a mapping is a branch, anything else a leaf."""
    root = Tree(Text(title, style="bold"), guide_style="dim")
    _grow(root, facts)
    console().print(root)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of texts; a column of figures stands at the right of its place."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    for at, name in enumerate(header):
        is_number = bool(rows) and all(row[at][:1] in "0123456789+-" for row in rows)
        is_short = all(len(row[at]) <= _WHOLE for row in rows)
        justify: Literal["left", "right"] = "right" if is_number else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=is_short)
    for row in rows:
        table.add_row(*(Text(text) for text in row))  # what a name holds is no markup
    console().print(table)


def _grow(tree: Tree, facts: Mapping[str, Any]) -> None:
    for name, value in facts.items():
        if isinstance(value, dict) and value:
            _grow(tree.add(Text(name, style="cyan")), value)
        else:
            shown = "-" if value in (None, "", {}) else str(value)
            tree.add(Text.assemble((f"{name}  ", "cyan"), shown))
