"""A person before the switch: the run waits for the form, the command line or the clock."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from retrue import ledger, tracking
from retrue.ledger import Approval
from tests.flows.command_line import retrue
from tests.flows.harness import STACK, Run, Stack, wait_for

pytestmark = STACK

FORM = {"decision": "approve", "reason": "the figures hold", "name": "Ann"}


def approval(name: str, version: int) -> Approval | None:
    """The ledger's row of a version."""
    found = ledger.approvals(ledger.connect(), name)
    return next((one for one in found if one.model_version == version), None)


def paused(loop: Stack, name: str, version: int, not_by: str | None = None) -> Approval:
    """The question, once its run shows the form."""

    def look() -> Approval | None:
        found = approval(name, version)
        if found is None or found.flow_run_id == not_by or found.decision:
            return None
        run = loop.ask(f"flow_runs/{found.flow_run_id}")
        state = run["state"]
        has_form = loop.ask(
            f"flow_runs/{found.flow_run_id}/input/filter",
            {"prefix": "paused-", "limit": 9, "exclude_keys": []},
        )
        return found if state["type"] == "PAUSED" and has_form else None

    return wait_for(look, f"{name} version {version} to wait for a person")


def resume(loop: Stack, asked: Approval, form: dict[str, Any]) -> dict[str, Any]:
    """Send the form as the page does."""

    def send() -> dict[str, Any] | None:
        # A server whose database is busy answers 503; a person presses Submit again.
        with suppress(AssertionError):
            found: dict[str, Any] = loop.ask(
                f"flow_runs/{asked.flow_run_id}/resume", {"run_input": form}
            )
            return found
        return None

    return wait_for(send, "an answer to the form")


def kill(run: Run, asked: Approval) -> None:
    """End the process that waits."""
    assert asked.pid is not None
    os.kill(asked.pid, signal.SIGKILL)
    assert run.wait().exit_code == -9


def tags(loop: Stack, name: str, version: int) -> dict[str, str]:
    (found,) = (one for one in loop.versions(name) if int(one["version"]) == version)
    return {one["key"]: one["value"] for one in found["tags"]}


def document(loop: Stack, *words: str) -> Any:
    done = retrue(*words, "--json", folder=loop.root)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_answer_that_says_nothing_does_not_count_and_the_next_one_does(loop: Stack) -> None:
    loop.run("train", problem="doubted")
    doubts = json.dumps(["carrier now counts against lateness"])
    tracking.client().set_model_version_tag("doubted", "1", "retrue.doubts", doubts)
    run = loop.start("deploy", problem="doubted", version=1)
    asked = paused(loop, "doubted", 1)
    assert asked.why == ("carrier now counts against lateness",)

    for wrong in ({}, FORM | {"reason": ""}, FORM | {"name": " \n"}, FORM | {"decision": "maybe"}):
        assert resume(loop, asked, wrong)["status"] == "REJECT"
    # The server's schema lets it pass; we do not, and ask again.
    assert resume(loop, asked, FORM | {"name": "A\u0000nn"})["status"] == "ACCEPT"
    wait_for(lambda: "No answer that counts" in _log(run), "the second question")
    assert paused(loop, "doubted", 1).status == "waiting"
    assert loop.deployments("doubted") == []
    assert resume(loop, asked, FORM)["status"] == "ACCEPT"
    done = run.wait()

    assert done.state == "Completed", done.log
    assert loop.answering("doubted") == loop.should_serve("doubted") == 1
    found = approval("doubted", 1)
    assert found is not None
    assert (found.status, found.decided_by, found.decided_via) == ("approved", "Ann", "form")
    shown = tags(loop, "doubted", 1)
    assert shown["retrue.approval"] == "approved"
    assert shown["retrue.approved_by"] == "Ann"
    assert shown["retrue.approved_at"] == found.decided_at
    assert shown["retrue.approval_reason"] == "the figures hold"


def test_who_waits_is_told_in_the_log_by_an_event_and_on_the_command_line(loop: Stack) -> None:
    loop.run("train", problem="asked")
    run = loop.start("deploy", problem="asked", version=1)
    asked = paused(loop, "asked", 1)
    page = f"{loop.at.prefect}/runs/flow-run/{asked.flow_run_id}"

    assert f"answer at {page} or with retrue approve|reject asked --version 1" in _log(run)
    event = wait_for(lambda: _event(loop, "asked"), "the event")
    assert (event["model_version"], event["page"]) == ("1", page)
    told = document(loop, "status")["problems"]["asked"]["waits_for_approval"]
    assert told["version 1"]["page"] == page
    (one,) = document(loop, "approvals", "asked")["approvals"]
    assert (one["status"], one["page"], one["decided_by"]) == ("waiting", page, None)
    artifacts = loop.ask(
        "artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [asked.flow_run_id]}}}
    )
    assert "# Shall version 1 of asked serve?" in artifacts[0]["data"]

    wrong = retrue("approve", "asked", "--by", " ", "--reason", "x", folder=loop.root)
    assert (wrong.returncode, "--by: expected some text" in wrong.stderr) == (2, True)
    given = document(loop, "approve", "asked", "--by", "Bob", "--reason", "it is the first")
    assert (given["status"], given["then"]) == ("approved", f"the run at {page} goes on")
    assert run.wait().state == "Completed"
    assert loop.answering("asked") == 1
    assert tags(loop, "asked", 1)["retrue.approved_by"] == "Bob"
    second = retrue("reject", "asked", "--version=1", "--by=Cy", "--reason=x", folder=loop.root)
    assert second.returncode == 2
    assert "found approved by Bob" in second.stderr

    again = loop.start("deploy", problem="asked", version=1).wait()
    assert again.state == "Completed", "nobody is asked twice"


def test_a_retraining_waits_alone_and_when_killed_its_question_lives_on(loop: Stack) -> None:
    order: dict[str, Any] = {"problem": "asked", "until": date(2013, 2, 1), "trigger_key": "k"}
    with loop.traffic("asked") as traffic:
        run = loop.start("retrain", **order)
        asked = paused(loop, "asked", 2)
        for key in ("k", "other"):
            second = loop.start("retrain", **order | {"trigger_key": key}).wait()
            assert second.state == "Skipped"
            assert "is running" in second.message
        loop.run("deploy", problem="asked", version=1)  # a rollback need not wait for the answer

        kill(run, asked)
        (row,) = loop.retrainings("asked")
        assert row.status == "running"
        (_, one) = document(loop, "approvals", "asked")["approvals"]
        assert (one["status"], one["page"]) == ("waiting", None)

        run = loop.start("retrain", **order)
        still = paused(loop, "asked", 2, not_by=asked.flow_run_id)
        assert (still.id, still.deadline_at) == (asked.id, asked.deadline_at)
        assert loop.ask(f"flow_runs/{asked.flow_run_id}")["state"]["name"] == "Cancelled"

        kill(run, still)
        # Its page still shows the form; what a person writes there must not be lost.
        said = resume(loop, still, FORM | {"decision": "reject", "reason": "too good to be true"})
        assert said["status"] == "ACCEPT"
        done = loop.start("retrain", **order).wait()
    assert traffic.report().failed == 0
    assert set(traffic.report().by_model_version) == {1}

    assert done.state == "Rejected", done.log
    assert done.message == "version 2 was rejected by Ann: too good to be true"
    assert "Traceback" not in done.log
    (row,) = loop.retrainings("asked")
    assert (row.status, row.attempts) == ("rejected", 3)
    details = json.loads(row.details_json)
    assert (details["rejected_by"], details["reason"]) == ("Ann", "too good to be true")
    assert loop.answering("asked") == loop.should_serve("asked") == 1
    assert tags(loop, "asked", 2)["retrue.promoted"] == "True"


def test_a_rejected_version_is_neither_chosen_nor_asked_about_again(loop: Stack) -> None:
    third = loop.start("retrain", problem="asked", until=date(2013, 2, 1), trigger_key="k").wait()
    assert (third.state, "answered this trigger before: rejected" in third.message) == (
        "Skipped",
        True,
    )
    newest = loop.start("deploy", problem="asked").wait()
    assert newest.error == "TrainingError"
    assert "a version its gate let pass and nobody rejected" in newest.message
    named = retrue("deploy", "asked", "--version", "2", folder=loop.root)
    assert named.returncode == 2
    assert "found a rejection by Ann: too good to be true" in named.stderr
    assert "Traceback" not in named.stderr
    back = loop.start("rollback", problem="asked", version=2).wait()
    assert back.state == "Rejected"
    assert loop.answering("asked") == 1


def test_nobody_who_answers_is_a_rejection_that_a_person_may_overrule(loop: Stack) -> None:
    version = loop.run("train", problem="silent")["model"]["version"]
    done = loop.start("deploy", problem="silent", version=version).wait()

    assert done.state == "Rejected", done.log
    assert "was rejected by timeout: no answer until" in done.message
    found = approval("silent", version)
    assert found is not None
    assert loop.ask(f"flow_runs/{found.flow_run_id}")["state"]["name"] == "Rejected"
    assert tags(loop, "silent", version)["retrue.approval"] == "rejected"

    words = ("approve", "silent", f"--version={version}", "--by=Ann", "--reason=back from leave")
    given = document(loop, *words)
    assert given["status"] == "approved"
    assert given["then"] == f"`retrue deploy silent --version {version}` brings it in"
    assert loop.start("deploy", problem="silent", version=version).wait().state == "Completed"
    assert loop.should_serve("silent") == version


def _log(run: Run) -> str:
    return Path(f"{run.answer}.log").read_text()


def _event(loop: Stack, name: str) -> dict[str, Any] | None:
    wanted = {"filter": {"event": {"name": ["retrue.approval.requested"]}}, "limit": 20}
    found = loop.ask("events/filter", wanted)["events"]
    given = (one["payload"] for one in found if one["payload"]["problem"] == name)
    return next(given, None)
