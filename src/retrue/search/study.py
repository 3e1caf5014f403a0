"""The study on disk: what to try next, what was tried, whom it belonged to.

A journal file under RETRUE_HOME that only grows: a search killed at any line goes on from it.
"""

from __future__ import annotations

import hashlib
import json
import socket
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrue.home import home
from retrue.processes import is_running, this_process
from retrue.refs import Ref
from retrue.search.guesses import variations
from retrue.search.recipe import Recipe
from retrue.search.rivals import Rival
from retrue.search.steering import best_of, pruner, sampler
from retrue.search.trials import FoldResult, TrialRecord, upper_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    import optuna

    from retrue.config import Problem
    from retrue.refs import DataRef
    from retrue.search.space import Choices, Space


class StudyRef(Ref):
    """One study: `key` hashes the data and all of the definition that a recipe depends on."""

    problem: str
    key: str

    @property
    def path(self) -> Path:
        """The journal; what was found lies beside it."""
        return home() / "searches" / self.problem / f"{self.key[:16]}.journal"


def study_ref(problem: Problem, data: DataRef) -> StudyRef:
    """The study of a problem on a data version: the same for the same content and settings.

    Where the work is done is left out: a search may go on with more workers.
    """
    told = problem.model_dump(
        mode="json", include={"name", "label", "features", "processing", "training", "search"}
    )
    told |= {"time": problem.data.time, "key": problem.data.key, "metric": problem.gate.metric}
    told["search"] = {
        name: value
        for name, value in told["search"].items()
        if name not in ("n_workers", "cluster")
    }
    told["data"] = [data.sha256, data.until]
    payload = json.dumps(told, sort_keys=True).encode()
    return StudyRef(problem=problem.name, key=hashlib.sha256(payload).hexdigest())


class Study:
    """A study opened by one process; safe to be open in several."""

    def __init__(self, ref: StudyRef, problem: Problem, space: Space) -> None:
        import optuna
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        ref.path.parent.mkdir(parents=True, exist_ok=True)
        self._problem, self._space = problem, space
        self._study = optuna.create_study(
            study_name=ref.key,
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(ref.path))),
            direction="maximize" if problem.gate.metric == "auc" else "minimize",
            pruner=pruner(),
            load_if_exists=True,
        )

    def begin(self, guesses: Sequence[tuple[str, Choices, Recipe | None]]) -> None:
        """Put the first guesses in the queue, and again what died with its process.

        A guess is an origin, its choices, and the recipe itself where the choices only come near.
        """
        for trial in self._study.get_trials(deepcopy=False, states=(_states().RUNNING,)):
            if _is_orphan(trial.user_attrs.get("owner")):
                self._study.tell(trial.number, state=_states().FAIL)
                # What was queued, not what it had come to take of it. A sampled one is drawn again.
                if queued := trial.system_attrs.get("fixed_params"):
                    kept = ("origin", "variation", "recipe_given")
                    told = {k: v for k, v in trial.user_attrs.items() if k in kept}
                    self._study.enqueue_trial(queued, user_attrs=told)
        if "guessed" in self._study.user_attrs:
            return
        for origin, choices, recipe in guesses:
            attrs: dict[str, Any] = {"origin": origin}
            if recipe is not None:
                attrs["recipe_given"] = recipe.model_dump(mode="json")
            self._study.enqueue_trial(choices, user_attrs=attrs, skip_if_exists=True)
        self._study.set_user_attr("guessed", True)

    def ask(self) -> tuple[optuna.Trial, Recipe, Choices] | None:
        """The next trial with its recipe; None when there were `search.max_trials`."""
        done = self._counted()
        limit = self._problem.search.max_trials
        if len(done) >= limit:
            return None
        self._study.sampler = sampler(
            self._problem.search.seed + len(done), self._problem.search.n_workers > 1
        )
        self._propose(len(done))
        trial = self._study.ask()
        # Lanes that asked at the same moment: only those within the bound may go on.
        n_failed = sum(
            one.state == _states().FAIL and one.number < trial.number
            for one in self._study.get_trials(deepcopy=False)
        )
        if trial.number - n_failed >= limit:
            self._study.tell(trial, state=_states().FAIL)
            return None
        trial.set_user_attr("owner", [socket.gethostname(), *this_process()])
        choices = self._space.suggest(trial)
        given = trial.user_attrs.get("recipe_given")
        recipe = self._space.recipe(choices) if given is None else Recipe.model_validate(given)
        return trial, recipe, choices

    def _propose(self, n_done: int) -> None:
        """Variations of the best first; then two of three are its neighbours, the third sampled.

        A dozen trials tell a sampler little of a dozen choices, but where the best one is, and from
        there random steps go down fast (Wu et al. 2021, on which FLAML rests).
        """
        waiting = self._study.get_trials(deepcopy=False, states=(_states().WAITING,))
        best = self._best()
        if waiting or best is None:
            return
        begun = max((one.user_attrs.get("variation", 0) for one in self._counted()), default=0)
        for i, varied in enumerate(variations(self._space, best.params), start=1):
            if i > begun and varied != best.params:
                attrs = {"origin": "variation", "variation": i}
                self._study.enqueue_trial(varied, user_attrs=attrs)
                return
        if n_done % 3 == 0:
            return
        rng = np.random.default_rng([self._problem.search.seed, n_done])
        near = self._space.neighbour(best.params, rng)
        self._study.enqueue_trial(near, user_attrs={"origin": "neighbour"})

    def bar(self, k: int) -> float:
        """Loss of fold `k` beyond which a trial has no hope: the best one's and its error.

        The error is that of the best alone, larger than that of a difference to it.
        """
        best = self._best()
        if best is None:
            return float("inf")
        return upper_loss(FoldResult.model_validate(best.user_attrs["folds"][k]))

    def _best(self) -> Any:
        """The best of the complete trials; None before the first."""
        complete = self._study.get_trials(deepcopy=False, states=(_states().COMPLETE,))
        is_maximised = self._problem.gate.metric == "auc"
        return best_of(complete, is_maximised=is_maximised) if complete else None

    def report(self, trial: optuna.Trial, folds: Sequence[FoldResult]) -> bool:
        """Tell what the folds so far say; whether to go on with the next one."""
        value = mean_value(folds, self._problem.gate.metric)
        trial.set_user_attr("folds", [one.model_dump(mode="json") for one in folds])
        trial.report(value, len(folds) - 1)
        return not trial.should_prune()

    def finish(
        self,
        trial: optuna.Trial,
        recipe: Recipe,
        folds: Sequence[FoldResult],
        *,
        is_pruned: bool = False,
    ) -> float | None:
        """Close a trial; its value, or None without one."""
        trial.set_user_attr("recipe", recipe.model_dump(mode="json"))
        trial.set_user_attr("folds", [one.model_dump(mode="json") for one in folds])
        if is_pruned:
            self._study.tell(trial, state=_states().PRUNED)
            return None
        value = mean_value(folds, self._problem.gate.metric)
        self._study.tell(trial, value)
        return value

    def fail(self, trial: optuna.Trial) -> None:
        """Close a trial that has no result."""
        self._study.tell(trial, state=_states().FAIL)

    def records(self) -> list[TrialRecord]:
        """All closed trials in their order."""
        names = {
            _states().COMPLETE: "complete",
            _states().PRUNED: "pruned",
            _states().FAIL: "failed",
        }
        trials = [
            one
            for one in self._study.get_trials(deepcopy=False)
            if one.state in names and one.datetime_start and one.datetime_complete
        ]
        first = min((one.datetime_start for one in trials if one.datetime_start), default=None)
        found = []
        for one in trials:
            attrs = one.user_attrs
            assert first is not None and one.datetime_start and one.datetime_complete
            recipe = attrs.get("recipe") or attrs.get("recipe_given")
            if recipe is None and not one.params:
                continue  # killed, or one too many, before it had chosen anything
            found.append(
                TrialRecord(
                    number=one.number,
                    state=names[one.state],
                    origin=attrs.get("origin", "sampled"),
                    recipe=recipe or self._space.recipe(one.params),
                    choices=one.params,
                    value=one.value,
                    folds=attrs.get("folds", ()),
                    started_s=(one.datetime_start - first).total_seconds(),
                    seconds=(one.datetime_complete - one.datetime_start).total_seconds(),
                )
            )
        return found

    def keep_rivals(self, found: Sequence[Rival]) -> None:
        """Keep what the rivals scored."""
        self._study.set_user_attr("rivals", [one.model_dump(mode="json") for one in found])

    def rivals(self) -> tuple[Rival, ...]:
        """What the rivals scored; empty before it was kept."""
        kept = self._study.user_attrs.get("rivals", ())
        return tuple(Rival.model_validate(one) for one in kept)

    def importance(self) -> dict[str, float]:
        """Share of each choice in the differences of the values, largest first; sums to 1.

        PED-ANOVA (Watanabe et al. 2023): which choices tell the better half of the trials from the
        rest. Empty with fewer than eight complete trials: a share of so few is noise.
        """
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        complete = self._study.get_trials(deepcopy=False, states=(_states().COMPLETE,))
        if len(complete) < 8 or len({one.value for one in complete}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the evaluator is experimental
            evaluator = PedAnovaImportanceEvaluator(target_quantile=0.5, region_quantile=1.0)
            found = get_param_importances(self._study, evaluator=evaluator)
        total = sum(found.values())
        return {name: value / total for name, value in found.items()} if total > 0 else {}

    def _counted(self) -> list[Any]:
        """Trials that count against the bound: all but the failed ones and those that wait."""
        counted = (_states().COMPLETE, _states().PRUNED, _states().RUNNING)
        return list(self._study.get_trials(deepcopy=False, states=counted))


def mean_value(folds: Sequence[FoldResult], metric: str) -> float:
    """The gate's metric, mean over the folds."""
    found = [one.auc or 0.0 if metric == "auc" else one.loss for one in folds]
    return sum(found) / len(found)


def _states() -> Any:
    from optuna.trial import TrialState

    return TrialState


def _is_orphan(owner: list[Any] | None) -> bool:
    """Whether a running trial's process is gone; of another machine's nobody here can tell."""
    if owner is None:
        return True
    host, pid, created = owner
    return host == socket.gethostname() and not is_running(int(pid), float(created))
