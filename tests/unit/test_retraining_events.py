"""What an event may ask for: forged, stale and malformed ones start nothing."""

import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from retrue import event_key, ledger
from retrue.errors import RequestError, StackError
from retrue.ledger import Ledger
from retrue.retraining_events import Asked, asked, signature

NOW = datetime(2013, 4, 1, 6, tzinfo=UTC)
REQUEST = {
    "decision": "theirs-1",
    "until": "2013-04-01",
    "reason": "their monitor says so",
    "sent_at": "2013-04-01T06:00:00Z",
}


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path))
    monkeypatch.delenv(event_key.VARIABLE, raising=False)
    event_key.ensure()
    return ledger.connect(f"sqlite:///{tmp_path / 'ledger.db'}", lambda: NOW)


def event(name: str, payload: Any, received: datetime = NOW) -> str:
    return json.dumps({"event": name, "received": received.isoformat(), "payload": payload})


def signed(problem: str = "flights", key: bytes | None = None, **changed: str) -> dict[str, str]:
    plain = REQUEST | changed
    return plain | {"signature": signature(key or event_key.read(), problem, plain)}


def request(payload: Any, received: datetime = NOW) -> str:
    return event("retrue.retrain.requested", payload, received)


def check(book: Ledger, verdict: Any = "drift") -> str:
    return ledger.record_check(
        book,
        "flights",
        1,
        "2013-03-01",
        "2013-04-01",
        verdict=verdict,
        report_json='{"reason": "temperature moved"}',
    ).trigger_key


def test_of_our_own_event_only_the_decision_counts(book: Ledger) -> None:
    key = check(book)
    told = {"decision": key, "until": "2099-01-01", "reason": "forged", "more": [1]}
    found = asked(event("retrue.drift.detected", told), "flights", book)
    assert found == Asked(key, date(2013, 4, 1), "temperature moved")


@pytest.mark.parametrize("verdict", ["no drift", "cannot tell"])
def test_a_check_without_drift_cannot_be_named_as_a_decision(book: Ledger, verdict: str) -> None:
    told = {"decision": check(book, verdict)}
    with pytest.raises(RequestError, match="a drift decision of ours"):
        asked(event("retrue.drift.detected", told), "flights", book)


@pytest.mark.parametrize("decision", ["forged", None, 7, {"a": 1}])
def test_a_decision_that_the_ledger_does_not_have_is_refused(book: Ledger, decision: Any) -> None:
    check(book)
    with pytest.raises(RequestError, match="nothing was started"):
        asked(event("retrue.drift.detected", {"decision": decision}), "flights", book)


def test_a_decision_about_another_problem_is_refused(book: Ledger) -> None:
    told = {"decision": check(book)}
    with pytest.raises(RequestError):
        asked(event("retrue.drift.detected", told), "taxis", book)


def test_a_signed_request_is_taken_under_a_name_of_its_own(book: Ledger) -> None:
    found = asked(request(signed()), "flights", book)
    assert found == Asked("request:theirs-1", date(2013, 4, 1), "their monitor says so")
    shortest = signed(until="", reason="")
    assert asked(request(shortest), "flights", book).until is None


def test_a_request_cannot_pass_for_a_decision_of_ours(book: Ledger) -> None:
    key = check(book)
    assert asked(request(signed(decision=key)), "flights", book).trigger_key != key


def test_a_request_without_a_signature_says_where_to_read_on(book: Ledger) -> None:
    with pytest.raises(RequestError, match="event for flights: expected a signature, found none"):
        asked(request(REQUEST), "flights", book)


@pytest.mark.parametrize("name", list(REQUEST))
def test_a_request_that_was_changed_after_it_was_signed_is_refused(book: Ledger, name: str) -> None:
    other = {"until": "2013-04-02", "sent_at": "2013-04-01T06:00:01Z"}.get(name, "changed")
    with pytest.raises(RequestError, match="signature of our key"):
        asked(request(signed() | {name: other}), "flights", book)


def test_a_request_signed_for_another_problem_or_by_another_key_is_refused(book: Ledger) -> None:
    for forged in (signed(problem="taxis"), signed(key=b"0" * 64)):
        with pytest.raises(RequestError, match="signature of our key"):
            asked(request(forged), "flights", book)


@pytest.mark.parametrize("late_s", [901, -301, 86_400])
def test_a_request_that_was_overheard_is_void_later(book: Ledger, late_s: int) -> None:
    with pytest.raises(RequestError, match="15 minutes old"):
        asked(request(signed(), NOW + timedelta(seconds=late_s)), "flights", book)
    assert asked(request(signed(), NOW + timedelta(seconds=900)), "flights", book)


@pytest.mark.parametrize("sent_at", ["2013-04-01T06:00:00", "yesterday", ""])
def test_a_moment_without_a_zone_is_refused(book: Ledger, sent_at: str) -> None:
    with pytest.raises(RequestError, match="ISO dates with a zone"):
        asked(request(signed(sent_at=sent_at)), "flights", book)


def test_no_field_can_hold_the_line_of_another(book: Ledger) -> None:
    """Signed with a line break, a text could stand for two fields."""
    joined = signed(decision="a\n2013-04-01", until="")
    with pytest.raises(RequestError, match="decision"):
        asked(request(joined), "flights", book)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"event": "other"}', '{"event": "retrue.drift.detected"}', "[" * 9999],
)
def test_what_cannot_be_read_is_refused_in_one_line(book: Ledger, text: str) -> None:
    with pytest.raises(RequestError) as refusal:
        asked(text, "flights", book)
    assert len(str(refusal.value).splitlines()) == 1


_LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # nothing is written
)
@given(payload=st.dictionaries(st.sampled_from([*REQUEST, "signature", "x"]), _LEAF))
def test_no_payload_at_all_is_taken_unsigned(book: Ledger, payload: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(event_key.VARIABLE, "k" * 32)
        with pytest.raises(RequestError):
            asked(request(payload), "flights", book)


# The key


def test_the_key_is_made_once_and_is_for_its_owner_alone(book: Ledger) -> None:
    first = event_key.read()
    event_key.ensure()
    assert event_key.read() == first
    assert len(first) == 64
    assert event_key.key_file().stat().st_mode & 0o777 == 0o600


def test_the_environment_goes_before_the_file(
    book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(event_key.VARIABLE, "e" * 40)
    assert event_key.read() == b"e" * 40


def test_a_key_that_others_may_read_or_that_is_too_short_is_refused(book: Ledger) -> None:
    os.chmod(event_key.key_file(), 0o640)
    with pytest.raises(StackError, match="mode 640"):
        event_key.read()
    os.chmod(event_key.key_file(), 0o600)
    event_key.key_file().write_text("short")
    with pytest.raises(StackError, match="at least 32 characters"):
        event_key.read()
    event_key.key_file().unlink()
    with pytest.raises(StackError, match="run `retrue up`"):
        event_key.read()
