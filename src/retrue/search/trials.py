"""What is known of a trial, and how much a difference between two of them is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from retrue.search.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from retrue.search.evaluate import FoldScore

State = Literal["complete", "pruned", "failed"]


class FoldResult(BaseModel):
    """One fold of a trial, after its share of the trial's number of rounds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss: float
    auc: float | None
    best_round: int
    """Where this fold alone would have stopped."""
    block_losses: tuple[float, ...]
    """Mean loss of each block (day) of the scored rows."""
    block_rows: tuple[int, ...]
    block_names: tuple[int, ...]
    seconds: float


class TrialRecord(BaseModel):
    """One trial: what was tried, what came out and what it cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    state: State
    origin: Literal["configured", "champion", "guess", "variation", "neighbour", "sampled"]
    recipe: Recipe
    choices: dict[str, bool | int | float | str]
    value: float | None
    """Of the gate's metric, mean over the folds; None unless it is complete."""
    folds: tuple[FoldResult, ...]
    started_s: float
    """Seconds since the first trial began."""
    seconds: float


class Difference(BaseModel):
    """Mean loss of one trial less that of another on the same rows, and its standard error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float
    standard_error: float


def difference(ours: Sequence[FoldResult], theirs: Sequence[FoldResult]) -> Difference:
    """Paired difference of two trials over the folds that both have; positive: ours is worse.

    Differences are paired by block, for two recipes find the same day hard, and each fold counts
    alike. The error is the larger of two: that between blocks (rows of a day are one observation,
    also when several folds score them; Cameron & Miller 2015) and that between folds (a season may
    favour one recipe for a month).
    """
    n = min(len(ours), len(theirs))
    means = np.zeros(n)
    parts: dict[int, float] = {}
    for k in range(n):
        rows = np.array(ours[k].block_rows, dtype=np.float64)
        gaps = np.array(ours[k].block_losses) - np.array(theirs[k].block_losses)
        means[k] = np.average(gaps, weights=rows)
        for name, part in zip(
            ours[k].block_names, rows / rows.sum() * (gaps - means[k]) / n, strict=True
        ):
            parts[name] = parts.get(name, 0.0) + float(part)
    by_block = float(np.sqrt(sum(part**2 for part in parts.values())))
    by_fold = float(means.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    return Difference(mean=float(means.mean()), standard_error=max(by_block, by_fold))


def upper_loss(fold: FoldResult) -> float:
    """Loss of a fold and its standard error between blocks (Cameron & Miller 2015)."""
    rows = np.array(fold.block_rows, dtype=np.float64)
    gaps = rows / rows.sum() * (np.array(fold.block_losses) - fold.loss)
    return fold.loss + float(np.sqrt(np.sum(gaps**2)))


def fold_results(scores: Sequence[FoldScore]) -> tuple[int, tuple[FoldResult, ...]]:
    """Rounds of a trial's model of all rows, and its folds after their share of them.

    One number for all folds, where their mean loss is least: were each fold to choose its own, it
    would be judged by the rows that chose. Twice the rows bear about twice the rounds, so a fold is
    scored after as many as its share of the rows allows. Between two looks its losses lie on the
    line from one to the other.
    """
    most = max(int(min(score.rounds[-1] / score.share for score in scores)), 1)
    wanted = np.arange(1, most + 1)
    curves = [np.interp(wanted * score.share, score.rounds, score.curve) for score in scores]
    best = int(np.mean(curves, axis=0).argmin())
    return best + 1, tuple(
        FoldResult(
            loss=float(curve[best]),
            auc=score.auc,
            best_round=int(score.rounds[score.curve.argmin()]),
            block_losses=tuple(_block_losses(score, float(wanted[best] * score.share)).tolist()),
            block_rows=tuple(score.block_rows.astype(int).tolist()),
            block_names=tuple(score.block_names.tolist()),
            seconds=score.seconds,
        )
        for score, curve in zip(scores, curves, strict=True)
    )


def _block_losses(score: FoldScore, n_rounds: float) -> NDArray[np.float64]:
    """Mean loss of each block after `n_rounds`, shape (n_blocks,)."""
    place = float(np.interp(n_rounds, score.rounds, np.arange(len(score.rounds))))
    look = int(place)
    sums: NDArray[np.float64] = score.block_sums[look]
    if place > look:
        sums = sums + (place - look) * (score.block_sums[look + 1] - sums)
    losses: NDArray[np.float64] = sums / np.maximum(score.block_rows, 1)
    return losses
