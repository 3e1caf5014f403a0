"""Trees and tables for a terminal; with `story` the home of rich."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from retrue.story import console

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from retrue.config import Problem
    from retrue.search.trials import TrialRecord

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


@contextmanager
def search_progress(problem: Problem, to: Console) -> Iterator[None]:
    """Within the block show trials done, the best value and the seconds left of a search.

    Where `to` is no terminal nothing is shown.
    """
    if not to.is_terminal:
        yield
        return
    from retrue.search.progress import watched

    metric = problem.gate.metric
    best = max if metric == "auc" else min
    values: list[float] = []
    words = TextColumn("{task.completed:.0f} of {task.total:.0f} trials{task.fields[best]}")
    columns = (TextColumn("search"), BarColumn(), words, _SecondsLeft())
    with Progress(*columns, console=to, transient=True) as bar:
        task = bar.add_task("", total=problem.search.max_trials, best="", until=None)

        def look(trial: TrialRecord, deadline: float) -> None:
            values.extend(() if trial.value is None else (trial.value,))
            told = f", best {metric} {best(values):.4f}" if values else ""
            bar.update(task, advance=1, best=told, until=deadline)

        with watched(look):
            yield


class _SecondsLeft(ProgressColumn):
    """Until the search's deadline, which its first trial tells."""

    def render(self, task: Task) -> Text:
        until = task.fields["until"]
        return Text("" if until is None else f"{max(until - time.time(), 0):.0f} s left")


def _grow(tree: Tree, facts: Mapping[str, Any]) -> None:
    for name, value in facts.items():
        if isinstance(value, dict) and value:
            _grow(tree.add(Text(name, style="cyan")), value)
        else:
            shown = "-" if value in (None, "", {}) else str(value)
            tree.add(Text.assemble((f"{name}  ", "cyan"), shown))
