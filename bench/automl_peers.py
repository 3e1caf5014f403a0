"""The peers, as their own tutorials do it: FLAML, Optuna on a random split, AutoGluon."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.serving_peers import CACHE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from retrue.config import Problem
    from retrue.splits import Split


class Given:
    """What a peer is given: the same rows and columns, categories as pandas categories."""

    def __init__(self, problem: Problem, parts: Split) -> None:
        from retrue import splits

        names = [*problem.features.numeric, *problem.features.categorical]
        self.task, self.n_classes = problem.label.task, len(parts.classes)
        self.x, self.x_new = parts.train[names].copy(), parts.holdout[names].copy()
        for name in problem.features.categorical:
            self.x[name] = self.x[name].astype("category")
            self.x_new[name] = self.x_new[name].astype(self.x[name].dtype)
        self.y = splits.target(parts.train, problem, parts.classes)
        self.num_threads = problem.training.num_threads


def flaml(given: Given, budget_s: float, seed: int, learners: Any = ("lgbm",)) -> NDArray[Any]:
    """FLAML's AutoML (Wang et al. 2021) on its default validation; scores of the hold-out."""
    from flaml import AutoML

    automl = AutoML()
    tasks = {"regression": ("regression", "mse")}
    task, metric = tasks.get(given.task, ("classification", "log_loss"))
    automl.fit(
        given.x.reset_index(drop=True),
        given.y if given.task == "regression" else given.y.astype(int),
        task=task,
        metric=metric,
        time_budget=budget_s,
        estimator_list=learners if isinstance(learners, str) else list(learners),
        seed=seed,
        n_jobs=given.num_threads,
        verbose=0,
    )
    if given.task == "regression":
        return np.asarray(automl.predict(given.x_new))
    scores = np.asarray(automl.predict_proba(given.x_new))
    return scores if given.n_classes else scores[:, 1]


def optuna(given: Given, budget_s: float, seed: int) -> NDArray[Any]:
    """Optuna's LightGBM example: TPE, a random fifth validates; then the best on all rows."""
    import lightgbm as lgb
    import optuna as library

    library.logging.set_verbosity(library.logging.WARNING)
    began = time.perf_counter()
    rng = np.random.default_rng(seed)
    validates = rng.random(len(given.y)) < 0.2
    base: dict[str, Any] = {
        "objective": given.task,
        "metric": {"regression": "l2", "multiclass": "multi_logloss"}.get(
            given.task, "binary_logloss"
        ),
        "verbosity": -1,
        "num_threads": given.num_threads,
        "seed": seed,
        **({"num_class": given.n_classes} if given.n_classes else {}),
    }

    def params(trial: library.Trial) -> dict[str, Any]:
        return base | {
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
            "lambda_l1": trial.suggest_float("lambda_l1", 1e-8, 10.0, log=True),
            "lambda_l2": trial.suggest_float("lambda_l2", 1e-8, 10.0, log=True),
            "num_leaves": trial.suggest_int("num_leaves", 2, 256),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.4, 1.0),
            "bagging_fraction": trial.suggest_float("bagging_fraction", 0.4, 1.0),
            "bagging_freq": trial.suggest_int("bagging_freq", 1, 7),
            "min_child_samples": trial.suggest_int("min_child_samples", 5, 100),
        }

    def objective(trial: library.Trial) -> float:
        def stop_late(env: Any) -> None:
            # The first trial may take longer: without any there is no answer.
            if trial.number and time.perf_counter() - began > budget_s:
                raise library.TrialPruned

        train = lgb.Dataset(given.x[~validates], given.y[~validates])
        booster = lgb.train(
            params(trial),
            train,
            1000,
            valid_sets=[train.create_valid(given.x[validates], given.y[validates])],
            callbacks=[lgb.early_stopping(50, verbose=False), stop_late],
        )
        trial.set_user_attr("rounds", booster.best_iteration)
        return float(next(iter(booster.best_score["valid_0"].values())))

    study = library.create_study(sampler=library.samplers.TPESampler(seed=seed))
    study.optimize(objective, timeout=budget_s)
    best = study.best_trial
    booster = lgb.train(
        base | best.params, lgb.Dataset(given.x, given.y), best.user_attrs["rounds"]
    )
    return np.asarray(booster.predict(given.x_new))


@dataclass(frozen=True)
class Packages:
    """Packages of a peer that needs an environment of its own."""

    name: str
    requirements: tuple[str, ...]


AUTOGLUON = Packages("autogluon", ("autogluon.tabular[lightgbm]==1.6.3", "lightgbm==4.7.0"))
"""It wants pandas 2; beside LightGBM it has scikit-learn's forests and neighbours."""


def autogluon(given: Given, budget_s: float, seed: int) -> NDArray[Any]:
    """AutoGluon (Erickson et al. 2020) at its default preset, `medium`; scores of the hold-out."""
    label = "_label"
    told = {
        "label": label,
        "task": given.task,
        "n_classes": given.n_classes,
        "budget_s": budget_s,
        "seed": seed,
        "num_threads": given.num_threads,
    }
    plain = dict.fromkeys(given.x.columns[given.x.dtypes == "category"], object)
    y = given.y if given.task == "regression" else given.y.astype(int)
    # Beyond `num_cpus` its libraries have threads of their own.
    threads = {"OMP_NUM_THREADS": str(given.num_threads)}
    with tempfile.TemporaryDirectory() as folder:
        given.x.astype(plain).assign(**{label: y}).to_parquet(Path(folder) / "train.parquet")
        given.x_new.astype(plain).to_parquet(Path(folder) / "holdout.parquet")
        argv = [str(CACHE / AUTOGLUON.name / "bin/python")]
        argv += [str(Path(__file__).with_name("automl_autogluon.py")), folder, json.dumps(told)]
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, env=os.environ | threads
        )
        if done.returncode:
            raise RuntimeError(f"AutoGluon failed: {done.stderr.strip()[-500:]}")
        scores: NDArray[Any] = np.load(Path(folder) / "scores.npy")
    return scores


PEERS: dict[str, Callable[[Given, float, int], NDArray[Any]]] = {
    "flaml": flaml,
    "flaml_all": lambda given, budget_s, seed: flaml(given, budget_s, seed, "auto"),
    "optuna": optuna,
    "autogluon": autogluon,
}
