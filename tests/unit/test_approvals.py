"""Approvals in the ledger and their rules: asked once, answered once, silence is a rejection."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from retrue import approval_facts, approvals, ledger, model_card, tracking
from retrue.approval_answers import Answer, Rejected
from retrue.errors import LedgerError
from retrue.ledger import Approval, Ledger
from retrue.problems import load_problem
from retrue.refs import BundleRef, ModelRef
from tests.unit.clocks import Clock

ROOT = Path(__file__).parents[2]
SHA = "ab" * 32
DAY_S = 24 * 3600.0
DEAD = replace(ledger.this_process(), created="gone")
YES = Answer(decision="approve", reason="the figures hold", name="Ann")
NO = Answer(decision="reject", reason="carrier cannot matter so much", name="Bob")


@pytest.fixture
def book(
    either_ledger_url: str, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Ledger:
    """An empty ledger, where the environment says."""
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RETRUE_LEDGER_URL", either_ledger_url)
    return ledger.connect(clock=clock)


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Tags given to the registry; the real one is asked in the tests of flows."""
    given: list[dict[str, str]] = []
    monkeypatch.setattr(tracking, "mark_approval", lambda _p, _v, tags: given.append(dict(tags)))
    monkeypatch.setattr(tracking, "find", lambda problem, version: model(version))
    return given


def model(version: int = 2) -> ModelRef:
    bundle = BundleRef(problem="flights", path=Path("nowhere"), sha256=SHA)
    return ModelRef(problem="flights", version=version, run_id="r", bundle=bundle)


def ask(book: Ledger, run: str = "run-1", version: int = 2, **more: Any) -> Approval:
    given: dict[str, Any] = {"why": ("a doubt",), "timeout_s": DAY_S, "flow_run_id": run} | more
    return ledger.request_approval(book, "flights", version, SHA, **given)


def decide(book: Ledger, answer: Answer, via: Any = "form") -> Approval:
    return ledger.record_decision(
        book,
        "flights",
        2,
        SHA,
        decision="approved" if answer.decision == "approve" else "rejected",
        by=answer.name,
        reason=answer.reason,
        via=via,
    )


def test_a_question_is_asked_once_and_keeps_its_deadline(book: Ledger, clock: Clock) -> None:
    first = ask(book)
    clock.time += timedelta(hours=2)
    assert ask(book, "run-2") == first
    assert (first.status, first.why, first.flow_run_id) == ("waiting", ("a doubt",), "run-1")
    assert first.deadline_at == "2013-04-02T00:00:00.000000+00:00"
    assert ledger.approvals(book, "flights") == [first]


def test_a_run_that_died_leaves_its_question_to_the_next(book: Ledger, clock: Clock) -> None:
    first = ask(book, holder=DEAD)
    assert not first.has_a_run
    clock.time += timedelta(hours=2)
    second = ask(book, "run-2")
    assert (second.id, second.flow_run_id, second.has_a_run) == (first.id, "run-2", True)
    assert second.deadline_at == first.deadline_at


def test_a_deadline_that_passed_while_no_run_waited_is_set_anew(book: Ledger, clock: Clock) -> None:
    ask(book, holder=DEAD)
    clock.time += timedelta(hours=25)
    again = ask(book, "run-2")
    assert again.status == "waiting"
    assert again.deadline_at == "2013-04-03T01:00:00.000000+00:00"


def test_the_first_decision_wins_and_is_not_asked_for_again(book: Ledger) -> None:
    ask(book)
    first = decide(book, NO)
    assert (first.status, first.decided_by, first.reason) == ("rejected", "Bob", NO.reason)
    assert decide(book, YES) == first
    assert decide(book, YES, "command line") == first
    assert decide(book, YES, "timeout") == first
    assert ask(book, "run-2") == first


def test_a_decision_keeps_the_run_it_was_given_to(book: Ledger, clock: Clock) -> None:
    ask(book, holder=DEAD)
    found = decide(book, NO)
    clock.time += timedelta(hours=25)
    assert ask(book, "run-2") == found


def test_a_bundle_under_the_same_number_is_another_model(book: Ledger) -> None:
    ask(book)
    decide(book, YES)
    assert ledger.find_approval(book, "flights", 2, "cd" * 32) is None
    assert ledger.find_approval(book, "flights", 3, SHA) is None
    assert ledger.find_approval(book, "other", 2, SHA) is None


def test_only_the_command_line_replaces_silence(book: Ledger) -> None:
    ask(book)
    silent = decide(book, Answer(decision="reject", reason="no answer", name="timeout"), "timeout")
    assert decide(book, YES, "form") == silent
    found = decide(book, YES, "command line")
    assert (found.status, found.decided_by) == ("approved", "Ann")
    assert decide(book, NO, "command line") == found


@pytest.mark.parametrize("asked_before", [True, False])
def test_of_many_answers_at_once_one_stands(book: Ledger, asked_before: bool) -> None:
    if asked_before:
        ask(book)
    answers = [Answer(decision="approve", reason="because", name=f"p{i}") for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        stands = list(pool.map(lambda one: decide(book, one), answers))
    assert len({one.decided_by for one in stands}) == 1
    assert len(ledger.approvals(book, "flights")) == 1


@pytest.mark.parametrize("field", ["reason", "name"])
@pytest.mark.parametrize("text", ["", "  ", "\n\t ", "a\0b", "\ud800", "x" * 2001])
def test_what_says_nothing_is_no_answer(field: str, text: str) -> None:
    given = {"decision": "approve", "reason": "why", "name": "Ann"}
    with pytest.raises(ValidationError):
        Answer.model_validate(given | {field: text})


@pytest.mark.parametrize("decision", ["", "yes", "approved", None, True])
def test_a_decision_is_one_of_two_words(decision: Any) -> None:
    with pytest.raises(ValidationError):
        Answer.model_validate({"decision": decision, "reason": "why", "name": "Ann"})


def test_blanks_around_an_answer_are_no_part_of_it() -> None:
    given = {"decision": " Reject\n", "reason": " why\nso ", "name": "  Zoë  "}
    found = Answer.model_validate(given)
    assert (found.decision, found.reason, found.name) == ("reject", "why\nso", "Zoë")


@pytest.mark.parametrize(
    ("approval", "doubts", "reasons"),
    [
        ("never", ("odd",), ()),
        ("on_doubt", (), ()),
        ("on_doubt", ("odd",), ("odd",)),
        ("required", (), ("gate.approval is required",)),
        ("required", ("odd",), ("gate.approval is required", "odd")),
    ],
)
def test_a_person_is_asked_as_the_configuration_says(
    book: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    approval: str,
    doubts: tuple[str, ...],
    reasons: tuple[str, ...],
) -> None:
    monkeypatch.setattr(tracking, "doubts", lambda _: doubts)
    problem = load_problem("flights", ROOT)
    gate = problem.gate.model_copy(update={"approval": approval})
    problem = problem.model_copy(update={"gate": gate})

    assert approvals.reasons_to_ask(problem, model()) == reasons

    made = ledger.start_deployment(book, "flights", 2, SHA)
    assert approvals.reasons_to_ask(problem, model()) == reasons, "a deployment that only began"
    ledger.finish_deployment(book, made.id, made.token, "serving")
    assert approvals.reasons_to_ask(problem, model()) == (), "it served before"
    assert approvals.reasons_to_ask(problem, model(3)) == reasons


def test_a_decision_is_not_asked_for_again_and_a_rejection_stands(
    book: Ledger, marks: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "doubts", lambda _: ("odd",))
    problem = load_problem("flights", ROOT)
    assert approvals.settle(model()) is None
    assert marks == []
    ask(book)
    assert approvals.settle(model()) is None
    decide(book, NO)

    assert approvals.reasons_to_ask(problem, model()) == ()
    found = approvals.settle(model())
    assert isinstance(found, Rejected)
    assert found.message == f"version 2 was rejected by Bob: {NO.reason}"
    assert "what served before still serves" in str(found.error())
    assert marks[-1] == {
        "retrue.approval": "rejected",
        "retrue.approved_by": "Bob",
        "retrue.approved_at": "2013-04-01T00:00:00.000000+00:00",
        "retrue.approval_reason": NO.reason,
    }
    assert approvals.rejected("flights") == {(2, SHA)}


def test_the_command_line_answers_for_the_one_that_waits(
    book: Ledger, marks: list[dict[str, str]]
) -> None:
    with pytest.raises(LedgerError, match="found none; `retrue approvals flights`"):
        approvals.answer_by_hand("flights", None, YES)
    ask(book, version=2)
    assert approvals.answer_by_hand("flights", None, YES).model_version == 2
    assert approvals.answer_by_hand("flights", 2, YES).decided_by == "Ann", "the same word again"
    with pytest.raises(LedgerError, match="found approved by Ann at .*the first decision stands"):
        approvals.answer_by_hand("flights", 2, NO)
    ask(book, version=3)
    ask(book, version=4)
    with pytest.raises(LedgerError, match="found 3, 4; name one"):
        approvals.answer_by_hand("flights", None, YES)
    assert approvals.answer_by_hand("flights", 5, NO).status == "rejected", "before it is asked"
    assert [one["retrue.approval"] for one in marks] == ["approved", "approved", "rejected"]


def test_a_look_finds_an_answer_from_elsewhere(book: Ledger) -> None:
    asked = ask(ledger.connect())
    assert approvals.look(asked) == asked
    found = decide(book, NO, "command line")
    assert approvals.look(asked) == found
    assert approvals.as_answer(found) == NO


def test_silence_until_the_deadline_is_a_rejection(book: Ledger) -> None:
    asked = ask(book)  # in 2013
    found = approvals.look(asked)
    assert (found.status, found.decided_by, found.decided_via) == ("rejected", "timeout", "timeout")
    assert found.reason == "no answer until 2013-04-02T00:00 UTC"
    assert approvals.look(asked) == found


def test_a_claim_outlives_its_lease_while_its_heart_beats(book: Ledger, clock: Clock) -> None:
    book = replace(book, lease_s=0.03)
    far = ledger.Holder("another-host", 42, "boot:1")
    mine = ledger.claim_retraining(book, "flights", "a", far).retraining
    with ledger.beating(book, "retraining", mine.id, mine.token):
        clock.time += timedelta(hours=12)
        deadline = time.monotonic() + 60
        while last_beat(book) < clock.time.timestamp():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert ledger.claim_retraining(book, "flights", "b", far).outcome == "busy"
    clock.time += timedelta(hours=1)
    assert ledger.claim_retraining(book, "flights", "b", far).outcome == "claimed"


def last_beat(book: Ledger) -> float:
    with book.engine.begin() as connection:
        return float(connection.execute(sa.text("SELECT heartbeat_at FROM leases")).scalar_one())


def test_the_page_says_why_what_and_how(book: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_card, "gather", lambda *_: None)
    monkeypatch.setattr(model_card, "markdown", lambda *_: "# The card\n\n## Known limits")
    monkeypatch.setattr(ledger, "connect", lambda: book)
    problem = load_problem("flights", ROOT)
    _, page = approval_facts.ask(problem, model(), ("a doubt",), "run-1")
    assert page.startswith("# Shall version 2 of flights serve?")
    for words in (
        "- a doubt",
        "## The card",
        "### Known limits",
        "retrue approve",
        "2013-04-02 00:00 UTC",
        "crew-hour",
    ):
        assert words in page
    assert [line for line in page.splitlines() if line.startswith("# ")] == [page.splitlines()[0]]
