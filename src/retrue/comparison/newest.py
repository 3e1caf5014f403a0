"""All versions on one hold-out, the newest: the only figures of versions that can be ranked."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from retrue import bundles, data_versions, gate, lake, splits, tracking
from retrue.decision_costs import decision_threshold
from retrue.errors import DataError, RetrueError
from retrue.evidence import figures, resampling
from retrue.verdicts import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from retrue.config import Problem
    from retrue.lineage_facts import Lineage
    from retrue.metrics import Array
    from retrue.refs import DataRef, ModelRef
    from retrue.splits import Split


class Scored(BaseModel):
    """One version on the hold-out; without figures when they would not be comparable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    metrics: dict[str, Interval] = {}
    gain: Interval | None = None
    """Over the version that serves, on the same draws; positive is better."""
    why_not: str | None = None
    """Why there are no figures; None when there are."""


class OnNewest(BaseModel):
    """Every version on the same rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_version: int
    span: str
    n_rows: int
    n_blocks: int
    metric: str
    """Of the gains."""
    confidence: float
    base: int | None
    """The version that gains are over; None when none serves, or it has no figures itself."""
    scored: tuple[Scored, ...]


def on_newest(problem: Problem, origins: Sequence[Lineage], serving: int | None) -> OnNewest:
    """Score versions on the newest hold-out of the newest data version.

    A version that was fitted on rows of it, or predicts another label, gets no figures: they would
    flatter it. The gain is paired and resampled by day, as the gate does it.

    Raises
    ------
    DataError
        There is no data version, or it lacks a column of the definition.
    TrainingError
        Its hold-out is empty, or there is too little to split.
    """
    ref = newest_data(problem)
    models = {one.version: tracking.find(problem.name, one.version) for one in origins}
    parts = splits.split(_frame(problem, ref, list(models.values())), problem, _until(ref))
    y = splits.target(parts.holdout, problem, parts.classes)
    days = splits.blocks(parts.holdout, problem)
    scores: dict[int, Array] = {}
    why_not: dict[int, str] = {}
    for origin in origins:
        model = models[origin.version]
        try:
            reason = unfair(problem, origin, model, parts)
            if reason is None:
                found = bundles.score_with(model.bundle, parts.holdout, parts.classes)
                if not np.isfinite(found).all():
                    reason = "its scores are not all numbers"
                scores |= {} if reason else {origin.version: found}
        except RetrueError as error:
            reason = str(error)
        if reason is not None:
            why_not[origin.version] = reason
    base = serving if serving in scores else None
    draws = resampling.draw(days, problem.gate.resamples, problem.training.seed)
    threshold = decision_threshold(problem)
    return OnNewest(
        data_version=ref.version,
        span=_span(problem, ref, parts),
        n_rows=len(y),
        n_blocks=len(np.unique(days)),
        metric=problem.gate.metric,
        confidence=problem.gate.confidence,
        base=base,
        scored=tuple(
            Scored(version=one.version, why_not=why_not[one.version])
            if one.version in why_not
            else Scored(
                version=one.version,
                metrics=figures.intervals(problem, y, scores[one.version], draws, threshold),
                gain=None
                if base is None or one.version == base
                else _gain(problem, y, scores[base], scores[one.version], days),
            )
            for one in origins
        ),
    )


def newest_data(problem: Problem) -> DataRef:
    """The data version that knows most: the latest `until`, the last made of equals.

    Raises
    ------
    DataError
        There is none.
    """
    known = lake.list_versions(problem.name)
    return (
        max(known, key=lambda ref: (ref.until, ref.version))
        if known
        else data_versions.find(problem.name)
    )


def unfair(problem: Problem, origin: Lineage, model: ModelRef, parts: Split) -> str | None:
    """Why figures of this version on this hold-out would mislead; None when they would not."""
    was = origin.definition.problem
    if was is not None and was["label"]["expression"] != problem.label.expression:
        return f"it predicts another label: {was['label']['expression']}"
    if parts.cut is None:
        return _held_out_others(problem, was)
    fitted_before = bundles.read_manifest(model.bundle)["trained_before"]
    if not fitted_before:
        return "it was fitted without a time column, so on rows of any day"
    if fitted_before > parts.cut.isoformat():
        began = parts.cut.date()
        return f"it was fitted on rows until {fitted_before[:10]}, the hold-out starts on {began}"
    return None


def _held_out_others(problem: Problem, was: dict[str, Any] | None) -> str | None:
    """Where the hash of the key holds rows out, a share as large holds the same ones out."""
    if was is None:
        return "the definition that held its rows out was not kept"
    same_key = was["data"]["time"] is None and was["data"]["key"] == list(problem.data.key)
    if same_key and was["training"]["holdout_share"] >= problem.training.holdout_share:
        return None
    return "it held out other rows, so it was fitted on some of these"


def _frame(problem: Problem, ref: DataRef, models: list[ModelRef]) -> pd.DataFrame:
    """What the split needs, and those features of the versions that the data has."""
    needed = splits.needed_columns(problem)
    known = data_versions.kinds(ref)
    for name in needed:
        if name not in known:
            raise DataError(
                f"the column {name}",
                f"columns {', '.join(known)}",
                f"data version {ref.version} of {problem.name}",
                f"make a data version by the present definition: `retrue train {problem.name}`",
            )
    inputs = (
        feature["name"]
        for model in models
        for feature in bundles.read_signature(model.bundle)["features"]
    )
    wanted = dict.fromkeys((*needed, *(name for name in inputs if name in known)))
    frame = lake.read_version(ref, columns=list(wanted))
    if problem.data.time is None:
        return frame
    return frame.sort_values(problem.data.time, kind="stable", ignore_index=True)


def _gain(problem: Problem, y: Array, theirs: Array, ours: Array, days: Array) -> Interval | None:
    found = gate.compare(y, theirs, ours, days, problem.gate, problem.training.seed)
    if found.gain is None or found.lower is None or found.upper is None:
        return None
    return Interval(value=found.gain, lower=found.lower, upper=found.upper)


def _until(ref: DataRef) -> date:
    return date.fromisoformat(ref.until)


def _span(problem: Problem, ref: DataRef, parts: Split) -> str:
    if parts.cut is None:
        return f"{problem.training.holdout_share:.0%} of all rows, by the hash of their key"
    return f"{parts.cut.date()} to {ref.until}"
