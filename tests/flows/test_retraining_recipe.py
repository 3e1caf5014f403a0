"""Which trainings a retraining does: the champion's recipe, then one search, if any."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from flows import retraining as flow
from flows.training import Trained
from retrue import gate, retraining
from retrue.config import Problem
from retrue.config_retraining import Retraining
from retrue.problems import load_problem
from retrue.refs import BundleRef, DataRef, ModelRef

ROOT = Path(__file__).parents[2]


def trained(problem: Problem, version: int, promoted: bool, gain: float) -> Trained:
    verdict = gate.refused(problem.gate, 1000, 28, f"gain {gain}")
    bundle = BundleRef(problem="flights", path=Path("/b"), sha256="0" * 64)
    data = DataRef(
        problem="flights",
        path=Path("/d"),
        version=0,
        sha256="0" * 64,
        n_rows=1000,
        until="2013-07-01",
    )
    return Trained(
        data=data,
        model=ModelRef(problem="flights", version=version, run_id="r", bundle=bundle),
        verdict=verdict.model_copy(update={"promoted": promoted, "gain": gain}),
    )


@pytest.mark.parametrize(
    ("mode", "answers", "asked", "taken"),
    [
        ("when_refused", [(True, 0.02)], [False], 1),
        ("when_refused", [(False, -0.01)], [False], 1),
        ("when_refused", [(False, 0.01), (True, 0.02)], [False, True], 2),
        ("when_refused", [(False, 0.01), (False, 0.01)], [False, True], 1),
        ("never", [(False, 0.01)], [False], 1),
        ("always", [(False, 0.01)], [True], 1),
    ],
)
def test_a_search_follows_only_where_the_champions_recipe_was_not_enough(
    monkeypatch: pytest.MonkeyPatch,
    mode: Any,
    answers: list[tuple[bool, float]],
    asked: list[bool],
    taken: int,
) -> None:
    problem = load_problem("flights", ROOT)
    problem = problem.model_copy(update={"retraining": Retraining(search=mode, search_s=5)})
    recipes = problem.model_copy(update={"training": problem.training.model_copy()})
    calls: list[tuple[Problem, bool, float | None]] = []

    def fit_and_judge(
        config: Problem, data: object, search: bool, confidence: float | None = None
    ) -> Trained:
        del data
        calls.append((config, search, confidence))
        return trained(problem, len(calls), *answers[len(calls) - 1])

    monkeypatch.setattr(flow, "prepare", lambda config, until: "a version")
    monkeypatch.setattr(flow, "fit_and_judge", fit_and_judge)
    monkeypatch.setattr(retraining, "with_champions_recipe", lambda given: recipes)

    found = flow._train(problem, date(2013, 7, 1), search=False)

    assert [search for _, search, _ in calls] == asked
    assert found.model.version == taken
    if len(calls) == 2:
        assert calls[0][0] is recipes and calls[0][2] is None
        assert calls[1][0].search.budget_s == 5
        assert calls[1][2] == pytest.approx(0.975)
    if asked == [False, True] and taken == 1:
        assert found.facts()["searched"].startswith("version 2, of a search, no more")
