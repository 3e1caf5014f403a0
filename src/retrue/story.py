"""What a demo tells: progress while it runs, a table and addresses at its end. Home of rich."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LOG_WIDTH = 110
"""Columns when the output is no terminal: the window table fits without wrapping."""


def console(*, stderr: bool = False) -> Console:
    """A console that keeps lines whole when its output is a file or a pipe."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal:
        made.width = LOG_WIDTH
    return made


@dataclass
class Story:
    """Seconds of each stage and facts of each window, in the order they came."""

    console: Console = field(default_factory=console)
    seconds: dict[str, float] = field(default_factory=dict)
    windows: list[dict[str, Any]] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    @contextmanager
    def stage(self, name: str, doing: str) -> Iterator[Callable[..., None]]:
        """Show what is being done and how long it took; the seconds add up under `name`.

        Yields a function that shows the latest news of the stage: a word, or (done, of all).
        """
        began = time.perf_counter()
        if not self.console.is_terminal:
            self.console.print(f"… {doing}")
        with self.console.status(doing) as status:
            yield lambda *news: status.update(f"{doing} [dim]{' of '.join(map(str, news))}[/]")
        spent = time.perf_counter() - began
        self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 2)
        self.console.print(f"[green]✓[/] {doing} [dim]{spent:.1f} s[/]")

    def tell(self, line: str) -> None:
        """Add a remark."""
        self.console.print(f"  [dim]{line}[/]", soft_wrap=True)

    def total_s(self) -> float:
        """Seconds since the story began."""
        return round(time.perf_counter() - self.started, 2)

    def show(self, facts: dict[str, Any]) -> None:
        """Print windows, stages and addresses."""
        self.console.print(_windows(self.windows))
        self.console.print(_stages(facts["seconds"]))
        before, after = facts["before"], facts["after"]
        self.console.print(
            f"Before: model v{before['model_version']} on data v{before['data_version']}. After:"
            f" model v{after['model_version']} on data v{after['data_version']}, served by a"
            f" {facts['target']}.\n{facts['answered_during_retraining']:,} requests answered while"
            f" models were retrained and swapped, {facts['failed_during_swap']} failed; of the"
            f" replay's requests {facts['failed_requests']} failed."
        )
        for name, url in facts["urls"].items():
            self.console.print(f"  {name:<12} {url}")
        self.console.print("Everything goes on running: look around, then `make down`.")


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table for people; values from the data are text, never markup."""
    made = Table(title=escape(title), title_justify="left")
    for i, heading in enumerate(header):
        made.add_column(heading, justify="right" if i else "left")
    for row in rows:
        made.add_row(*map(escape, row))
    return made


def outline(found: Any, indent: str = "") -> list[str]:
    """Lines of a nested result for people: one fact a line, dashes where there is nothing."""
    lines = []
    for name, value in found.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{name}", *outline(value, indent + "  ")]
        else:
            lines.append(f"{indent}{name:<18} {'-' if value in (None, {}) else value}")
    return lines


def _windows(windows: list[dict[str, Any]]) -> Table:
    table = Table(title="What the loop saw and did", title_justify="left")
    for heading in ("window", "drift", "top feature", "retrained", "gain in log loss", "serves"):
        table.add_column(heading, no_wrap=True)
    for one in windows:
        magnitude, gain = one["magnitude"], one.get("gain")
        table.add_row(
            one["window"],
            one["decision"] + ("" if magnitude is None else f" {magnitude:.0f} %"),
            f"{one['top_feature']} ({one['top_contribution']:.0f} %)",
            one.get("outcome", "-"),
            "-" if gain is None else f"{gain:+.4f} [{one['lower']:+.4f}, {one['upper']:+.4f}]",
            f"v{one['served_by']} → v{one['serves_after']}",
        )
    return table


def _stages(seconds: dict[str, float]) -> Table:
    table = Table(title="Seconds of each stage", title_justify="left")
    for name in seconds:
        table.add_column(name, justify="right")
    table.add_row(*(f"{spent:.1f}" for spent in seconds.values()))
    return table
