"""How far a column moved, whatever its p-value says: the same for every backend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrue.drift import statistics
from retrue.drift.categories import CategoricalReference, WindowCategories
from retrue.drift.counts import Numbers
from retrue.drift.numbers import NumericReference
from retrue.drift.reference import Column
from retrue.drift.report import Bin
from retrue.drift.window import Counts

# Rarer categories count as one: thousands of texts that occur once would drown the index.
_CATEGORIES = 50


@dataclass(frozen=True)
class Effect:
    """Effect sizes of one column; None where a side has no values."""

    missing_reference: float
    missing_current: float
    psi: float | None = None
    bins: tuple[Bin, ...] = ()
    wasserstein: float | None = None
    new_categories: float | None = None
    p_new_categories: float | None = None


def effect(reference: Column, current: Counts) -> Effect:
    """PSI over the reference's deciles or commonest categories, and what goes with it."""
    n = (reference.counts.n, current.n)
    missing = (
        _share(reference.counts.n_missing, n[0]),
        _share(current.n_missing, n[1]),
    )
    if not all(n):
        return Effect(*missing)
    if isinstance(reference, NumericReference) and isinstance(current, Numbers):
        ends, ref, cur = statistics.decile_bins(reference.counts, current)
        bins = _bins([(end, None) for end in [*ends, None]], ref.tolist(), cur.tolist())
        moved = statistics.wasserstein(reference.counts, current)
        sd = reference.sd
        scaled = None if moved is None or sd == 0 or not np.isfinite(sd) else moved / sd
        return Effect(*missing, statistics.psi(ref, cur), bins, scaled)
    assert isinstance(reference, CategoricalReference)
    assert isinstance(current, WindowCategories)
    common = list(reference.counts.counts)[:_CATEGORIES]
    ref_rows = [reference.counts.counts[name] for name in common]
    cur_rows = [current.counts.counts.get(name, 0) for name in common]
    names: list[tuple[float | None, str | None]] = [(None, name) for name in common]
    rest = n[0] - sum(ref_rows), n[1] - sum(cur_rows)
    if any(rest):
        names.append((None, None))
        ref_rows, cur_rows = [*ref_rows, rest[0]], [*cur_rows, rest[1]]
    return Effect(
        *missing,
        statistics.psi(ref_rows, cur_rows),
        _bins(names, ref_rows, cur_rows),
        new_categories=current.new.n / n[1],
        p_new_categories=statistics.more_often(reference.n_unlisted, n[0], current.new.n, n[1]),
    )


def _share(n_missing: int, n: int) -> float:
    return n_missing / (n_missing + n) if n_missing + n else 0.0


def _bins(
    names: list[tuple[float | None, str | None]], reference: list[int], current: list[int]
) -> tuple[Bin, ...]:
    n_reference, n_current = sum(reference), sum(current)
    return tuple(
        # JSON knows no infinity: the bin above all others has no end.
        Bin(
            up_to=end if end is not None and np.isfinite(end) else None,
            category=category,
            reference=ref / n_reference,
            current=cur / n_current,
        )
        for (end, category), ref, cur in zip(names, reference, current, strict=True)
    )
