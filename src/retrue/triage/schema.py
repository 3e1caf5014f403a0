"""Columns that are gone, and numbers that are no numbers any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retrue.triage.faults import finding
from retrue.triage.sides import counts, shares

if TYPE_CHECKING:
    from retrue.triage.result import Finding
    from retrue.triage.sides import Side

_SHARE = 0.02
"""Of a block's rows; a single slip of the pen is a matter of the suites."""


def absent_columns(known: Side, window: Side) -> list[Finding]:
    """Features that the window lacks altogether."""
    gone = [name for name in window.absent if name not in known.absent]
    return [
        finding("schema", name, f"{name} is not there", window, np.ones(window.n_blocks, np.bool_))
        for name in gone
    ]


def unreadable_numbers(known: Side, window: Side) -> list[Finding]:
    """Numeric features that arrive as text: with decimal commas, units or words."""
    found = []
    for name, values in window.unreadable.items():
        if values.empty:
            continue
        lost = np.zeros(window.n_rows, np.bool_)
        lost[values.index.to_numpy()] = True
        usual = len(known.unreadable[name]) / max(known.n_rows, 1)
        at = np.nan_to_num(shares(lost, window)) > usual + _SHARE
        if not at.any():
            continue
        share = float(counts(lost, window)[at].sum() / window.sizes[at].sum())
        texts = values.map(str).str.strip()
        with_points = texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
        is_comma = pd.to_numeric(with_points, errors="coerce").notna().mean() > 0.9
        found.append(
            finding(
                "decimal comma" if is_comma else "schema",
                name,
                f"{share:.0%} of {name} is no number, such as {texts.iloc[0][:30]!r};"
                f" {usual:.0%} was",
                window,
                at,
                {"share": share, "usual": usual},
            )
        )
    return found
