"""What a search begins with: starts, then changes of the best one so far."""

from __future__ import annotations

import pytest

from retrue.search.guesses import first_guesses, variations
from retrue.search.space import Space
from tests.unit.conftest import Small
from tests.unit.search_problem import searched, stored, with_search
from tests.unit.synthetic import learnable


@pytest.fixture
def space(small: Small) -> Space:
    return Space(small.problem, learnable(), 18.0)


def test_starts_differ_and_are_of_the_space(space: Space) -> None:
    starts = first_guesses(space)
    assert len(starts) == 3
    assert all(space.choices(space.recipe(one)) == one for one in starts)
    assert all(one != other for i, one in enumerate(starts) for other in starts[:i])


def test_a_variation_keeps_what_it_does_not_change(space: Space) -> None:
    best = first_guesses(space)[0] | {"cat_smooth": 123.0}
    for varied in variations(space, best):
        assert varied["cat_smooth"] == 123.0
        assert varied != best


def test_each_variation_is_tried_once_whatever_became_the_best(small: Small) -> None:
    found = searched(with_search(small.problem, max_trials=12), stored())
    varied = [one for one in found.trials if one.origin == "variation"]
    assert 3 <= len(varied) <= 5
    assert len({str(one.choices) for one in varied}) == len(varied)
    assert found.trials[-1].origin in ("neighbour", "sampled")
