"""Missing values and balance of the classes, before and after processing: look before you fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from retrue.encoding_frame import encode_frame
from retrue.frame_columns import column, numbers, texts
from retrue.pages import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from retrue.serving.features import Feature

# A table of a few dozen rows is read; a page of 300 columns says the rest in one line.
_MAX_SHOWN = 40
_MAX_CELL = 80
# More distinct whole numbers than this are an amount, not classes.
_MAX_CLASSES = 100

Task = Literal["binary", "multiclass", "regression"]


class FeatureState(BaseModel):
    """What processing did to one feature; shares are of all rows, 0 to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Literal["numeric", "categorical", "date", "text"]
    missing_before: float = Field(ge=0, le=1)
    missing_after: float = Field(ge=0, le=1)
    """What the model sees as missing: null and not filled, or a category without a code."""
    clipped: float = Field(default=0, ge=0, le=1)
    """Share of the known values that were beyond a bound."""
    n_rare_merged: int = Field(default=0, ge=0)
    """Categories of these rows that share the code for all others."""


class ClassState(BaseModel):
    """Share of one class among the rows and, of their weights, after weighting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    n_rows: int = Field(ge=0)
    share_before: float = Field(ge=0, le=1)
    share_after: float = Field(ge=0, le=1)


class Checkpoint(BaseModel):
    """Training rows before and after processing; `classes` or `quartiles`, by the task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_rows: int = Field(ge=0)
    features: tuple[FeatureState, ...]
    classes: tuple[ClassState, ...]
    """In the order of the model's outputs; empty for a regression."""
    quartiles: tuple[float, ...]
    """Least, quarter, middle, three quarters and greatest of a regression's target; else empty."""


def class_weights(
    y: NDArray[np.float64], how: Literal["none", "balanced"]
) -> NDArray[np.float64] | None:
    """Weights of rows under which each class counts as much as any other.

    n / (n_classes * count of the class), the weighting of King & Zeng (2001) for equal population
    shares. Scores of a model fitted so are probabilities in that balanced world, not in this one.

    Parameters
    ----------
    y : ndarray, shape (n_samples,)
        Classes; only those that occur are counted.
    how : "none" or "balanced"
        "none" gives None.

    Returns
    -------
    ndarray, shape (n_samples,), or None
        Positive, with mean 1.

    Examples
    --------
    >>> class_weights(np.array([0.0, 0.0, 0.0, 1.0]), "balanced").round(2).tolist()
    [0.67, 0.67, 0.67, 2.0]
    """
    if how == "none":
        return None
    classes, position, counts = np.unique(y, return_inverse=True, return_counts=True)
    weights: NDArray[np.float64] = len(y) / (len(classes) * counts)
    return weights[position]


def checkpoint(
    frame: pd.DataFrame,
    y: NDArray[np.float64],
    features: Sequence[Feature],
    weights: NDArray[np.float64] | None = None,
    task: Task | None = None,
    classes: Sequence[str] = (),
) -> Checkpoint:
    """Take stock of the rows that a model is fitted to.

    Parameters
    ----------
    frame : DataFrame, shape (n_samples, ...)
        Rows as they were before processing.
    y : ndarray, shape (n_samples,)
        Target: positions of classes, or the values of a regression.
    features : sequence of Feature
        As fitted.
    weights : ndarray, shape (n_samples,), or None
        Weight of each row; None weighs all alike.
    task : "binary", "multiclass", "regression" or None
        None tells by `y`: at most 100 distinct whole numbers, none below 0, are classes.
    classes : sequence of str
        Texts of the classes by position; a position without one is its own text.

    Returns
    -------
    Checkpoint
        Shares of no rows are 0.

    Raises
    ------
    DataError
        As `encode_frame`.
    """
    found = np.unique(y)
    are_classes = len(found) <= _MAX_CLASSES and not np.any((found < 0) | (found % 1 != 0))
    is_regression = task == "regression" or (task is None and not are_classes)
    quartiles = np.quantile(y, (0, 0.25, 0.5, 0.75, 1)) if is_regression and len(y) else found[:0]
    return Checkpoint(
        n_rows=len(frame),
        features=tuple(_feature(frame, feature) for feature in features),
        classes=() if is_regression else _classes(y, weights, classes),
        quartiles=tuple(quartiles.tolist()),
    )


def markdown(found: Checkpoint) -> str:
    """Section of a page: the classes or the quartiles, then each feature there is a word about."""
    parts = ["## Checkpoint before fitting", f"{found.n_rows:,} training rows."]
    if found.quartiles:
        quartiles = [f"{value:g}" for value in found.quartiles]
        heads: tuple[str, ...] = ("least", "first quartile", "median", "third quartile", "greatest")
        parts.append(table(heads, [quartiles]))
    if found.classes:
        # The rarest, where they are many: a class with few rows is what the page is read for.
        limit = sorted(one.n_rows for one in found.classes)[:_MAX_SHOWN][-1]
        classes = [one for one in found.classes if one.n_rows <= limit][:_MAX_SHOWN]
        heads = ("class", "rows", "share", "share after weighting")
        parts.append(table(heads, [_class_row(one) for one in classes]))
        parts += _rest(len(found.classes) - len(classes), "classes with as many rows or more")
    told = [one for one in found.features if one.missing_before or one.clipped or one.n_rare_merged]
    told.sort(key=lambda one: -one.missing_before)
    if told:
        heads = ("feature", "kind", "missing before", "missing after", "clipped", "rare merged")
        parts.append(table(heads, [_feature_row(one) for one in told[:_MAX_SHOWN]]))
        parts += _rest(len(told) - _MAX_SHOWN, "features with fewer missing values")
    n_untold = len(found.features) - len(told)
    parts += _rest(n_untold, "features without a missing, clipped or merged value")
    return "\n\n".join(parts)


def _feature(frame: pd.DataFrame, feature: Feature) -> FeatureState:
    name, kind = feature["name"], feature["kind"]
    values = column(frame, name)
    before = after = _share(values.isna().to_numpy())
    clipped, n_rare_merged = 0.0, 0
    if kind in ("numeric", "categorical"):
        after = _share(np.isnan(encode_frame(frame, [feature])[:, 0]))
    if kind == "numeric":
        known = numbers(values, name)
        known = known[~np.isnan(known)]
        low, high = feature.get("low", -np.inf), feature.get("high", np.inf)
        clipped = _share((known < low) | (known > high))
    if kind == "categorical" and feature.get("other"):
        n_rare_merged = len(set(texts(values, name)[1]) - set(feature.get("categories", [])))
    return FeatureState(
        name=name,
        kind=kind,
        missing_before=before,
        missing_after=after,
        clipped=clipped,
        n_rare_merged=n_rare_merged,
    )


def _classes(
    y: NDArray[np.float64], weights: NDArray[np.float64] | None, texts: Sequence[str]
) -> tuple[ClassState, ...]:
    positions = y.astype(np.intp)
    counts = np.bincount(positions, minlength=len(texts))
    weighed = np.bincount(positions, weights, minlength=len(texts))
    before, after = (of / (of.sum() or 1) for of in (counts, weighed))
    return tuple(
        ClassState(
            label=texts[i] if i < len(texts) else str(i),
            n_rows=int(counts[i]),
            share_before=float(before[i]),
            share_after=min(float(after[i]), 1.0),
        )
        for i in range(len(counts))
    )


def _share(chosen: NDArray[np.bool_]) -> float:
    return float(chosen.mean()) if len(chosen) else 0.0


def _class_row(one: ClassState) -> list[str]:
    shares = map(_percent, (one.share_before, one.share_after))
    return [_cell(one.label), f"{one.n_rows:,}", *shares]


def _feature_row(one: FeatureState) -> list[str]:
    shares = map(_percent, (one.missing_before, one.missing_after, one.clipped))
    return [_cell(one.name), one.kind, *shares, str(one.n_rare_merged)]


def _rest(n: int, what: str) -> list[str]:
    return [f"Not shown: {n:,} {what}."] if n > 0 else []


def _percent(share: float) -> str:
    """A share in words that do not hide a single row.

    Examples
    --------
    >>> [_percent(share) for share in (0, 0.00001, 0.5, 0.99999, 1)]
    ['0 %', '<0.01 %', '50.00 %', '>99.99 %', '100 %']
    """
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    if share < 0.0001:
        return "<0.01 %"
    return ">99.99 %" if share > 0.9999 else f"{100 * share:.2f} %"


def _cell(text: str) -> str:
    """A name from the data inside a table: it must not be taken for markup or HTML."""
    plain = " ".join(text.split())[:_MAX_CELL]
    for sign in "\\`*_[]<>&#~":
        plain = plain.replace(sign, "\\" + sign)
    return plain
