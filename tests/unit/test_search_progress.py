"""How far a search is, on a terminal and nowhere else."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from retrue.terminal import search_progress
from tests.unit.search_problem import searched, stored, with_search

if TYPE_CHECKING:
    from tests.unit.conftest import Small


@pytest.mark.parametrize("is_terminal", [True, False])
def test_trials_best_value_and_seconds_left_are_shown_on_a_terminal(
    small: Small, is_terminal: bool
) -> None:
    problem, out = with_search(small.problem, max_trials=3), io.StringIO()
    shown = Console(file=out, force_terminal=is_terminal, width=120)
    with search_progress(problem, shown):
        found = searched(problem, stored())
    best = min(one.value for one in found.trials if one.value is not None)
    text = out.getvalue()
    assert (f"3 of 3 trials, best log_loss {best:.4f}" in text) is is_terminal
    assert ("s left" in text) is is_terminal
    assert is_terminal or not text
