"""The ledger: decisions happen once, and a lost holder cannot write."""

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import pytest

from retrue import ledger
from retrue.errors import LedgerError
from retrue.ledger import Ledger, holders
from tests.unit.clocks import Clock

Verdict = Literal["drift", "no drift", "cannot tell"]
SPAWN = multiprocessing.get_context("spawn")
ELSEWHERE = ledger.Holder("another-host", 42, "boot:1")


def decide(
    book: Ledger, start: date | str = "2013-04-01", verdict: Verdict = "drift"
) -> ledger.Check:
    return ledger.record_check(
        book,
        "flights",
        1,
        start,
        "2013-05-01",
        verdict=verdict,
        report_json="{}",
    )


def test_the_default_ledger_lives_under_retrue_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RETRUE_LEDGER_URL", raising=False)
    assert ledger.checks(ledger.connect(), "flights") == []
    with sqlite3.connect(tmp_path / "home" / "ledger.db") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def test_a_place_without_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("this is no database, but long enough to be read as one")
    (tmp_path / "folder.db").mkdir()
    for name in ("ledger.db", "folder.db", "ledger.db/below.db"):
        with pytest.raises(LedgerError, match="a ledger that answers"):
            ledger.connect(f"sqlite:///{tmp_path / name}")


def test_a_ledger_lost_while_in_use_is_refused(book: Ledger, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state" / "ledger.db") as database:
        database.execute("DROP TABLE drift_checks")
    database.close()
    with pytest.raises(LedgerError, match="no such table"):
        decide(book)


# Drift checks


def test_a_window_is_decided_once(book: Ledger, clock: Clock) -> None:
    first = decide(book)
    clock.time += timedelta(hours=1)
    assert decide(book, verdict="no drift") == first
    assert ledger.checks(book, "flights") == [first]
    assert ledger.checks(book, "taxis") == []


def test_spellings_of_one_moment_are_one_window(book: Ledger) -> None:
    spellings: list[date | str] = [
        "2013-04-01",
        date(2013, 4, 1),
        datetime(2013, 4, 1, tzinfo=UTC),
        datetime(2013, 4, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        "2013-04-01T00:00:00Z",
    ]
    assert len({decide(book, start).id for start in spellings}) == 1


@pytest.mark.parametrize("start", ["April", "2013-04-01T06:00", datetime(2013, 4, 1)])
def test_a_window_without_a_clear_moment_is_refused(book: Ledger, start: date | str) -> None:
    with pytest.raises(LedgerError, match="ISO"):
        decide(book, start)


def test_cannot_tell_is_replaced_by_a_later_decision(book: Ledger) -> None:
    unsure = decide(book, verdict="cannot tell")
    sure = decide(book, verdict="drift")
    assert (sure.id, sure.verdict) == (unsure.id, "drift")
    assert decide(book, verdict="cannot tell") == sure


@pytest.mark.parametrize("status", ["promoted", "refused"])
def test_a_drift_decision_stays_open_until_its_retraining_is_finished(
    book: Ledger, status: Literal["promoted", "refused"]
) -> None:
    check = decide(book)
    decide(book, "2013-03-01", "no drift")
    assert ledger.open_decisions(book, "flights") == [check]
    claim = ledger.claim_retraining(book, "flights", check.trigger_key)
    assert ledger.open_decisions(book, "flights") == [check]
    mine = claim.retraining
    ledger.finish_retraining(book, mine.id, mine.token, status)
    assert ledger.open_decisions(book, "flights") == []


def test_a_decision_whose_retraining_keeps_failing_waits_for_a_human(book: Ledger) -> None:
    check = decide(book)
    for _ in range(3):
        assert ledger.open_decisions(book, "flights") == [check]
        mine = ledger.claim_retraining(book, "flights", check.trigger_key).retraining
        ledger.finish_retraining(book, mine.id, mine.token, "failed")
    assert ledger.open_decisions(book, "flights") == []
    assert ledger.claim_retraining(book, "flights", check.trigger_key).outcome == "claimed"


# Retrainings


def test_the_second_claim_is_busy_and_names_the_first(book: Ledger) -> None:
    first = ledger.claim_retraining(book, "flights", "a")
    second = ledger.claim_retraining(book, "flights", "b")
    again = ledger.claim_retraining(book, "flights", "a")
    assert [first.outcome, second.outcome, again.outcome] == ["claimed", "busy", "busy"]
    assert second.retraining == again.retraining == first.retraining
    assert ledger.claim_retraining(book, "taxis", "a").outcome == "claimed"
    assert [r.trigger_key for r in ledger.retrainings(book, "flights")] == ["a"]


def test_a_served_trigger_is_not_served_again(book: Ledger) -> None:
    mine = ledger.claim_retraining(book, "flights", "a").retraining
    done = ledger.finish_retraining(book, mine.id, mine.token, "promoted", '{"version": 2}')
    other = ledger.claim_retraining(book, "flights", "b")
    assert other.outcome == "claimed"
    claim = ledger.claim_retraining(book, "flights", "a")
    assert (claim.outcome, claim.retraining) == ("finished", done)


def test_a_failed_retraining_may_be_claimed_again(book: Ledger) -> None:
    first = ledger.claim_retraining(book, "flights", "a").retraining
    ledger.finish_retraining(book, first.id, first.token, "failed", '{"error": "disk"}')
    claim = ledger.claim_retraining(book, "flights", "a")
    assert claim.outcome == "claimed"
    assert claim.retraining.id == first.id
    assert (claim.retraining.token, claim.retraining.attempts) == (first.token + 1, 2)
    assert claim.retraining.details_json == "{}"


def test_finishing_twice_alike_is_harmless_and_otherwise_refused(book: Ledger) -> None:
    mine = ledger.claim_retraining(book, "flights", "a").retraining
    done = ledger.finish_retraining(book, mine.id, mine.token, "promoted")
    assert ledger.finish_retraining(book, mine.id, mine.token, "promoted") == done
    with pytest.raises(LedgerError, match="finished or lost"):
        ledger.finish_retraining(book, mine.id, mine.token, "failed")


def test_a_silent_holder_elsewhere_loses_its_claim_after_the_lease(
    book: Ledger, clock: Clock
) -> None:
    first = ledger.claim_retraining(book, "flights", "a", ELSEWHERE).retraining
    clock.time += timedelta(seconds=59)
    ledger.heartbeat(book, "retraining", first.id, first.token)
    clock.time += timedelta(seconds=60)
    assert ledger.claim_retraining(book, "flights", "b").outcome == "busy"
    clock.time += timedelta(seconds=1)
    second = ledger.claim_retraining(book, "flights", "b")
    assert second.outcome == "claimed"
    assert second.retraining.token == first.token + 1
    with pytest.raises(LedgerError, match="lost claim"):
        ledger.check_token(book, "retraining", first.id, first.token)
    with pytest.raises(LedgerError, match="lost claim"):
        ledger.finish_retraining(book, first.id, first.token, "promoted")
    assert [r.status for r in ledger.retrainings(book, "flights")] == ["failed", "running"]


def test_a_living_holder_here_keeps_its_claim_without_a_heartbeat(
    book: Ledger, clock: Clock
) -> None:
    ledger.claim_retraining(book, "flights", "a")
    clock.time += timedelta(days=1)
    assert ledger.claim_retraining(book, "flights", "b").outcome == "busy"


def test_a_reused_pid_is_not_taken_for_the_old_holder(book: Ledger) -> None:
    gone = replace(ledger.this_process(), created="another boot:1")
    first = ledger.claim_retraining(book, "flights", "a", gone).retraining
    claim = ledger.claim_retraining(book, "flights", "a")
    assert (claim.outcome, claim.retraining.id) == ("claimed", first.id)


# Many at once


def claim_in_process(url: str, key: str, gate: Connection) -> None:
    """Claim, tell the outcome, live on until told or killed."""
    gate.send("ready")
    gate.recv()
    claim = ledger.claim_retraining(ledger.connect(url), "flights", key)
    gate.send((claim.outcome, claim.retraining.id, claim.retraining.token))
    gate.recv()


def deploy_in_process(url: str, key: str, gate: Connection) -> None:
    """Start a deployment, tell its token, live on until told or killed."""
    gate.send("ready")
    gate.recv()
    made = ledger.start_deployment(ledger.connect(url), "flights", int(key), "0" * 64)
    gate.send(("claimed", made.id, made.token))
    gate.recv()


Body = Callable[[str, str, Connection], None]


def start(body: Body, url: str, key: str) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=body, args=(url, key, there), daemon=True)
    process.start()
    assert here.poll(60) and here.recv() == "ready"
    return process, here


def kill(process: multiprocessing.process.BaseProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    # Awaited but not reaped: a forgotten child stays as a zombie, and that must count as dead.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def test_of_many_processes_on_a_new_ledger_exactly_one_wins(ledger_url: str) -> None:
    started = [start(claim_in_process, ledger_url, key) for key in "aabb"]
    for _, gate in started:
        gate.send("go")
    outcomes = [gate.recv()[0] for _, gate in started if gate.poll(60)]
    assert sorted(outcomes) == ["busy", "busy", "busy", "claimed"]
    for process, gate in started:
        gate.send("end")
        process.join(60)
        assert process.exitcode == 0


def test_of_many_threads_exactly_one_wins(ledger_url: str) -> None:
    def one(n: int) -> str:
        return ledger.claim_retraining(
            ledger.connect(ledger_url), "flights", f"key {n % 3}"
        ).outcome

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(one, range(24)))
    assert outcomes.count("claimed") == 1
    assert outcomes.count("busy") == 23


def test_of_many_threads_one_records_the_check(ledger_url: str) -> None:
    def one(n: int) -> tuple[int, str]:
        check = decide(ledger.connect(ledger_url), verdict="drift" if n % 2 else "no drift")
        return check.id, check.verdict

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(one, range(24)))) == 1


def test_a_killed_retraining_is_resumed_at_once_with_a_higher_token(
    book: Ledger, ledger_url: str
) -> None:
    process, gate = start(claim_in_process, ledger_url, "a")
    gate.send("go")
    assert gate.poll(60)
    outcome, first_id, first_token = gate.recv()
    assert outcome == "claimed"
    assert ledger.claim_retraining(book, "flights", "a").outcome == "busy"
    kill(process)
    claim = ledger.claim_retraining(book, "flights", "a")
    assert claim.outcome == "claimed"
    assert (claim.retraining.id, claim.retraining.token) == (first_id, first_token + 1)
    with pytest.raises(LedgerError, match=f"token {first_token + 1} in its place"):
        ledger.finish_retraining(book, first_id, first_token, "promoted")
    process.join(60)


def test_a_killed_deployment_is_closed_and_its_token_is_stale(
    book: Ledger, ledger_url: str
) -> None:
    process, gate = start(deploy_in_process, ledger_url, "1")
    gate.send("go")
    assert gate.poll(60)
    _, first_id, first_token = gate.recv()
    with pytest.raises(LedgerError, match=f"pid {process.pid}"):
        ledger.start_deployment(book, "flights", 2, "0" * 64)
    kill(process)
    second = ledger.start_deployment(book, "flights", 2, "0" * 64)
    assert second.token > first_token
    with pytest.raises(LedgerError, match="lost claim"):
        ledger.check_token(book, "deployment", first_id, first_token)
    ledger.check_token(book, "deployment", second.id, second.token)
    assert [d.status for d in ledger.history(book, "flights")] == ["failed", "deploying"]
    process.join(60)


def test_a_writer_killed_in_its_transaction_leaves_nothing_behind(
    book: Ledger, ledger_url: str
) -> None:
    process, gate = start(die_while_writing, ledger_url, "a")
    gate.send("go")
    assert gate.poll(60) and gate.recv() == "written"
    kill(process)
    process.join(60)
    assert ledger.checks(book, "flights") == []
    assert decide(book).verdict == "drift"


def die_while_writing(url: str, _key: str, gate: Connection) -> None:
    """Write a check, never commit."""
    gate.send("ready")
    gate.recv()
    database = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    database.execute(
        "INSERT INTO drift_checks (problem, model_version, window_start, window_end, trigger_key,"
        " verdict, report_json, decided_at)"
        " VALUES ('flights', 1, 'a', 'b', 'k', 'drift', '{}', 'n')"
    )
    gate.send("written")
    gate.recv()


# Deployments


def deploy(
    book: Ledger, version: int, status: Literal["serving", "failed"] = "serving"
) -> ledger.Deployment:
    made = ledger.start_deployment(book, "flights", version, f"{version:064d}")
    return ledger.finish_deployment(
        book,
        made.id,
        made.token,
        status,
        target="process",
        details_json='{"port": 1}',
    )


def test_one_deployment_serves_and_the_former_is_retired(book: Ledger) -> None:
    assert ledger.should_serve(book, "flights") is None
    assert ledger.previous_version(book, "flights") is None
    first, second = deploy(book, 1), deploy(book, 2)
    assert [d.status for d in ledger.history(book, "flights")] == ["retired", "serving"]
    assert ledger.should_serve(book, "flights") == second
    assert (first.target, first.details_json) == ("process", '{"port": 1}')
    assert ledger.previous_version(book, "flights") == 1


def test_a_failed_deployment_leaves_the_serving_one(book: Ledger) -> None:
    first = deploy(book, 1)
    deploy(book, 2, "failed")
    assert ledger.should_serve(book, "flights") == first
    assert ledger.previous_version(book, "flights") is None


def test_a_rollback_can_be_rolled_back(book: Ledger) -> None:
    for version in (1, 2, 2, 1):
        deploy(book, version)
    assert ledger.previous_version(book, "flights") == 2


def test_a_finished_deployment_cannot_switch_or_finish_otherwise(book: Ledger) -> None:
    made = ledger.start_deployment(book, "flights", 1, "0" * 64)
    ledger.check_token(book, "deployment", made.id, made.token)
    done = ledger.finish_deployment(book, made.id, made.token, "serving")
    assert ledger.finish_deployment(book, made.id, made.token, "serving") == done
    with pytest.raises(LedgerError):
        ledger.check_token(book, "deployment", made.id, made.token)
    with pytest.raises(LedgerError):
        ledger.finish_deployment(book, made.id, made.token, "failed")


def test_a_retraining_and_a_deployment_do_not_block_each_other(book: Ledger) -> None:
    assert ledger.claim_retraining(book, "flights", "a").outcome == "claimed"
    assert ledger.start_deployment(book, "flights", 1, "0" * 64).status == "deploying"


def test_a_process_that_never_was_is_dead_and_this_one_lives() -> None:
    me = ledger.this_process()
    assert not holders.is_dead(me)
    assert holders.is_dead(replace(me, pid=2**22 + 1))
    assert not holders.is_dead(ELSEWHERE), "only its silence can tell"


def test_a_rollback_takes_a_running_deployment_over_and_its_token_is_stale(book: Ledger) -> None:
    running = ledger.start_deployment(book, "flights", 2, "b" * 64)
    assert ledger.deployment_turn(book, "flights") == (running.token, True)
    back = ledger.start_deployment(book, "flights", 1, "a" * 64, take_over=True)
    assert back.token == running.token + 1
    with pytest.raises(LedgerError, match="fencing token"):
        ledger.check_token(book, "deployment", running.id, running.token)
    with pytest.raises(LedgerError, match="fencing token"):
        ledger.finish_deployment(book, running.id, running.token, "serving")
    ledger.finish_deployment(book, back.id, back.token, "serving")
    assert [one.status for one in ledger.history(book, "flights")] == ["failed", "serving"]
    assert ledger.deployment_turn(book, "flights") == (back.token, False)
