"""Alerts: each delivered once to each receiver, and a receiver that fails stops nothing."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from retrue import alerts, ledger
from retrue.alerts import Level
from retrue.config import Problem
from retrue.config_retraining import Alerts
from retrue.ledger import Backoff, Ledger, Standing
from retrue.performance.report import Performance
from retrue.problems import load_problem
from tests.unit.clocks import Clock
from tests.unit.receivers import Mail, Web, closed_port, mail_receiver, web_receiver

ROOT = Path(__file__).parents[2]


@pytest.fixture
def web() -> Iterator[Web]:
    with web_receiver() as found:
        yield found


@pytest.fixture
def mail() -> Iterator[Mail]:
    with mail_receiver() as found:
        yield found


def flights(**given: Any) -> Problem:
    return load_problem("flights", ROOT).model_copy(update={"alerts": Alerts(**given)})


def drifted(book: Ledger, verdict: Any = "drift", day: str = "2013-04-01") -> ledger.Check:
    check = ledger.record_check(
        book,
        "flights",
        1,
        "2013-03-01",
        day,
        verdict=verdict,
        report_json='{"reason": "78 %, most of it from temp"}',
    )
    alerts.checked(book, check)
    return check


def test_a_performance_that_asks_for_a_person_is_told_once_a_version(book: Ledger) -> None:
    found = Performance.model_validate(
        {
            "verdict": "worse",
            "basis": "estimated",
            "metric": "log_loss",
            "baseline": 0.4,
            "asks": "human",
            "estimated": {"n_rows": 0, "n_days": 0},
            "realised": {"n_labelled": 0, "share_labelled": 0, "n_days": 0},
            "is_right": None,
            "concept": {"verdict": "cannot tell", "reason": "no labels yet"},
            "trust": {"state": "untested", "n_scored": 0, "reason": "new"},
            "reason": "log_loss estimated 0.7",
        }
    )
    told = [alerts.performed(book, "flights", version, found) for version in (1, 1, 2)]
    assert told == [True, False, True]
    asks = found.model_copy(update={"asks": "retraining", "basis": "realised"})
    assert not alerts.performed(book, "flights", 3, asks), "its decision is told instead"
    (one, _) = ledger.alerts(book, "flights", alerts.MAX_AGE)
    assert "performance of version 1: worse" in one.title


def send(problem: Problem, book: Ledger, **blocks: Any) -> tuple[int, list[str]]:
    told: list[str] = []
    return alerts.send_waiting(problem, book, blocks, told.append), told


def test_a_webhook_gets_a_drift_decision_once_however_often_it_is_checked(
    book: Ledger, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", f"json://127.0.0.1:{web.port}/hook")
    problem = flights(urls=("${HOOK}",))
    for _ in range(2):
        drifted(book)
        send(problem, book)
    ((path, posted),) = web.posts
    assert path == "/hook"
    assert posted["title"] == "flights: drift"
    assert posted["message"] == (
        "Version 1, served 2013-03-01 to 2013-04-01: 78 %, most of it from temp"
    )
    assert posted["type"] == "warning"


def test_a_chat_room_gets_it_as_text(
    book: Ledger, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mattermost's webhook is Slack's, at an address of one's own; Slack's own cannot be here."""
    monkeypatch.setenv("CHAT", f"mmost://127.0.0.1:{web.port}/{'a' * 26}")
    drifted(book)
    assert send(flights(urls=("${CHAT}",)), book) == (1, [])
    ((path, posted),) = web.posts
    assert path == f"/hooks/{'a' * 26}"
    assert "78 %, most of it from temp" in posted["text"]


def test_a_mail_says_what_happened(
    book: Ledger, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = "from=loop@example.org&to=ann@example.org&mode=insecure&format=text"
    monkeypatch.setenv("MAIL", f"mailto://127.0.0.1:{mail.port}?{to}")
    drifted(book)
    assert send(flights(urls=("${MAIL}",)), book) == (1, [])
    (message,) = mail.messages
    assert message["To"] == "ann@example.org"
    assert message["Subject"] == "flights: drift"
    part = next(one for one in message.walk() if not one.is_multipart())
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert "78 %, most of it from temp" in content.decode()


@pytest.mark.parametrize("trouble", ["away", "500", "unset", "no URL"])
def test_a_receiver_that_fails_is_told_of_written_down_and_tried_again(
    book: Ledger, web: Web, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    good = f"json://me:secret@127.0.0.1:{web.port}/hook"
    bad = {
        "away": f"json://me:secret@127.0.0.1:{closed_port()}/hook",
        "500": good,
        "unset": "",
        "no URL": "secret",
    }[trouble]
    web.status = 500 if trouble == "500" else 200
    monkeypatch.setenv("HOOK", bad)
    problem = flights(urls=("${HOOK}",))
    drifted(book)

    n_sent, told = send(problem, book)
    assert n_sent == 0 and len(told) == 1
    (alert,) = ledger.alerts(book, "flights")
    assert alert.error is not None and "${HOOK}" in alert.error
    assert "secret" not in alert.error + told[0]
    assert (alert.delivered, alert.attempts) == ((), 1)

    web.status = 200
    monkeypatch.setenv("HOOK", good)
    assert send(problem, book) == (1, [])
    assert send(problem, book) == (0, [])
    assert len(web.posts) == 1
    (alert,) = ledger.alerts(book, "flights")
    assert (alert.delivered, alert.error) == (("${HOOK}",), None)


def test_one_receiver_that_fails_does_not_double_it_for_the_others(book: Ledger) -> None:
    got: list[str] = []

    def takes(title: str, body: str, level: Level) -> None:
        got.append(title)

    def breaks(title: str, body: str, level: Level) -> None:
        raise RuntimeError("token=secret")

    drifted(book)
    for _ in range(3):
        _, told = send(flights(), book, good=takes, bad=breaks)
        assert len(told) == 1 and "RuntimeError" in told[0] and "secret" not in told[0]
    assert got == ["flights: drift"]


def test_a_ledger_that_is_away_stops_nothing(tmp_path: Path) -> None:
    book = ledger.connect(f"sqlite:///{tmp_path / 'gone' / 'ledger.db'}")
    with book.transaction() as connection:
        connection.exec_driver_sql("DROP TABLE alerts")
    n_sent, told = send(flights(), book, good=lambda *given: None)
    assert n_sent == 0
    assert told == ["alerts of flights wait for the next check: LedgerError"]


def test_of_two_senders_at_once_one_sends(book: Ledger, clock: Clock) -> None:
    got: list[str] = []
    drifted(book)
    (alert,) = ledger.alerts(book, "flights")
    assert ledger.take_alert(book, alert.id) is not None  # and then that sender dies
    assert send(flights(), book, good=lambda *given: got.append(given[0])) == (0, [])
    clock.time += timedelta(seconds=121)
    assert send(flights(), book, good=lambda *given: got.append(given[0])) == (1, [])
    assert got == ["flights: drift"]


def test_what_is_below_the_level_or_too_old_is_not_sent(book: Ledger, clock: Clock) -> None:
    got: list[tuple[str, Level]] = []

    def takes(title: str, body: str, level: Level) -> None:
        got.append((title, level))

    drifted(book)
    mine = ledger.claim_retraining(book, "flights", "k").mine
    alerts.retrained(book, mine, "failed", {"reason": "disk", "asked": "drift"})
    assert send(flights(min_level="error"), book, one=takes)[0] == 1
    assert got == [("flights: retraining failed (attempt 1)", "error")]
    clock.time += timedelta(days=4)
    assert send(flights(), book, one=takes)[0] == 0


def test_each_thing_a_person_should_know_has_an_alert(book: Ledger) -> None:
    got: list[tuple[str, Level]] = []
    drifted(book, "no drift", "2013-04-02")
    drifted(book, "cannot tell", "2013-04-03")
    check = drifted(book)
    for status in ("failed", "failed", "failed", "promoted"):
        mine = ledger.claim_retraining(book, "flights", check.trigger_key).mine
        stands = ledger.standing(book, "flights", check.trigger_key, Backoff(max_attempts=3))
        if stands.state == "exhausted" and status == "failed":
            alerts.exhausted(book, check, stands)
        ledger.finish_retraining(book, mine.id, mine.token, status)
        alerts.retrained(book, mine, status, {"model_version": 2})
    alerts.broken(book, "flights", "2013-04-04", "temp is stuck at 32.0")

    send(flights(), book, one=lambda title, body, level: got.append((title, level)))
    assert got == [
        ("flights: cannot tell", "warning"),
        ("flights: drift", "warning"),
        ("flights: version 2 failed (attempt 1)", "error"),
        ("flights: version 2 failed (attempt 2)", "error"),
        ("flights: the retraining waits for a person after 3 failures", "error"),
        ("flights: version 2 failed (attempt 3)", "error"),
        ("flights: version 2 promoted", "info"),
        ("flights: broken data", "error"),
    ]


def test_a_url_with_a_password_in_the_configuration_is_refused() -> None:
    with pytest.raises(ValueError, match="pattern"):
        Alerts(urls=("mailto://ann:secret@example.org",))


@pytest.mark.parametrize(
    "error", [KeyError("secret"), ValueError("at", "secret"), OSError("secret")]
)
def test_an_error_that_is_not_ours_is_told_by_its_kind_alone(
    book: Ledger, error: Exception
) -> None:
    def breaks(title: str, body: str, level: Level) -> None:
        raise error

    drifted(book)
    _, (told,) = send(flights(), book, bad=breaks)
    assert type(error).__name__ in told and "secret" not in told


def test_what_fails_again_after_a_persons_try_is_news_again(book: Ledger) -> None:
    check = drifted(book)
    assert [
        alerts.exhausted(book, check, Standing("exhausted", n_failures=n)) for n in (3, 3, 4)
    ] == [True, False, True]


def test_a_version_that_is_asked_about_again_is_news_again(book: Ledger, clock: Clock) -> None:
    first = ledger.request_approval(
        book, "flights", 2, "ab" * 32, why=("a doubt",), timeout_s=60, flow_run_id="run-1"
    )
    assert [alerts.waits_for_approval(book, first, "here") for _ in range(2)] == [True, False]
    clock.time += timedelta(days=1)
    assert alerts.waits_for_approval(book, replace(first, asked_at=clock.time.isoformat()), "here")
