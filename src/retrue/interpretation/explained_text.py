"""An explanation on a terminal: tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.interpretation.seen_values import shown
from retrue.story import console, table

if TYPE_CHECKING:
    from retrue.interpretation.report import Explained

N_LINES = 10


def tell(found: Explained) -> None:
    """Print what leads, what the row's score is made of, what would flip it, and the page."""
    out = console()
    features = found.explanation.features[:N_LINES]
    lines = [
        (
            one.name,
            f"{one.share:.1%}",
            f"{one.gain_share:.1%}",
            "-" if one.direction is None else f"{one.direction:+.2f}",
        )
        for one in features
    ]
    title = f"What version {found.model_version} leans on ({found.explanation.unit})"
    out.print(table(title, ("feature", "SHAP", "gain", "direction"), lines))
    if found.row is not None:
        row = found.row
        said = "" if row.decision is None else f", decided {row.decision}"
        title = f"{row.title}: score {row.score:.4g}{said}"
        parts = [(name, f"{size:+.4f}") for name, size in row.contributions.items()][:N_LINES]
        ends = [("base", f"{row.base:+.4f}"), *parts, ("margin", f"{row.margin:+.4f}")]
        out.print(table(title, ("feature", "contribution"), ends))
        changes = [
            (one["column"], shown(one["before"]), shown(one["after"]), f"{one['distance']:.2f}")
            for one in row.counterfactual
        ]
        if changes:
            header = ("column", "is", "would have to be", "distance")
            out.print(table("What would flip the decision", header, changes))
        out.print(row.said, markup=False)
    for doubt in found.change.doubts if found.change else ():
        out.print(f"Worth a look: {doubt}", style="yellow", markup=False)
    out.print(f"Page: {found.page}", soft_wrap=True, markup=False)
