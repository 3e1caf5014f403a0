"""Limits of a model, derived from its definition, data and evidence; each is one plain sentence."""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrue.model_card.facts import Facts

_YEAR_DAYS = 365
# King & Zeng (2001) call events rare below about 5 %: their probabilities are underestimated.
_RARE = 0.05
# Half of the values: what fills or follows the gap speaks more often than the value.
_MOSTLY_MISSING = 0.5


def not_for(facts: Facts) -> list[str]:
    """Uses that the evidence on the card does not carry."""
    problem = facts.problem
    canvas = problem.canvas
    said = [
        f"Any other question than: {canvas.question}",
        f"Any other decision than: {canvas.decision}. It is decided by:"
        f" {canvas.decided_by}; the score is advice to them.",
        "Telling causes: importance says what moves the score, not what moves the world.",
    ]
    if problem.label.task == "binary":
        said.append(
            f"Other costs than the canvas names: the threshold {facts.threshold:.3g} follows from"
            " them."
        )
    if problem.training.class_weights == "balanced":
        said.append(
            "Reading scores as probabilities: classes were weighted to count alike, so a score is"
            " a probability in that balanced world only."
        )
    verdict = facts.lineage.verdict
    if verdict is not None and verdict.calibration is not None and not verdict.calibration.holds:
        said.append("Reading scores as probabilities: calibration does not hold.")
    if not facts.lineage.promoted:
        said.append("Serving: the gate refused this version.")
    return said


def known_limits(facts: Facts) -> list[str]:
    """Where the model has not been, and what was not looked at."""
    said = [*_time(facts), *_classes(facts), *_values(facts)]
    said += _calibration(facts)
    said.append(
        f"Drift is measured against a sample of {facts.n_reference:,} rows{_span(facts)}, the"
        " hold-out included."
    )
    verdict = facts.lineage.verdict
    if verdict is None or not verdict.slices:
        said.append("No slice was measured: whether some group fares worse is not known.")
    if verdict is not None and verdict.n_days:
        blocks = "random blocks" if facts.problem.data.time is None else "days"
        said.append(
            f"It was judged on {verdict.n_rows:,} rows of {verdict.n_days} {blocks}: of what did"
            " not happen in them nothing is known."
        )
    if facts.problem.label.known_after_days:
        days = facts.problem.label.known_after_days
        said.append(
            f"A label is known {days} day{'s' * (days != 1)} later at the earliest: an error shows"
            " no sooner."
        )
    return said


def _time(facts: Facts) -> list[str]:
    found = training_span(facts)
    if found is None:
        return [
            "There is no time column: rows are held out by chance, so nothing is said of tomorrow."
        ]
    start, cut = found
    n_days = (cut - start).days
    if n_days >= _YEAR_DAYS:
        return []
    known = {(start + timedelta(days=i)).month for i in range(n_days)}
    absent = [calendar.month_name[month] for month in range(1, 13) if month not in known]
    missing = f" It was never fitted to {_listed(absent)}." if absent else ""
    return [f"{n_days} days of training are less than a year: seasons are not told apart.{missing}"]


def _classes(facts: Facts) -> list[str]:
    if facts.checkpoint is None:
        return []
    rare = [one for one in facts.checkpoint.classes if one.share_before < _RARE]
    return [
        f"Class {one.label} is rare in training: {one.n_rows:,} rows, {one.share_before:.2%}."
        for one in rare[:5]
    ]


def _values(facts: Facts) -> list[str]:
    said = []
    if any(one.kind == "numeric" for one in facts.inputs):
        said.append(
            "A number outside of the range it has seen (see the inputs) is scored like the nearest"
            " one inside: trees do not extrapolate."
        )
    merging = [one for one in facts.inputs if one.kind == "categorical"]
    if merging:
        how = "one of the rare ones" if any(one.merges_rare for one in merging) else "missing"
        said.append(f"A category that training has not met is scored as if it were {how}.")
    gaps = [one.name for one in facts.inputs if one.missing_share > _MOSTLY_MISSING]
    if gaps:
        said.append(f"Missing in more than half of the rows: {_listed(gaps)}.")
    return said


def _calibration(facts: Facts) -> list[str]:
    """A fault that is sure, also where it is small enough for the gate."""
    found = facts.lineage.verdict.calibration if facts.lineage.verdict else None
    if found is None or found.slope_lower is None or found.slope_upper is None:
        return []
    if found.slope_lower <= 1 <= found.slope_upper:
        return []
    how = "further from" if found.slope_upper < 1 else "closer to"
    return [
        f"Scores lie {how} the middle than what comes true (slope {found.slope:.2f}, 1 is right):"
        " read the calibration before a score is taken for a probability."
    ]


def training_span(facts: Facts) -> tuple[date, date] | None:
    """First day of the training part and the day after its last; None without a time column.

    Where the definition gives no start, the newest year counts: more is not claimed.
    """
    if facts.problem.data.time is None:
        return None
    training = facts.problem.training
    cut = date.fromisoformat(facts.lineage.data.until) - timedelta(days=training.holdout_days)
    start = training.start if training.start > date.min else cut - timedelta(days=_YEAR_DAYS)
    return start, cut


def _span(facts: Facts) -> str:
    start = facts.problem.training.start
    if facts.problem.data.time is None or start == date.min:
        return ""
    return f" from {start} to {facts.lineage.data.until}"


def _listed(names: list[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
