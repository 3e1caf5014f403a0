"""How a finding is written, and what to do about each kind of fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.triage.result import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from retrue.triage.sides import Side

REMEDIES = {
    "schema": "ask the sender what changed in the format, and deliver the days again",
    "decimal comma": "export with decimal points, and deliver the days again",
    "missing burst": "ask what failed on these days, and deliver the values again",
    "join broken": "check the keys of the joined table, and deliver it again",
    "more missing": "ask the sender whether the values are gone for good",
    "stuck": "have the sensor or the feed checked; its values are not measurements",
    "sentinel": "have the sender leave such values empty",
    "units changed": "convert back to the units of the training data, and deliver the days again",
    "swapped columns": "put the columns back in order, and deliver the days again",
    "damaged text": "find where the text is cut or decoded wrongly, and deliver the days again",
    "recoded categories": "map the new codes to the known categories",
    "silent source": "ask whether the source closed or its feed failed",
    "duplicates": "find what sends rows again, and deliver the days once",
    "replayed rows": "find the batch that was sent again under new keys, and take it out",
    "labels flipped": "check which outcome is 1 where the labels are made",
    "labels constant": "check the source of the labels; every outcome is the same",
    "future leak": "take the column out, or find why it knows the outcome",
    "clock shift": "check the time zone of the sender's clock",
    "relation broken": "check the join and the order of rows of these columns",
}
"""Kinds of faults, the one that explains most first, and what an operator should do."""


def finding(
    kind: str,
    column: str,
    evidence: str,
    side: Side,
    at: NDArray[np.bool_],
    figures: Mapping[str, float] | None = None,
    *,
    is_certain: bool = True,
) -> Finding:
    """Write a finding about the blocks `at`, shape (n_blocks,), of the window."""
    days = [day for i in at.nonzero()[0] for day in side.block_days[i]]
    return Finding(
        kind=kind,
        column=column,
        is_certain=is_certain,
        evidence=evidence,
        figures={name: float(value) for name, value in (figures or {}).items()},
        since=min(days) if days else None,
        days=tuple(sorted(days)),
        share=float(side.sizes[at].sum() / max(side.n_rows, 1)),
        remedy=REMEDIES[kind],
    )
