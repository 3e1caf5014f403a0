"""One fault of the corpus: how a delivery is damaged, and how the preparation has to end."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.damaged.plant import Plant

Ends = Literal["refused", "set aside", "as clean", "set aside, as clean"]


@dataclass(frozen=True)
class Fault:
    """`words` stand in the refusal; or in table, rule, column, value and row of the quarantine."""

    name: str
    damage: Callable[[Plant], None]
    ends: Ends
    words: tuple[str, ...] = ()


def refused(name: str, damage: Callable[[Plant], None], *words: str) -> Fault:
    return Fault(name, damage, "refused", words)


def set_aside(name: str, damage: Callable[[Plant], None], *words: str) -> Fault:
    return Fault(name, damage, "set aside", words)


def doubles(name: str, damage: Callable[[Plant], None], *words: str) -> Fault:
    return Fault(name, damage, "set aside, as clean", words)


def as_clean(name: str, damage: Callable[[Plant], None]) -> Fault:
    return Fault(name, damage, "as clean")


def with_cell(text: str, row: int, column: str, value: str) -> str:
    """CSV text with one cell replaced; `row` is that of the file, the header is row 1."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    rows[row - 1][rows[0].index(column)] = value
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
