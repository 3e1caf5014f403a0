"""The state of the loop in the terminal, as JSON and for Prometheus, with all servers down."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from typer.testing import CliRunner

from flows.cli import app
from retrue import drift_page, ledger, loop_metrics, loop_status, next_check, status_text
from retrue.errors import DataError
from retrue.ledger import Check, Ledger
from retrue.written_pages import newest
from tests.unit.conftest import Small

NOW = datetime(2013, 5, 1, 12, tzinfo=UTC)
RUNS: dict[str, str | None] = {
    "prefect": "http://127.0.0.1:1",
    "mlflow": "http://127.0.0.1:2",
    "runner": "running",
}
DOWN = dict.fromkeys(RUNS)
PLAIN = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}
HOSTILE = 'te"m\\p\n{x="y"} 1'


@pytest.fixture(autouse=True)
def _in_the_project(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small.root)
    monkeypatch.delenv("RETRUE_LEDGER_URL", raising=False)


@pytest.fixture
def book(small: Small) -> Ledger:
    """The ledger of the small problem's state folder, by a clock that stands still."""
    return Ledger(ledger.connect().engine, lambda: NOW)


def record(
    book: Ledger,
    verdict: Literal["drift", "no drift", "cannot tell"] = "drift",
    day: int = 1,
    top: str = "temp",
) -> Check:
    told = {
        "magnitude": None if verdict == "cannot tell" else 78.4,
        "magnitude_low": None if verdict == "cannot tell" else 75.0,
        "magnitude_high": None if verdict == "cannot tell" else 81.0,
        "threshold": 60.0,
        "top_feature": top,
        "reason": f"78 %, most of it from {top} (62 %)",
        "features": [{"name": top, "contribution": 62.0}, {"name": "wind", "contribution": 38.0}],
    }
    start = date(2013, 4, day)
    return ledger.record_check(
        book,
        "visits",
        3,
        start,
        start + timedelta(days=7),
        verdict=verdict,
        report_json=json.dumps(told),
    )


def retrain(book: Ledger, key: str, status: Literal["promoted", "failed"]) -> None:
    mine = ledger.claim_retraining(book, "visits", key).retraining
    details = json.dumps({"model_version": 4, "reason": "better by 0.03"})
    ledger.finish_retraining(book, mine.id, mine.token, status, details)


def command(*arguments: str) -> str:
    found = CliRunner().invoke(app, ["status", *arguments])
    assert found.exit_code == 0, found.output
    return found.stdout


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Series of the text format; what does not follow its grammar is an error."""
    label = r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"'
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    typed: list[str] = []
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert kind == "gauge" and name not in typed
            typed.append(name)
            continue
        if line.startswith("# HELP "):
            continue
        whole = re.fullmatch(rf"([a-zA-Z_]\w*)\{{((?:{label},?)*)\}} (\S+)", line)
        assert whole, line
        name, labels = whole[1], re.findall(label, whole[2])
        assert name == typed[-1], "series of one name stand together, below their type"
        key = tuple(
            (one, re.sub(r'\\[n"\\]', lambda m: PLAIN[m[0]], value)) for one, value in labels
        )
        assert (name, key) not in found
        found[name, key] = float(whole[whole.lastindex or 0])
    return found


def test_nothing_done_yet_is_told_as_such(small: Small) -> None:
    one = json.loads(command("--json"))["problems"]["visits"]
    assert (one["last_check"], one["last_retraining"], one["undone"]) == (None, None, {})
    text = command()
    assert "serves  nothing: no version was deployed" in text
    assert "last check  none yet" in text and "retrainings  none yet" in text
    assert "prefect  does not run" in text
    assert parsed(command("--prometheus")) == {
        ("retrue_drift_open_decisions", (("problem", "visits"),)): 0
    }


def test_the_last_check_and_what_came_of_it_are_told_without_any_server(book: Ledger) -> None:
    check = record(book)
    drift_page.write_page(check, [check])
    retrain(book, "by hand", "promoted")

    one = json.loads(command("--json"))["problems"]["visits"]
    last = one["last_check"]
    assert (last["verdict"], last["magnitude"], last["top_feature"]) == ("drift", 78.4, "temp")
    assert (last["contribution"], last["reason"]) == (62, "78 %, most of it from temp (62 %)")
    assert last["page"] == str(drift_page.page_path(check))
    assert one["undone"] == {check.trigger_key: "due"}
    assert one["next_check"]["at"] is None and "no Prefect server" in one["next_check"]["note"]
    assert one["last_retraining"]["model_version"] == 4
    text = command()
    assert "78 % [75, 81], alarm above 60 %" in text
    assert "promoted version 4" in text and "better by 0.03" in text
    assert f"{check.trigger_key}  due" in text


def test_a_window_that_is_decided_again_is_the_last_check(book: Ledger) -> None:
    clocked = Ledger(book.engine, lambda: NOW + timedelta(days=1))
    record(book, "cannot tell", 1)
    record(book, "no drift", 8)
    record(clocked, "drift", 1)
    assert loop_status.of(book, "visits")["last_check"]["window_start"][:10] == "2013-04-01"


def test_people_read_what_serves_and_what_waits() -> None:
    one: dict[str, Any] = {
        "model_version": 3,
        "since": "2013-05-01T09:00:00+00:00",
        "healthy": True,
        "address": "http://127.0.0.1:8080",
        "target": "process",
        "undone": {"drift:v3:a/b": "waits until noon"},
        "alerts_not_delivered": {"drift": "mail server away"},
        "next_check": {"schedule": "0 6 * * *", "at": "2013-05-02T06:00:00Z", "note": None},
    }
    told = status_text.facts({"stack": RUNS, "problems": {"visits": one}}, NOW)["visits"]
    assert told["serves"] == (
        "version 3 by a process at http://127.0.0.1:8080, since 2013-05-01 09:00 UTC (3 h ago)"
    )
    assert told["next check"] == "2013-05-02 06:00 UTC (in 18 h); schedule 0 6 * * *"
    assert told["drift without an answer"] == {"drift:v3:a/b": "waits until noon"}
    assert told["alerts not delivered"] == {"drift": "mail server away"}
    away = {**one, "healthy": False}
    told = status_text.facts({"stack": DOWN, "problems": {"visits": away}}, NOW)["visits"]
    assert "but nothing answers; `retrue up`" in told["serves"]


@pytest.mark.parametrize(
    ("running", "answer", "at", "note"),
    [
        (DOWN, b"[]", None, "no Prefect server runs"),
        ({**RUNS, "runner": None}, b"[]", None, "the runner does not run"),
        (RUNS, None, None, "does not answer"),
        (RUNS, b"[]", None, "may be paused"),
        (RUNS, b'{"detail": "no"}', None, "may be paused"),
        (RUNS, b'[{"expected_start_time": "2013-05-02T06:00:00"}]', None, "may be paused"),
        (RUNS, b'[{"expected_start_time": "2013-05-02T06:00:00Z"}]', "2013-05-02", None),
        (RUNS, b'[{"expected_start_time": "2013-05-01T06:00:00Z"}]', "2013-05-01", "late"),
    ],
)
def test_the_next_check_is_the_servers_word_or_why_there_is_none(
    small: Small,
    running: dict[str, str | None],
    answer: bytes | None,
    at: str | None,
    note: str | None,
) -> None:
    found = next_check.find(small.problem, running, NOW, lambda url, body: answer)
    assert (found["at"] or "")[:10] == (at or "")
    assert (note or "") in (found["note"] or "")
    assert (found["note"] is None) == (note is None)
    assert found["schedule"] == small.problem.drift.schedule


def test_metrics_say_what_the_last_check_found_whatever_names_hold(book: Ledger) -> None:
    record(book, top=HOSTILE)
    retrain(book, "a", "failed")
    retrain(book, "b", "promoted")
    path = loop_metrics.write(book, "visits")
    found = parsed(path.read_text(encoding="utf-8"))

    mine = ("problem", "visits")
    assert found["retrue_drift_magnitude_percent", (mine,)] == 78.4
    assert found["retrue_drift_threshold_percent", (mine,)] == 60
    assert found["retrue_drift_contribution_percent", (mine, ("feature", HOSTILE))] == 62
    verdicts = {key[1][1]: value for (name, key), value in found.items() if name.endswith("dict")}
    assert verdicts == {"drift": 1, "no drift": 0, "cannot tell": 0}
    assert found["retrue_drift_decided_timestamp_seconds", (mine,)] == NOW.timestamp()
    assert found["retrue_drift_open_decisions", (mine,)] == 1
    assert found["retrue_retrainings", (mine, ("outcome", "failed"))] == 1
    outcomes = {key[1][1]: v for (n, key), v in found.items() if n.endswith("outcome")}
    assert [name for name, value in outcomes.items() if value] == ["promoted"]
    assert path.stat().st_mode & 0o777 == 0o644
    assert parsed(command("--prometheus")) == found


def test_a_check_that_cannot_tell_has_no_magnitude_rather_than_0(book: Ledger) -> None:
    record(book, "cannot tell")
    found = parsed(loop_metrics.render(book, ["visits"]))
    names = {name for name, _ in found}
    assert not {name for name in names if "magnitude" in name}
    assert found["retrue_drift_verdict", (("problem", "visits"), ("verdict", "cannot tell"))] == 1


def test_metrics_that_cannot_be_written_are_told_and_stop_nothing(
    book: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(loop_metrics, "home", lambda: tmp_path / "file")
    told: list[str] = []
    loop_metrics.write_or_tell(book, "visits", told.append)
    assert len(told) == 1 and "visits" in told[0]


def test_pages_are_listed_newest_first_and_none_is_a_refusal(book: Ledger) -> None:
    with pytest.raises(DataError, match="a page of kind drift"):
        newest("visits", "drift")
    first, second = record(book, "no drift", 1), record(book, "drift", 8)
    for check in (first, second):
        drift_page.write_page(check, [first, second])
    assert newest("visits", "drift").path == drift_page.page_path(second)
    found = CliRunner().invoke(app, ["report", "visits", "--json"])
    assert [one["kind"] for one in json.loads(found.stdout)] == ["drift", "drift"]


def test_the_server_is_asked_for_the_next_run_of_this_problem_alone(small: Small) -> None:
    asked: list[tuple[str, Any]] = []

    def ask(url: str, body: bytes) -> bytes:
        asked.append((url, json.loads(body)))
        return b"[]"

    next_check.find(small.problem, RUNS, NOW, ask)
    ((url, body),) = asked
    assert url == f"{RUNS['prefect']}/api/flow_runs/filter"
    assert body["deployments"] == {"name": {"any_": ["visits"]}}
    assert (body["sort"], body["limit"]) == ("EXPECTED_START_TIME_ASC", 1)
