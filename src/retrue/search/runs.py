"""A search among the runs of MLflow: one run, and a child of it for each trial."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, Any

from retrue.tracking import client, experiment

if TYPE_CHECKING:
    from collections.abc import Callable

    from retrue.refs import DataRef
    from retrue.search.found import Found
    from retrue.search.study import StudyRef
    from retrue.search.trials import TrialRecord

SEARCH, TRIAL, DATA = "retrue.search", "retrue.rollout.trial", "retrue.data_sha256"
_STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}


class TrialLog:
    """Tells of a lane's trials as they close, and logs each.

    After a fault it rests: a search must not wait for a server that is away, and what is missing is
    logged at the end.
    """

    def __init__(
        self, ref: StudyRef, data: DataRef, metric: str, say: Callable[[str], None]
    ) -> None:
        self._ref, self._data, self._metric, self._say = ref, data, metric, say
        self._is_resting = False

    def __call__(self, trial: TrialRecord, line: str) -> None:
        """One trial, and what to say of it."""
        from mlflow.exceptions import MlflowException

        self._say(line)
        if self._is_resting:
            return
        try:
            where = experiment(self._ref.problem)
            parent = _parent(where, self._ref.key, self._data.version, self._data.sha256)
            _log_trial(where, parent, self._ref.key, self._metric, trial)
        except (MlflowException, OSError) as error:
            self._is_resting = True
            self._say(f"trials are logged at the end of the search: {error}")


def log(found: Found) -> str:
    """Log a finished search, each run once however often it is called; the parent's run id.

    A trial whose logging was cut off is logged to its end.
    """
    where = experiment(found.problem)
    run_id = _parent(where, found.key, found.data_version, found.data_sha256)
    known = client().search_runs([where], f"tags.`{SEARCH}` = '{found.key}'", max_results=10_000)
    logged = {run.data.tags.get(TRIAL, ""): run for run in known}
    for trial in found.trials:
        one = logged.get(str(trial.number))
        if one is None or one.info.status == "RUNNING":
            begun = None if one is None else one.info.run_id
            _log_trial(where, run_id, found.key, found.metric, trial, begun)
    if logged[""].info.status != "FINISHED":
        _batch(run_id, {"recipe": found.recipe.model_dump_json()}, _summary(found))
        client().set_tag(run_id, "mlflow.note.content", found.reason)
        client().set_terminated(run_id, "FINISHED")
    return run_id


_opening = Lock()


def _parent(where: str, key: str, data_version: int, data_sha256: str) -> str:
    """The search's own run, made by whichever lane comes first."""
    with _opening:
        own = f"tags.`{SEARCH}` = '{key}' and tags.`{DATA}` = '{data_sha256}'"
        for run in client().search_runs([where], own, max_results=1):
            return str(run.info.run_id)
        tags = {
            SEARCH: key,
            "mlflow.runName": f"search {key[:8]}",
            "retrue.data_version": str(data_version),
            DATA: data_sha256,
        }
        return str(client().create_run(where, tags=tags).info.run_id)


def _log_trial(
    where: str, parent: str, key: str, metric: str, trial: TrialRecord, begun: str | None = None
) -> None:
    """Log one trial, into the run that was `begun` for it if there is one."""
    end_ms = int(time.time() * 1000)
    tags = {
        "mlflow.parentRunId": parent,
        "mlflow.runName": f"trial {trial.number} {trial.recipe.algorithm}",
        SEARCH: key,
        TRIAL: str(trial.number),
        "retrue.trial_state": trial.state,
        "retrue.trial_origin": trial.origin,
    }
    start_ms = end_ms - int(trial.seconds * 1000)
    run_id = begun or client().create_run(where, start_time=start_ms, tags=tags).info.run_id
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
        metrics[metric] = trial.value
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
