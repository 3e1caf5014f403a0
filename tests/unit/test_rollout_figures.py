"""What breaks a rollout's bounds, and what is the champion's own or the world's fault."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrue.config_serving import Rollout
from retrue.rollout.figures import RolloutError, Seen, Stage, breaches, refuse

BOUNDS = Rollout()
SCORES = np.linspace(0.1, 0.9, 200)
GOOD = Stage(
    "shadow",
    "200 served",
    Seen(200, fastest_ms=0.6, latency_ms=1.0, scores=SCORES),
    Seen(200, fastest_ms=0.6, latency_ms=1.0, scores=SCORES + 0.01),
    expected=SCORES,
    growth_mb=1.0,
)


def with_new(**changes: object) -> Stage:
    """The good stage with another new version."""
    return replace(GOOD, new=replace(GOOD.new, **changes))  # type: ignore[arg-type]


def with_both(**changes: object) -> Stage:
    """The same change to the champion."""
    assert GOOD.champion is not None
    champion = replace(GOOD.champion, **changes)  # type: ignore[arg-type]
    return replace(with_new(**changes), champion=champion)


def with_gaps(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every tenth is no number."""
    return np.where(np.arange(len(scores)) % 10 == 0, np.nan, scores)


def test_a_version_that_is_like_the_champion_breaks_no_bound() -> None:
    assert breaches(GOOD, BOUNDS) == []
    refuse(GOOD, BOUNDS, "version 2")


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (with_new(n_failed=1), "1 of 200 requests failed"),
        (with_new(n_requests=0, n_failed=1), "1 of 0 requests failed"),
        (with_new(n_refused=20), "20 of 200 requests refused"),
        (with_new(scores=with_gaps(SCORES)), "10.0% of scores are no number"),
        (with_new(scores=np.full(200, 0.5)), "100.0% of distinct rows get the same score"),
        (with_new(latency_ms=5.1), "latency 5.1 ms, the champion's 1.0 ms"),
        (with_new(fastest_ms=3.1), "fastest tenth 3.1 ms, the champion's 0.6 ms"),
        (with_new(scores=SCORES / 10), "scores moved by"),
        (replace(GOOD, growth_mb=40.0), "memory grew by 40 MB"),
        (replace(GOOD, fault="it is gone"), "it is gone"),
    ],
)
def test_each_bound_that_is_broken_is_named(stage: Stage, said: str) -> None:
    assert any(said in one for one in breaches(stage, BOUNDS))
    with pytest.raises(RolloutError, match="a shadow within the bounds of serving.rollout"):
        refuse(stage, BOUNDS, "version 2")


@pytest.mark.parametrize(
    "stage",
    [
        with_both(n_failed=3),
        with_both(n_refused=20),
        with_both(latency_ms=200.0, fastest_ms=50.0),
        with_both(scores=np.full(200, 0.5)),
        # A stormy day: far from what training knew, but so are the champion's scores.
        replace(with_both(scores=SCORES / 10), expected=SCORES),
        # A world that changed: far from the champion, but as the new version's own sample says.
        replace(with_new(scores=SCORES / 10), expected=SCORES / 10),
        with_new(n_refused=1),
        with_new(latency_ms=1.4, fastest_ms=1.4),
    ],
)
def test_what_the_champion_or_chance_does_as_well_is_no_breach(stage: Stage) -> None:
    assert breaches(stage, BOUNDS) == []


def test_a_champion_that_is_gone_holds_nothing_up_but_its_successor_must_be_sound() -> None:
    alone = replace(GOOD, champion=None)
    assert breaches(alone, BOUNDS) == []
    assert breaches(replace(alone, new=Seen(200, 1, scores=SCORES)), BOUNDS)
    assert breaches(replace(alone, new=Seen(200, scores=np.full(200, 0.5))), BOUNDS)


@given(st.integers(0, 29), st.floats(0, 1))
def test_a_few_rows_are_judged_by_their_errors_alone(n_rows: int, score: float) -> None:
    few = with_new(n_requests=n_rows, scores=np.full(n_rows, score))
    assert breaches(few, BOUNDS) == []


@given(
    st.lists(st.floats(0, 1), min_size=30, max_size=200),
    st.sampled_from([lambda x: x, lambda x: x / 2, lambda x: 1 - x]),
)
def test_the_shift_is_a_distance_between_0_and_1(
    values: list[float], move: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> None:
    scores = np.array(values)
    stage = replace(with_new(scores=move(scores)), expected=scores)
    of_own, of_champion = stage.shifts()
    assert of_own is not None
    assert of_champion is not None
    assert 0 <= of_own <= 1
    assert 0 <= of_champion <= 1
    assert replace(stage, expected=stage.new.scores).shifts()[0] == 0
