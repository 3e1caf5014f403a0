"""One training from a data version to a registered model version."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np

from retrue import (
    bundles,
    delta,
    gate,
    lake,
    memory,
    pages,
    run_files,
    service,
    splits,
    tracking,
    training,
)
from retrue.days import midnight
from retrue.evidence import comparison, performance
from retrue.interpretation import change, explain
from retrue.problems import problem_sha256
from retrue.refs import BundleRef, DataRef, ModelRef
from retrue.search.recipe import recipe_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from retrue.config import Problem
    from retrue.gate import Verdict

_NEEDED = ("lightgbm", "sklearn.metrics", "mlflow")


def import_ahead() -> None:
    """Import what fitting and tracking will need, in a thread, while another process validates."""
    Thread(target=lambda: [import_module(name) for name in _NEEDED], daemon=True).start()


def fit_bundle(problem: Problem, data: DataRef, made_by: Mapping[str, str]) -> BundleRef:
    """Fit on the data version's training span and write the bundle."""
    parts = splits.split(_frame(problem, data), problem, date.fromisoformat(data.until))
    memory.give_back()
    fitted, cut = training.fit(parts, problem), parts.cut
    del parts
    written = bundles.write_bundle(
        problem,
        data,
        fitted,
        _reference(problem, data),
        {
            **made_by,
            "trained_before": "" if cut is None else cut.isoformat(),
            "recipe": recipe_of(problem).model_dump(mode="json"),
        },
    )
    del fitted
    memory.give_back()
    return written


def _reference(problem: Problem, data: DataRef) -> pd.DataFrame:
    """Rows of the training span, labelled or not; read anew, not held beside the fit's own."""
    frame = _frame(problem, data)
    if problem.data.time is None:
        return frame
    # In time order: a slice, which is no copy of the rows as a mask would be.
    start = frame[problem.data.time].searchsorted(midnight(problem.training.start))
    return frame.iloc[int(start) :]


def evaluate(problem: Problem, data: DataRef, challenger: BundleRef) -> Verdict:
    """Judge a challenger against the version that serves, or as a first model where none does."""
    return judge(problem, data, challenger, service.rival(problem.name, challenger))


def judge(
    problem: Problem, data: DataRef, challenger: BundleRef, champion: ModelRef | None
) -> Verdict:
    """Evidence for or against promotion, from the hold-out neither model was fitted on.

    A first model has no champion to beat and is held against no skill: the training part's shares
    of the classes, or its mean, for every row. Where the champion was fitted on rows of this
    hold-out the figures would flatter it, so the challenger is refused without any. Meanwhile a
    server of the challenger's bundle starts, and is asked when the figures are there.
    """
    with performance.probing(challenger, problem.serving.ready_timeout_s) as probe:
        verdict = _figures(problem, data, challenger, champion).model_copy(
            update={"champion_version": None if champion is None else champion.version}
        )
        memory.give_back()
        if verdict.gain is None:
            return verdict
        found = probe.measure(problem.gate)
    return gate.weigh(verdict.model_copy(update={"processing": found}), problem.gate)


def _figures(
    problem: Problem, data: DataRef, challenger: BundleRef, champion: ModelRef | None
) -> Verdict:
    rival = None if champion is None else champion.bundle
    more = [] if rival is None else _columns_of_its_own(rival, problem)
    there = delta.column_names(data.path, data.version) if more else []
    gone = [name for name in more if name not in there]
    frame = _frame(problem, data, [name for name in more if name in there])
    # A row's side may hang on all columns of the frame, so it is told without the champion's own.
    mine = frame.drop(columns=more, errors="ignore") if more else frame
    parts = splits.split(mine, problem, date.fromisoformat(data.until))
    why = None
    if gone:
        why = f"the champion needs {', '.join(gone)}, which data version {data.version} lacks"
    elif champion is not None and parts.cut is not None:
        fitted_before = bundles.read_manifest(champion.bundle)["trained_before"]
        if fitted_before > parts.cut.isoformat():
            why = (
                f"the champion was fitted on rows until {fitted_before[:10]}, this hold-out starts"
                f" on {parts.cut.date()}; use a later `until`"
            )
    if why is not None:
        change.challenge(problem, challenger, None, parts.holdout)
        days = splits.blocks(parts.holdout, problem)
        return gate.refused(problem.gate, len(parts.holdout), len(np.unique(days)), why)
    if more:
        parts = replace(parts, holdout=frame.loc[parts.holdout.index])
    del frame, mine
    doubts = change.challenge(problem, challenger, rival, parts.holdout)
    found = comparison.compare(problem, parts, challenger, rival)
    return found.model_copy(update={"doubts": (*found.doubts, *doubts)})


def _columns_of_its_own(champion: BundleRef, problem: Problem) -> list[str]:
    """Inputs of the champion that the definition no longer names."""
    names = [feature["name"] for feature in bundles.read_signature(champion)["features"]]
    return [name for name in names if name not in splits.needed_columns(problem)]


def register(
    problem: Problem,
    data: DataRef,
    bundle: BundleRef,
    verdict: Verdict,
    flow_run_id: str,
    root: Path | None = None,
    search_run: str | None = None,
) -> ModelRef:
    """Log parameters, metrics, inputs and bundle to MLflow and register the version.

    With them go the definition, the verdict, the explanation, the environment and the lock of the
    project folder `root`, and the run of the search that found the recipe, where there was one.
    """
    stored = bundles.read_metrics(bundle)
    manifest = bundles.read_manifest(bundle)
    tags = {
        "retrue.data_version": str(data.version),
        "retrue.data_sha256": data.sha256,
        "retrue.data_until": data.until,
        "retrue.code_commit": manifest["code_commit"],
        "retrue.lock_sha256": manifest["lock_sha256"],
        "retrue.flow_run": flow_run_id,
        "retrue.verdict": verdict.reason,
        **({"retrue.search_run": search_run} if search_run else {}),
        **({"retrue.champion": str(verdict.champion_version)} if verdict.champion_version else {}),
        "mlflow.note.content": pages.canvas(problem),
    }
    run_id = tracking.log_run(
        bundle,
        data,
        tables=lake.pins(data),
        parameters={
            **problem.training.model_dump(mode="json", exclude={"params"}),
            **problem.training.params,
            "until": data.until,
            "features": sum(len(names) for _, names in problem.features),
            "config_sha256": problem_sha256(problem),
        },
        metrics={**stored["metrics"], **_gate_metrics(verdict)},
        curve=stored["curve"],
        tags=tags,
        files={
            **run_files.files(problem, verdict, manifest["lock_sha256"], root),
            **explain.kept(bundle),
        },
    )
    return tracking.register(
        bundle,
        run_id,
        verdict.reason,
        {
            "retrue.promoted": str(verdict.promoted),
            "retrue.doubts": json.dumps(verdict.doubts),
        },
    )


def _gate_metrics(verdict: Verdict) -> dict[str, float]:
    """What the gate measured; a challenger refused unseen has no figures."""
    found = {"gate_gain": verdict.gain, "gate_lower": verdict.lower, "gate_upper": verdict.upper}
    for name, one in verdict.metrics.items():
        found |= {
            f"holdout_{name}": one.value,
            f"holdout_{name}_lower": one.lower,
            f"holdout_{name}_upper": one.upper,
        }
    if verdict.calibration is not None:
        found["holdout_calibration_error"] = verdict.calibration.expected_error
    if verdict.processing is not None:
        measured = verdict.processing.model_dump(exclude={"holds", "reasons"})
        found |= {f"served_{name}": value for name, value in measured.items()}
    return {name: value for name, value in found.items() if value is not None}


def _frame(problem: Problem, data: DataRef, more: Sequence[str] = ()) -> pd.DataFrame:
    """The columns that a training reads, and `more`, in time order, or that of the version."""
    frame = lake.read_version(data, columns=[*splits.needed_columns(problem), *more])
    memory.give_back()  # Arrow's buffers: three times the frame would stay resident during the fit
    time = problem.data.time
    if time is None or frame[time].is_monotonic_increasing:
        return frame
    return frame.sort_values(time, kind="stable", ignore_index=True)
