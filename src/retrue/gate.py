"""Does a challenger deserve promotion: paired evidence, resampled by day."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from retrue import metrics
from retrue.config import Gate
from retrue.errors import TrainingError
from retrue.evidence import resampling
from retrue.evidence.figures import deciding_values
from retrue.evidence.seeds import with_luck
from retrue.metric_table import TABLE
from retrue.verdicts import (
    Bin,
    Calibration,
    Interval,
    ProcessingPerformance,
    SliceGain,
    Verdict,
)

__all__ = [
    "Bin",
    "Calibration",
    "Interval",
    "ProcessingPerformance",
    "SliceGain",
    "Verdict",
    "against_no_skill",
    "compare",
    "refused",
    "weigh",
]

# Below it the bootstrap has too few blocks to say anything: 5 days give 126 different resamples.
MIN_DAYS = 5
NO_SKILL_AUC = 0.5


def compare(
    y: npt.ArrayLike,
    champion: npt.ArrayLike,
    challenger: npt.ArrayLike,
    days: npt.ArrayLike,
    gate: Gate,
    seed: int,
    twins: Sequence[npt.ArrayLike] = (),
) -> Verdict:
    """Judge a challenger against the champion on the same labelled rows.

    Whole days are drawn with replacement (blocks for dependent data: Kuensch 1989; percentile
    interval: Efron 1979), because rows of a day share weather and outages: a bootstrap of rows
    would promote noise. The order of the rows does not matter, to the last bit.

    Parameters
    ----------
    y : array-like, shape (n_rows,)
        Labels 0 or 1, numbers of classes, or the values of a regression.
    champion, challenger : array-like, shape (n_rows,) or (n_rows, n_classes)
        Probabilities of label 1 or of each class, or predicted values.
    days : array-like, shape (n_rows,)
        The day of each row, or another block of rows that belong together: anything sortable
        without nulls.
    gate : Gate
        Metric, minimal gain, confidence and number of resamples.
    seed : int
        Of the resampling.
    twins : sequence of array-like, each shaped as `challenger`
        Scores of models that differ from the challenger in their seed alone; with them the interval
        holds the luck of the seed (`retrue.evidence.seeds`).

    Returns
    -------
    Verdict
        Promoted only when the lower bound of the gain is above `gate.min_gain`. Refused, with the
        reason, for fewer than 5 days, one class, no rows, and scores that are NaN or outside 0 to
        1 on either side.
    """
    labels = np.asarray(y)
    day = np.asarray(days)
    n_days = len(np.unique(day))
    try:
        if day.shape != labels.shape:
            return refused(gate, len(labels), n_days, f"{len(labels)} labels, {len(day)} days")
        truth, old = metrics.checked(labels, champion, gate.metric)
        models = [metrics.checked(labels, one, gate.metric)[1] for one in (challenger, *twins)]
    except TrainingError as error:
        return refused(gate, len(labels), n_days, str(error))
    if n_days < MIN_DAYS:
        why = f"{n_days} labelled days are fewer than {MIN_DAYS}"
        return refused(gate, len(labels), n_days, why)
    if gate.metric != "squared_error" and truth.min() == truth.max():
        why = f"all {len(truth)} labels are {int(truth[0])}: nothing to tell apart"
        return refused(gate, len(labels), n_days, why)

    draws = resampling.draw(day, gate.resamples, seed)
    # Sums in one order: the same bits for any order of rows.
    keys = [column for score in (*models, old) for column in np.atleast_2d(score.T)]
    order = np.lexsort((*keys, truth, draws.block))
    before, after, gains = gain_draws(
        gate, truth[order], old[order], [one[order] for one in models], draws.of_rows(order), seed
    )
    lower, upper = resampling.bounds(gains[1:], gate.confidence)
    if not np.isfinite([lower, upper]).all():
        why = "too few days hold both classes to resample them"
        return refused(gate, len(labels), n_days, why)
    promoted = lower > gate.min_gain
    over = f"{n_days} days" + (f" and {len(models)} seeds" if twins else "")
    return Verdict(
        promoted=promoted,
        metric=gate.metric,
        champion=float(before[0]),
        challenger=float(after[0]),
        gain=float(gains[0]),
        lower=lower,
        upper=upper,
        confidence=gate.confidence,
        n_rows=len(labels),
        n_days=n_days,
        n_seeds=len(models),
        reason=(
            f"{gate.metric} {before[0]:.4f} -> {after[0]:.4f}: gain {gains[0]:+.4f} "
            f"[{lower:+.4f}, {upper:+.4f}] at {gate.confidence:.0%} over {over}; "
            f"the lower bound is {'above' if promoted else 'not above'} {gate.min_gain:g}"
        ),
    )


def gain_draws(
    gate: Gate,
    y: metrics.Array,
    champion: metrics.Array,
    models: Sequence[metrics.Array],
    draws: resampling.Draws,
    seed: int,
) -> tuple[metrics.Array, metrics.Array, metrics.Array]:
    """Champion, challenger (the first of `models`) and gain under each draw; positive is better."""
    before = deciding_values(gate.metric, y, champion, draws)
    after = [deciding_values(gate.metric, y, one, draws) for one in models]
    return before, after[0], with_luck(after, before, TABLE[gate.metric].sign, seed)


def against_no_skill(
    y: npt.ArrayLike,
    challenger: npt.ArrayLike,
    train_rate: npt.ArrayLike,
    days: npt.ArrayLike,
    gate: Gate,
    seed: int,
) -> Verdict:
    """Judge a first model: as `compare`, against the same score for every row.

    `train_rate` is that score: the training part's share of label 1, its shares of the classes
    (n_classes,), or its mean.
    """
    rate = np.asarray(train_rate, dtype=np.float64)
    constant = np.broadcast_to(rate, (len(np.asarray(y)), *rate.shape))
    return compare(y, constant, challenger, days, gate, seed)


def weigh(verdict: Verdict, gate: Gate, faults: Sequence[str] = ()) -> Verdict:
    """Let what stands beside the gain in a verdict speak: promoted only when all of it holds.

    Each fault, those given and those found in the verdict, is added to its reason, once however
    often it is weighed. A verdict refused unseen stays as it is.
    """
    known = [*faults, *_no_signal(verdict), *_faults(verdict, gate)]
    found = [fault for fault in known if fault not in verdict.reason]
    if verdict.gain is None or not found:
        return verdict
    why = "; ".join([verdict.reason, *found])
    return verdict.model_copy(update={"promoted": False, "reason": why})


def _no_signal(verdict: Verdict) -> list[str]:
    auc = verdict.metrics.get("auc")
    if auc is None or auc.lower > NO_SKILL_AUC:
        return []
    return [f"no signal: AUC {auc.value:.3f} {_span(auc, '.3f')} does not exclude {NO_SKILL_AUC}"]


def _faults(verdict: Verdict, gate: Gate) -> list[str]:
    faults = [
        f"worse on {one.name} {one.value}: gain {one.gain:+.4f} {_span(one, '+.4f')}, where"
        f" {one.margin:g} may be lost"
        for one in verdict.slices
        if not one.holds
    ]
    found = verdict.calibration
    if found is not None and not found.holds:
        faults.append(
            f"probabilities are off by {found.expected_error:.3f} on average, at least"
            f" {found.expected_error_lower:.3f} (allowed {gate.max_calibration_error:g}, champion"
            f" {found.champion_error:.3f}): try training.calibration: auto"
        )
    if verdict.processing is not None:
        faults += verdict.processing.reasons
    return faults


def _span(one: Interval | SliceGain, form: str) -> str:
    return f"[{one.lower:{form}}, {one.upper:{form}}]"


def refused(gate: Gate, n_rows: int, n_days: int, why: str) -> Verdict:
    """A verdict without evidence: the challenger could not be judged, so it is not promoted."""
    return Verdict(
        promoted=False,
        metric=gate.metric,
        champion=None,
        challenger=None,
        gain=None,
        lower=None,
        upper=None,
        confidence=gate.confidence,
        n_rows=n_rows,
        n_days=n_days,
        reason=f"refused: {why}",
    )
