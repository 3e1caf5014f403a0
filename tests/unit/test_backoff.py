"""When a retraining may be tried again, and what it says until then."""

from collections.abc import Callable
from datetime import timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue import ledger
from retrue.errors import LedgerError
from retrue.ledger import Backoff, Check, Holder, Ledger
from tests.unit.clocks import Clock

BACKOFF = Backoff(max_attempts=3, failed_s=600, refused_s=86_400)
FAR = Holder("far", 1, "boot:1")
Outcome = Literal["promoted", "refused", "rejected", "failed"]


def decide(book: Ledger, end: str = "2013-04-01", version: int = 1) -> Check:
    return ledger.record_check(
        book, "flights", version, "2013-03-01", end, verdict="drift", report_json="{}"
    )


def ask(book: Ledger, check: Check, holder: Holder | None = None) -> ledger.Claim:
    return ledger.claim_retraining(book, "flights", check.trigger_key, holder, BACKOFF)


def retrain(book: Ledger, check: Check, outcome: Outcome) -> None:
    mine = ask(book, check).mine
    ledger.finish_retraining(book, mine.id, mine.token, outcome)


def stands(book: Ledger, check: Check) -> str:
    found = ledger.undone(book, "flights", BACKOFF)
    return next((one.told for known, one in found if known == check), "answered")


def test_a_failed_retraining_waits_twice_as_long_each_time_and_then_for_a_person(
    book: Ledger, clock: Clock
) -> None:
    check = decide(book)
    assert stands(book, check) == "due"
    retrain(book, check, "failed")
    assert stands(book, check) == "waits until 2013-04-01 00:10:00 UTC after 1 failure"
    claim = ask(book, check)
    assert (claim.outcome, claim.standing and claim.standing.told) == (
        "waits",
        "waits until 2013-04-01 00:10:00 UTC after 1 failure",
    )
    with pytest.raises(LedgerError, match="expected a claim, found waits"):
        claim.mine  # noqa: B018
    clock.time += timedelta(seconds=599)
    assert ledger.to_announce(ledger.undone(book, "flights", BACKOFF)) == []
    clock.time += timedelta(seconds=1)
    assert ledger.to_announce(ledger.undone(book, "flights", BACKOFF)) == [check]
    retrain(book, check, "failed")
    assert stands(book, check) == "waits until 2013-04-01 00:30:00 UTC after 2 failures"
    clock.time += timedelta(seconds=1200)
    retrain(book, check, "failed")
    clock.time += timedelta(days=365)
    assert stands(book, check) == "waits for a person after 3 failures"
    assert ask(book, check).outcome == "exhausted"
    # A person need not wait.
    by_hand = ledger.claim_retraining(book, "flights", check.trigger_key)
    assert by_hand.outcome == "claimed"


def test_one_that_died_waits_from_when_it_began(book: Ledger, clock: Clock) -> None:
    check = decide(book)
    assert ask(book, check, FAR).outcome == "claimed"
    clock.time += timedelta(seconds=61)
    assert stands(book, check) == "waits until 2013-04-01 00:10:00 UTC after 1 failure"
    clock.time += timedelta(seconds=539)
    claim = ask(book, check)
    assert (claim.outcome, claim.mine.attempts) == ("claimed", 2)


def test_a_refused_decision_is_never_tried_again(book: Ledger, clock: Clock) -> None:
    check = decide(book)
    retrain(book, check, "refused")
    clock.time += timedelta(days=365)
    assert stands(book, check) == "answered"
    assert ask(book, check).outcome == "finished"


@pytest.mark.parametrize("outcome", ["refused", "rejected"])
def test_refusals_widen_the_interval_for_the_model_version(
    book: Ledger, clock: Clock, outcome: Outcome
) -> None:
    """A daily check over a window that moves a day each time."""
    retrained = []
    for day in range(1, 20):
        check = decide(book, f"2013-04-{day:02d}")
        if stands(book, check) == "due":
            retrain(book, check, outcome)
            retrained.append(day)
        clock.time += timedelta(days=1)
    assert retrained == [1, 2, 4, 8, 16]


def test_what_waits_after_refusals_says_so_and_is_done_when_time_has_passed(
    book: Ledger, clock: Clock
) -> None:
    for end in ("2013-04-01", "2013-04-02"):
        retrain(book, decide(book, end), "refused")
    check = decide(book, "2013-04-03")
    told = "waits until 2013-04-03 00:00:00 UTC after 2 refusals for this model version"
    assert stands(book, check) == told
    assert ask(book, check).outcome == "waits"
    assert stands(book, decide(book, "2013-04-03", version=2)) == "due"
    assert stands(book, decide(book, "2013-04-04")) == "due", "two days of new data have come"
    clock.time += timedelta(days=2)
    assert stands(book, check) == "due"


@pytest.mark.parametrize("outcome", ["promoted", "refused"])
def test_the_answer_to_a_later_window_answers_the_earlier_ones(
    book: Ledger, outcome: Outcome
) -> None:
    early, late, other = (
        decide(book, "2013-04-01"),
        decide(book, "2013-04-05"),
        decide(book, "2013-04-01", version=2),
    )
    assert ledger.to_announce(ledger.undone(book, "flights", BACKOFF)) == [late, other]
    retrain(book, late, outcome)
    assert [one for one, _ in ledger.undone(book, "flights", BACKOFF)] == [other]
    assert ledger.open_decisions(book, "flights") == [other]
    claim = ask(book, early)
    assert claim.outcome == "finished"
    assert claim.retraining.trigger_key == late.trigger_key


def test_a_retraining_that_lost_its_claim_can_deploy_nothing(book: Ledger, clock: Clock) -> None:
    stale = ledger.claim_retraining(book, "flights", "a", FAR).mine
    clock.time += timedelta(seconds=61)
    fresh = ledger.claim_retraining(book, "flights", "b").mine
    with pytest.raises(LedgerError, match="lost claim"):
        ledger.start_deployment(book, "flights", 2, "0" * 64, for_retraining=stale)
    assert ledger.history(book, "flights") == []
    assert ledger.start_deployment(book, "flights", 2, "0" * 64, for_retraining=fresh).token == 1


WAITS: list[Callable[[Backoff, int], timedelta]] = [
    Backoff.after_failures,
    Backoff.after_refusals,
]


@given(st.integers(1, 10**9), st.floats(0, 86_400), st.sampled_from(WAITS))
def test_a_wait_never_shrinks_and_has_an_end(
    n: int, first_s: float, wait: Callable[[Backoff, int], timedelta]
) -> None:
    backoff = Backoff(failed_s=first_s, refused_s=first_s)
    assert timedelta(0) <= wait(backoff, n) <= wait(backoff, n + 1) <= timedelta(days=28)


def test_the_wait_begins_when_the_failed_attempt_ended(book: Ledger, clock: Clock) -> None:
    check = decide(book)
    mine = ask(book, check).mine
    clock.time += timedelta(seconds=50)
    ledger.finish_retraining(book, mine.id, mine.token, "failed")
    assert stands(book, check) == "waits until 2013-04-01 00:10:50 UTC after 1 failure"


def test_another_problems_answer_answers_nothing_of_this_one(book: Ledger) -> None:
    check = decide(book)
    later = ledger.record_check(
        book, "taxis", 1, "2013-03-01", "2013-04-05", verdict="drift", report_json="{}"
    )
    mine = ledger.claim_retraining(book, "taxis", later.trigger_key).mine
    ledger.finish_retraining(book, mine.id, mine.token, "promoted")
    assert stands(book, check) == "due"
