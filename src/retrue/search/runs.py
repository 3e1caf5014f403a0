"""A search among the runs of MLflow: one run, and a child of it for each trial."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from retrue.tracking import client, experiment

if TYPE_CHECKING:
    from retrue.search.found import Found
    from retrue.search.trials import TrialRecord

SEARCH, TRIAL = "retrue.search", "retrue.trial"
_STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}


def log(found: Found) -> str:
    """Log a finished search, each run once however often it is called; the parent's run id.

    At the end and not trial by trial: a search must not wait for a server, and one that was killed
    has all its trials in its journal.
    """
    where = experiment(found.problem)
    known = client().search_runs([where], f"tags.`{SEARCH}` = '{found.key}'", max_results=10_000)
    logged = {run.data.tags.get(TRIAL, ""): run for run in known}
    parent = logged.get("")
    if parent is None:
        tags = {
            SEARCH: found.key,
            "mlflow.runName": f"search {found.key[:8]}",
            "retrue.data_version": str(found.data_version),
            "retrue.data_sha256": found.data_sha256,
        }
        parent = client().create_run(where, tags=tags)
    run_id = str(parent.info.run_id)
    for trial in found.trials:
        if str(trial.number) not in logged:
            _log_trial(where, run_id, found, trial)
    if parent.info.status != "FINISHED":
        _batch(run_id, {"recipe": found.recipe.model_dump_json()}, _summary(found))
        client().set_tag(run_id, "mlflow.note.content", found.reason)
        client().set_terminated(run_id, "FINISHED")
    return run_id


def _log_trial(where: str, parent: str, found: Found, trial: TrialRecord) -> None:
    end_ms = int(time.time() * 1000)
    tags = {
        "mlflow.parentRunId": parent,
        "mlflow.runName": f"trial {trial.number} {trial.recipe.algorithm}",
        SEARCH: found.key,
        TRIAL: str(trial.number),
        "retrue.trial_state": trial.state,
        "retrue.trial_origin": trial.origin,
    }
    start_ms = end_ms - int(trial.seconds * 1000)
    run_id = client().create_run(where, start_time=start_ms, tags=tags).info.run_id
    recipe = trial.recipe
    parameters = {
        **recipe.params,
        "algorithm": recipe.algorithm,
        "num_boost_round": recipe.num_boost_round,
        "processing": recipe.processing.model_dump_json(exclude_defaults=True),
        "class_weights": recipe.class_weights,
        "half_life_days": recipe.half_life_days,
        "dates": recipe.dates,
    }
    metrics = {"seconds": trial.seconds, "leaves": float(recipe.n_leaves)}
    for k, fold in enumerate(trial.folds):
        metrics |= {f"fold_{k}_loss": fold.loss, f"fold_{k}_seconds": fold.seconds}
        metrics |= {} if fold.auc is None else {f"fold_{k}_auc": fold.auc}
    if trial.value is not None:
        metrics[found.metric] = trial.value
    _batch(run_id, parameters, metrics)
    client().set_terminated(run_id, _STATUS[trial.state], end_ms)


def _summary(found: Found) -> dict[str, float]:
    metrics = {"seconds": found.seconds, "trials": float(len(found.trials))}
    for rival in found.rivals:
        name = rival.name.replace(" ", "_")
        metrics[f"{name}_loss"] = sum(rival.losses) / len(rival.losses)
    if found.choice is not None:
        taken = next(one for one in found.trials if one.number == found.choice.number)
        metrics |= {} if taken.value is None else {found.metric: taken.value}
    return metrics


def _batch(run_id: str, parameters: dict[str, Any], metrics: dict[str, float]) -> None:
    from mlflow.entities import Metric, Param

    now_ms = int(time.time() * 1000)
    client().log_batch(
        run_id,
        metrics=[Metric(name, value, now_ms, 0) for name, value in metrics.items()],
        params=[Param(name, str(value)) for name, value in parameters.items()],
    )
