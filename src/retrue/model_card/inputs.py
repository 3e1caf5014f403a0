"""What a model has seen of each input, by the sample that is kept with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


@dataclass(frozen=True)
class Input:
    """One feature: its range or its categories in the reference sample."""

    name: str
    kind: str
    missing_share: float
    low: float | None = None
    high: float | None = None
    n_categories: int | None = None
    """Categories that the model knows; any other is one that it has not met."""
    examples: tuple[str, ...] = ()
    merges_rare: bool = False


def inputs(features: Sequence[dict[str, Any]], reference: pd.DataFrame) -> tuple[Input, ...]:
    """Tell the range (numeric), the categories (categorical) and the missing share of each feature.

    Parameters
    ----------
    features : sequence of Feature
        As the bundle's signature has them.
    reference : DataFrame, shape (n_rows, n_features)
        The sample that drift is measured against.
    """
    return tuple(_input(feature, reference[feature["name"]]) for feature in features)


def _input(feature: dict[str, Any], values: pd.Series[Any]) -> Input:
    name, kind = feature["name"], feature["kind"]
    missing = float(values.isna().mean()) if len(values) else 0.0
    if kind == "numeric":
        known = values.dropna().to_numpy(np.float64)
        low, high = (float(known.min()), float(known.max())) if len(known) else (None, None)
        return Input(name, kind, missing, low, high)
    if kind == "categorical":
        categories = feature.get("categories", [])
        return Input(
            name,
            kind,
            missing,
            n_categories=len(categories),
            examples=tuple(categories[:6]),
            merges_rare=bool(feature.get("other")),
        )
    return Input(name, kind, missing)
