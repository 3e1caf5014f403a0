"""What the loop decides is written down, told to people once, and said how it stands."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from retrue import ledger, loop_decisions
from retrue.config import Problem
from retrue.ledger import Check, Ledger
from retrue.problems import load_problem
from tests.unit.clocks import Clock
from tests.unit.test_triage_windows import drifted, stuck

ROOT = Path(__file__).parents[2]


@pytest.fixture
def problem() -> Problem:
    return load_problem("flights", ROOT)


def decide(book: Ledger, until: date = date(2013, 4, 1)) -> Check:
    since = until - timedelta(days=30)
    return loop_decisions.decide(book, "flights", 1, since, until, drifted(), None)


def titles(book: Ledger) -> list[str]:
    return [one.title for one in ledger.alerts(book, "flights")]


def test_a_decision_and_the_end_of_its_retraining_are_each_told_once(book: Ledger) -> None:
    check = decide(book)
    assert decide(book) == check
    claim = ledger.claim_retraining(book, "flights", check.trigger_key)
    loop_decisions.finish_retraining(book, claim, "refused", {"model_version": 2, "reason": "no"})
    assert titles(book) == ["flights: drift", "flights: version 2 refused"]
    (row,) = ledger.retrainings(book, "flights")
    assert (row.status, '"reason": "no"' in row.details_json) == ("refused", True)


def test_what_is_not_due_is_told_and_what_waits_for_a_person_has_an_alert(
    book: Ledger, problem: Problem, clock: Clock
) -> None:
    failing, told = decide(book), list[str]()
    assert loop_decisions.due(book, problem, told.append) == [failing]
    assert told == []
    for n in range(1, problem.retraining.max_attempts + 1):
        claim = ledger.claim_retraining(book, "flights", failing.trigger_key)
        loop_decisions.finish_retraining(book, claim, "failed", {})
        told.clear()
        assert loop_decisions.due(book, problem, told.append) == []
        assert f"after {n} failure" in told[0]
        clock.time += timedelta(days=1)
    loop_decisions.due(book, problem, told.append)
    waiting = "flights: the retraining waits for a person after 3 failures"
    assert titles(book).count(waiting) == 1


@pytest.mark.usefixtures("small")
def test_days_that_are_set_aside_are_told_once(book: Ledger) -> None:
    assert loop_decisions.set_aside(book, "flights", stuck())
    assert not loop_decisions.set_aside(book, "flights", stuck())
    assert titles(book) == ["flights: broken data"]
