"""What the labels of each window say: the performance against a hold-out, and the concept test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrue import metrics, splits, training
from retrue.performance import concept, realised
from retrue.performance.report import Estimated, Trust
from retrue.performance.verdict import conclude
from retrue.serving import calibration

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from retrue.config import Problem
    from retrue.training import Fitted

N_HOLDOUT_WEEKS = 4


def by_labels(
    problem: Problem, reference: pd.DataFrame, found: Mapping[str, tuple[bool, pd.DataFrame]]
) -> tuple[dict[str, bool], dict[str, bool]]:
    """Whether labels show a model worse by more than `drift.performance_drop`; changed concepts.

    The model of a window learns from the reference's days that are not the window's, but for four
    of their weeks, spread over them, which are its hold-out.
    """
    models: dict[tuple[Any, ...], tuple[Fitted, concept.Labelled]] = {}
    worse, changed = {}, {}
    for name, (_, rows) in found.items():
        mine = np.unique(days(rows))
        key = tuple(mine.tolist())
        if key not in models:
            models[key] = _model(problem, reference[~np.isin(days(reference), mine)])
        fitted, holdout = models[key]
        known = rows[rows["arr_delay"].notna()]
        window = _labelled(problem, fitted, known)
        loss = float(metrics.row_losses("log_loss", holdout.y, holdout.score).mean())
        came = realised.realise(problem, window.y, window.score, window.days, 0.5)
        numeric, categorical = problem.features.numeric, problem.features.categorical
        test = concept.compare(holdout, window, numeric, categorical, problem.drift.seed)
        said = conclude(
            problem,
            Estimated(n_rows=0, n_days=0, reason="labels are there"),
            came,
            test,
            Trust(state="untested", n_scored=0, reason="not asked"),
            loss,
            None,
        )
        worse[name], changed[name] = said.verdict == "worse", test.verdict == "changed"
    return worse, changed


def _model(problem: Problem, rest: pd.DataFrame) -> tuple[Fitted, concept.Labelled]:
    rest = rest[rest["arr_delay"].notna()]
    weeks = np.unique(days(rest).astype("datetime64[W]"))
    chosen = weeks[np.linspace(0, len(weeks) - 1, N_HOLDOUT_WEEKS + 2).astype(int)[1:-1]]
    is_holdout = np.isin(days(rest).astype("datetime64[W]"), chosen)
    parts = splits.Split(rest[~is_holdout], rest[is_holdout], None, ())
    fitted = training.fit(parts, problem)
    return fitted, _labelled(problem, fitted, parts.holdout)


def _labelled(problem: Problem, fitted: Fitted, rows: pd.DataFrame) -> concept.Labelled:
    scores = training.score(fitted.model_text, fitted.features, rows)
    return concept.Labelled(
        splits.target(rows, problem, ()),
        np.asarray(calibration.calibrate(scores.tolist(), fitted.calibrator)),
        days(rows),
        rows,
    )


def days(rows: pd.DataFrame) -> Any:
    """Day of each row."""
    return rows["time_hour"].dt.tz_localize(None).to_numpy("datetime64[D]")
