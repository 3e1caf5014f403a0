"""A search from a data version to a recipe: repeatable, resumable, within its bounds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from retrue import experiment, lake
from retrue.bundles import read_manifest
from retrue.search import follow, page, run
from retrue.search.evaluate import Evaluator
from retrue.search.found import Found, path_of
from retrue.search.recipe import apply, of_manifest, recipe_of
from retrue.search.study import Study, study_ref
from tests.unit.search_problem import drifting, searched, stored, untimed, with_search

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import Small

HERE = os.getcwd()


def _what(found: Found) -> list[tuple[object, ...]]:
    return [
        (one.state, one.recipe, one.value, [fold.loss for fold in one.folds])
        for one in found.trials
        if one.state != "failed"
    ]


def test_the_same_seed_finds_the_same_recipe(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = with_search(small.problem, max_trials=11)
    first = searched(problem, stored())
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "another"))
    again = searched(problem, stored())
    assert _what(first) == _what(again)
    assert first.recipe == again.recipe
    assert len(first.trials) == 11
    other = searched(with_search(problem, max_trials=11, seed=4), stored())
    assert _what(other)[-1] != _what(first)[-1]  # sampled; the guesses are the same


def test_a_finished_search_is_found_again_and_not_made_again(small: Small) -> None:
    problem, data = with_search(small.problem, max_trials=2), stored()
    first = searched(problem, data)
    began = time.perf_counter()
    assert searched(problem, data) == first
    assert time.perf_counter() - began < 1
    assert run.begin(problem, data).is_finished


_CHILD = """
import sys
from pathlib import Path
from retrue.problems import load_problem
from retrue import lake
from retrue.search import run
from tests.unit.search_problem import with_search
problem = with_search(load_problem("visits", Path(sys.argv[1])), max_trials=11)
data = lake.latest_version("visits")
begun = run.begin(problem, data)
run.lane(problem, data, begun, lambda trial, line: print(line, flush=True))
"""


def test_a_search_killed_in_a_trial_goes_on_and_ends_as_if_it_had_not_been(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem, data = with_search(small.problem, max_trials=11), stored()
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(small.root)],
        stdout=subprocess.PIPE, text=True, cwd=HERE, env={**os.environ, "PYTHONPATH": HERE},
    )  # fmt: skip
    assert child.stdout is not None
    for _ in range(3):
        assert child.stdout.readline().startswith("trial ")
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    resumed = searched(problem, data)
    done = [one for one in resumed.trials if one.state != "failed"]
    assert len(done) == 11
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "another"))
    whole = searched(problem, stored())
    assert sorted(map(repr, _what(resumed))) == sorted(map(repr, _what(whole)))
    assert resumed.recipe == whole.recipe


def test_a_guess_killed_before_it_had_chosen_anything_is_made_again(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem, data = with_search(small.problem, max_trials=5), stored()
    begun = run.begin(problem, data)
    Study(begun, problem, run._space(run.load(problem, data)))._study.ask()
    resumed = searched(problem, data)
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "another"))
    whole = searched(problem, stored())
    assert sorted(map(repr, _what(resumed))) == sorted(map(repr, _what(whole)))


def test_the_first_trial_is_the_configured_recipe_stopped_in_time(small: Small) -> None:
    problem = with_search(small.problem, max_trials=1)
    found = searched(problem, stored())
    only = found.trials[0]
    assert only.origin == "configured"
    assert only.recipe.params == problem.training.params
    assert only.recipe.num_boost_round > 1
    assert found.recipe == only.recipe


def test_a_hopeless_trial_is_stopped_before_its_last_fold(small: Small) -> None:
    found = searched(with_search(small.problem, max_trials=14), stored())
    pruned = [one for one in found.trials if one.state == "pruned"]
    assert pruned
    assert all(len(one.folds) < found.n_folds for one in pruned)
    best = min(one.value for one in found.trials if one.value is not None)
    assert all(one.folds[0].loss > best * 0.8 for one in pruned)


def test_a_fit_ends_where_even_its_steepest_hope_misses_the_bar(small: Small) -> None:
    problem, data = with_search(small.problem), stored()
    of = run.load(problem, data)
    slow = recipe_of(problem).model_copy(
        update={"params": {"learning_rate": 0.02}, "num_boost_round": 1000}
    )
    whole = Evaluator(of, 1).score(slow, 0)
    cut = Evaluator(of, 1).score(slow, 0, bar=0.0)
    reached = Evaluator(of, 1).score(slow, 0, bar=float(whole.curve.min()) if whole else 0.0)
    assert whole is not None and cut is not None and reached is not None
    assert (whole.is_behind, cut.is_behind, reached.is_behind) == (False, True, False)
    assert len(cut.curve) < len(whole.curve) == len(reached.curve)


def test_a_look_after_some_rounds_sees_what_one_after_each_would(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = with_search(small.problem)
    of = run.load(problem, stored())
    recipe = recipe_of(problem).model_copy(
        update={"params": {"learning_rate": 0.05}, "num_boost_round": 1000}
    )
    some = Evaluator(of, 1).score(recipe, 0)
    monkeypatch.setattr(follow, "LOOKS_A_PATIENCE", 40)
    each = Evaluator(of, 1).score(recipe, 0)
    assert some is not None and each is not None
    assert each.rounds.tolist() == list(range(1, len(each.rounds) + 1))
    assert some.rounds.tolist() == [1, *range(10, int(some.rounds[-1]) + 1, 10)]
    both = some.rounds[some.rounds <= each.rounds[-1]]
    assert np.array_equal(some.curve[: len(both)], each.curve[both - 1])
    assert np.array_equal(some.block_sums[: len(both)], each.block_sums[both - 1])
    # It turned where the other one did, a look later at most.
    assert abs(int(some.rounds[-1]) - int(each.rounds[-1])) <= 10
    assert some.curve.min() - each.curve.min() < 0.001


def test_the_last_round_is_looked_at_whatever_its_number(small: Small) -> None:
    problem = with_search(small.problem)
    short = recipe_of(problem).model_copy(
        update={"params": {"learning_rate": 0.02}, "num_boost_round": 33}
    )
    score = Evaluator(run.load(problem, stored()), 1).score(short, 0)
    assert score is not None and score.rounds.tolist() == [1, 25, 33]


def test_a_budget_that_reaches_for_nothing_gives_the_configured_recipe(small: Small) -> None:
    problem = with_search(small.problem, budget_s=0.01)
    found = searched(problem, stored())
    assert found.choice is None
    assert apply(problem, found.recipe) == problem
    assert "configured recipe" in found.reason


def test_where_the_world_turned_recent_rows_are_made_to_count(small: Small) -> None:
    data = lake.write_version("visits", drifting(), ["visit"], "2024-01-20")
    found = searched(with_search(small.problem, max_trials=6), data)
    forgetful = next(one for one in found.trials if one.origin == "variation")
    same = {k: v for k, v in forgetful.choices.items() if k != "half_life_days"}
    steady = next(one for one in found.trials if same.items() <= one.choices.items())
    assert steady.recipe.half_life_days == 0 < forgetful.recipe.half_life_days
    assert forgetful.folds[0].loss < steady.folds[0].loss


def test_a_search_without_a_time_column_has_folds_by_key(small: Small) -> None:
    problem = untimed(with_search(small.problem, max_trials=3))
    found = searched(problem, stored())
    assert found.fold_names == ("fold 1", "fold 2", "fold 3")
    assert all(one.recipe.half_life_days == 0 for one in found.trials)


def test_a_linear_model_and_no_skill_are_shown_beside_it(small: Small) -> None:
    found = searched(with_search(small.problem, max_trials=1), stored())
    losses = {rival.name: sum(rival.losses) for rival in found.rivals}
    assert set(losses) == {"no skill", "linear"}
    assert losses["linear"] < losses["no skill"]


def test_the_recipe_fits_a_bundle_that_remembers_it_for_the_next_search(small: Small) -> None:
    problem, data = with_search(small.problem, max_trials=4), stored()
    tuned = apply(problem, searched(problem, data).recipe)
    bundle = experiment.fit_bundle(tuned, data, {"code_commit": "", "lock_sha256": ""})
    kept = of_manifest(read_manifest(bundle), problem)
    assert kept is not None
    assert apply(problem, kept) == tuned


def test_other_data_or_settings_are_another_study_but_other_workers_are_not(small: Small) -> None:
    problem, data = with_search(small.problem), stored()
    ref = study_ref(problem, data)
    assert study_ref(with_search(problem, n_workers=4, cluster="tcp://a:1"), data) == ref
    assert study_ref(with_search(problem, seed=8), data) != ref
    assert study_ref(problem, stored(1_500)) != ref
    assert not path_of(ref).exists()


def test_the_page_needs_nothing_but_itself_and_hides_no_trial(small: Small) -> None:
    found = searched(with_search(small.problem, max_trials=6), stored())
    text = page.write_page(found).read_text()
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("<circle") + text.count('stroke="#8d99a6"') == len(found.trials) + 1
    short = page.markdown(found, page.write_page(found))
    assert "linear" in short and "no skill" in short
