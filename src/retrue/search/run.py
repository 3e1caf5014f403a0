"""A search from a data version to a recipe: begin it, work in lanes, choose."""

from __future__ import annotations

import time
from datetime import date
from threading import Lock
from typing import TYPE_CHECKING

from retrue import bundles, lake, ledger, splits, tracking
from retrue.search import progress
from retrue.search.choice import choose
from retrue.search.evaluate import Evaluator, Material, material
from retrue.search.found import Found, read_found, write_found
from retrue.search.guesses import first_guesses
from retrue.search.lane import work
from retrue.search.recipe import Recipe, of_manifest, recipe_of
from retrue.search.rivals import rivals
from retrue.search.space import MAX_ROUNDS, MAX_ROUNDS_OF, Space
from retrue.search.study import Study, StudyRef, study_ref

if TYPE_CHECKING:
    from retrue.config import Problem
    from retrue.refs import DataRef
    from retrue.search.lane import Tell
    from retrue.search.trials import TrialRecord


class Begun(StudyRef):
    """A search that may be worked at until `deadline` (seconds since the epoch)."""

    deadline: float
    is_finished: bool
    """It was found finished: there is nothing to work at."""


def begin(problem: Problem, data: DataRef) -> Begun:
    """Open the search of this data version, or the one that was cut off.

    The first guesses are the configured recipe, then that of the version that serves.

    Raises
    ------
    TrainingError
        The training part does not give two folds.
    """
    began = time.time()
    ref = study_ref(problem, data)
    if read_found(ref) is not None:
        return Begun(**ref.model_dump(), deadline=began, is_finished=True)
    of = load(problem, data)
    space = _space(of)
    study = Study(ref, problem, space)
    spent = sum(one.seconds for one in study.records()) / problem.search.n_workers
    if not study.rivals():
        # At most a tenth of the budget goes to what cannot be served.
        study.keep_rivals(rivals(of, began + problem.search.budget_s / 10))
    guesses = [("configured", _to_the_turn(recipe_of(problem)))]
    earlier = serving_recipe(problem)
    if earlier is not None and earlier.objective in ("regression", *of.objectives):
        guesses.append(("champion", _to_the_turn(earlier)))
    study.begin(
        [
            *((origin, space.choices(recipe), recipe) for origin, recipe in guesses),
            *(("guess", choices, None) for choices in first_guesses(space)),
        ]
    )
    return Begun(
        **ref.model_dump(), deadline=began + problem.search.budget_s - spent, is_finished=False
    )


def lane(problem: Problem, data: DataRef, begun: Begun, tell: Tell) -> int:
    """Work at a search in one lane, beside others in other threads; number of trials done."""
    if begun.is_finished:
        return 0
    of = load(problem, data)
    study = Study(StudyRef(problem=begun.problem, key=begun.key), problem, _space(of))

    def told(trial: TrialRecord, line: str) -> None:
        tell(trial, line)
        progress.tell(trial, begun.deadline)

    if not problem.search.cluster:
        n = problem.search.n_workers
        here = Evaluator(of, max(problem.training.num_threads // n, 1), n_beside=n - 1)
        return work(study, here, len(of.folds), begun.deadline, told)
    from retrue.search.cluster import RemoteEvaluator

    with RemoteEvaluator(problem, data) as there:
        return work(study, there, len(of.folds), begun.deadline, told)


def finish(problem: Problem, data: DataRef, begun: Begun) -> Found:
    """Choose among the trials and keep what was found; found again, it is the same."""
    ref = StudyRef(problem=begun.problem, key=begun.key)
    known = read_found(ref)
    if known is not None:
        return known
    of = load(problem, data)
    study = Study(ref, problem, _space(of))
    trials = study.records()
    chosen = choose(trials, problem.gate.metric, is_drifting=problem.data.time is not None)
    recipe = recipe_of(problem)
    if chosen is not None:
        recipe = next(one.recipe for one in trials if one.number == chosen.number)
    found = Found(
        problem=problem.name,
        key=begun.key,
        data_version=data.version,
        data_sha256=data.sha256,
        metric=problem.gate.metric,
        recipe=recipe,
        choice=chosen,
        n_folds=len(of.folds),
        fold_names=fold_names(of),
        trials=tuple(trials),
        rivals=study.rivals(),
        importance=study.importance(),
        seconds=sum(one.seconds for one in trials),
    )
    write_found(ref, found)
    _kept.clear()
    return found


_kept: dict[str, Material] = {}
_keeping = Lock()


def load(problem: Problem, data: DataRef) -> Material:
    """Training part and folds of a data version; the last is kept, for all lanes of a process."""
    key = study_ref(problem, data).key
    with _keeping:
        if key not in _kept:
            _kept.clear()
            _kept[key] = _load(problem, data)
        return _kept[key]


def _load(problem: Problem, data: DataRef) -> Material:
    columns = splits.needed_columns(problem)
    frame = lake.read_version(data, columns=columns)
    if problem.data.time is not None:
        frame = frame.sort_values(problem.data.time, kind="stable", ignore_index=True)
    return material(splits.split(frame, problem, date.fromisoformat(data.until)), problem)


def fold_names(of: Material) -> tuple[str, ...]:
    """The days that each fold scores, or its number where there is no time."""
    time_column = of.problem.data.time
    if time_column is None:
        return tuple(f"fold {k + 1}" for k in range(len(of.folds)))
    times = [of.train[time_column].iloc[fold.valid] for fold in of.folds]
    return tuple(f"{one.min():%Y-%m-%d} to {one.max():%Y-%m-%d}" for one in times)


def serving_recipe(problem: Problem) -> Recipe | None:
    """Recipe of the version that serves; None before the first, or when it fits no more."""
    deployment = ledger.should_serve(ledger.connect(), problem.name)
    if deployment is None:
        return None
    bundle = tracking.find(problem.name, deployment.model_version).bundle
    return of_manifest(bundles.read_manifest(bundle), problem)


def _space(of: Material) -> Space:
    return Space(of.problem, of.train, of.span_days, of.objectives)


def _to_the_turn(recipe: Recipe) -> Recipe:
    """The recipe with as many rounds as the folds can want: they say where it is to stop."""
    most = MAX_ROUNDS_OF.get(recipe.algorithm, MAX_ROUNDS)
    return recipe.model_copy(update={"num_boost_round": max(most, recipe.num_boost_round)})
