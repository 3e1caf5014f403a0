"""What a demo tells: progress while it runs, a table and a file of facts at its end."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Story:
    """Seconds of each stage and facts of each window, in the order they came."""

    console: Console = field(default_factory=lambda: Console(highlight=False))
    seconds: dict[str, float] = field(default_factory=dict)
    windows: list[dict[str, Any]] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    @contextmanager
    def stage(self, name: str, doing: str) -> Iterator[None]:
        """Show what is being done and how long it takes; the seconds add up under `name`."""
        began = time.perf_counter()
        with self.console.status(f"{doing} ..."):
            yield
        spent = time.perf_counter() - began
        self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 2)
        self.console.print(f"[green]✓[/] {doing} [dim]{spent:.1f} s[/]")

    def tell(self, line: str) -> None:
        """Add a remark to the stage before it."""
        self.console.print(f"  [dim]{line}[/]", markup=True)

    def total_s(self) -> float:
        """Seconds since the story began."""
        return round(time.perf_counter() - self.started, 2)

    def show(self, facts: dict[str, Any]) -> None:
        """Print the windows, the stages and the addresses."""
        self.console.print(_windows(self.windows))
        self.console.print(_stages(facts["seconds"]))
        before, after = facts["before"], facts["after"]
        self.console.print(
            f"Before: model v{before['model_version']} on data v{before['data_version']}."
            f" After: model v{after['model_version']} on data v{after['data_version']}, served by a"
            f" {facts['target']}. Requests that failed: {facts['failed_requests']}, of them"
            f" {facts['failed_during_swap']} while models were swapped."
        )
        for name, url in facts["urls"].items():
            self.console.print(f"{name:<12} [link={url}]{url}[/link]")


def _windows(windows: list[dict[str, Any]]) -> Table:
    table = Table(title="What the loop saw and did", title_justify="left")
    for heading in ("window", "served by", "drift", "top feature", "decision", "gate", "after"):
        table.add_column(heading)
    for one in windows:
        gain = one.get("gain")
        evidence = (
            "" if gain is None else f" {gain:+.4f} [{one['lower']:+.4f}, {one['upper']:+.4f}]"
        )
        table.add_row(
            one["window"],
            f"v{one['served_by']}",
            f"{one['magnitude']:.0f} %" if one["magnitude"] is not None else "?",
            f"{one['top_feature']} ({one['top_contribution']:.0f} %)",
            one["decision"],
            one.get("outcome", "-") + evidence,
            f"v{one['serves_after']}",
        )
    return table


def _stages(seconds: dict[str, float]) -> Table:
    table = Table(title="Seconds of each stage", title_justify="left")
    for name in seconds:
        table.add_column(name, justify="right")
    table.add_row(*(f"{spent:.1f}" for spent in seconds.values()))
    return table
