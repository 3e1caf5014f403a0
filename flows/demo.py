"""The demo: the whole loop on real flights, told while it happens."""

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from retrue import approvals, bundles, ledger, preparation, replay, service, slots, stack
from retrue.api_keys import own_headers
from retrue.approval_answers import Answer
from retrue.days import midnight
from retrue.errors import LedgerError
from retrue.files import write_atomically
from retrue.home import home
from retrue.ledger import Retraining
from retrue.problems import load_problem
from retrue.story import Story

PROBLEM = "flights"
EDGES = (
    date(2013, 4, 1),
    date(2013, 5, 1),
    date(2013, 6, 1),
    date(2013, 7, 1),
    date(2013, 8, 1),
)
"""Edges of the replayed windows; before the first lies the training span."""

APPROVAL = Answer(decision="approve", name="the demo", reason="to show the loop closed")

RETRAINING_DEADLINE_S = 300
N_TRAFFIC_ROWS = 500


def run(root: Path) -> int:
    """Run the demo; give the exit code: 0 when the loop closed and no request was lost."""
    story = Story()
    _begin_afresh(root, story)
    # The story tells what happens; the logs of flows and tasks are in the Prefect UI.
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    config = load_problem(PROBLEM, root)
    with ThreadPoolExecutor(max_workers=1) as aside:
        choice = aside.submit(slots.choose_target, config.serving)
        with story.stage("servers", "Start the Prefect server, MLflow and the deployments"):
            at = stack.up(story.tell)
        from flows.deployment import deploy
        from flows.training import train

        with story.stage("train", "Ingest, validate and link flights; train on January to March"):
            first = train(PROBLEM)
        story.tell(first.verdict.reason)
        with story.stage("base image", "Have a base image for the container"):
            target, why = choice.result()
        story.tell(f"serving by {target}: {why}")
    with story.stage("deploy", f"Build, start and check model version {first.model.version}"):
        deploy(PROBLEM, first.model.version, "first model of the demo")
        stack.wait_for_deployments(at, stack.FLOWS_PER_PROBLEM)
    url = service.address(PROBLEM) or ""
    with story.stage("replay", "Link the flights of April to July for the replay"):
        world = preparation.world(config, EDGES[-1], root)
    for since, until in pairwise(EDGES):
        times = world[config.data.time]
        rows = world[(times >= midnight(since)) & (times < midnight(until))]
        story.windows.append(_live_through(story, rows, since, until, url))
    facts = _facts(story) | {
        "target": target,
        "target_reason": why,
        "before": {"model_version": first.model.version, "data_version": first.data.version},
        "after": _after(),
        "urls": {"Prefect UI": at.prefect, "MLflow UI": at.mlflow, "Serving API": url},
    }
    write_atomically(home() / "demo.json", json.dumps(facts, indent=1) + "\n")
    story.show(facts)
    lost = facts["failed_requests"] + facts["failed_during_swap"]
    redeployed = facts["after"]["model_version"] != facts["before"]["model_version"]
    return 0 if redeployed and not lost else 1


def _facts(story: Story) -> dict[str, Any]:
    """The windows added up; the decision told first is the one that changed what serves."""
    windows = story.windows
    turn = next((one for one in windows if one.get("outcome") == "promoted"), windows[-1])

    def total(name: str) -> int:
        return sum(one.get(name, 0) for one in windows)

    return {
        "window": turn["window"],
        "drift_magnitude": turn["magnitude"],
        "top_feature": turn["top_feature"],
        "decision": turn["decision"],
        "outcome": turn.get("outcome"),
        "failed_requests": total("failed_requests"),
        "answered_during_retraining": total("answered_during_retraining"),
        "failed_during_swap": total("failed_during_retraining"),
        "seconds": story.seconds | {"all": story.total_s()},
        "windows": windows,
    }


def _live_through(
    story: Story, rows: pd.DataFrame, since: date, until: date, url: str
) -> dict[str, Any]:
    """Serve one window's rows, check it for drift, and let the loop answer."""
    from flows.drift_check import drift_check

    month = f"{since:%B}"
    headers = own_headers(PROBLEM)
    doing = f"Replay {len(rows):,} flights of {month} as HTTP requests"
    with story.stage("replay", doing) as news:
        sent = replay.replay(rows, url, time_column="time_hour", progress=news, headers=headers)
    with story.stage("drift check", f"Check {month} for drift"):
        checked = drift_check(PROBLEM, since, until)
    report = checked.report
    story.tell(report.reason)
    window: dict[str, Any] = {
        "window": month,
        "rows": sent.rows,
        "failed_requests": sent.failed,
        "served_by": checked.model_version,
        "magnitude": report.magnitude,
        "top_feature": report.top_feature,
        "top_contribution": max((one.contribution for one in report.features), default=None),
        "decision": checked.verdict,
        "serves_after": checked.model_version,
    }
    if checked.verdict != "drift":
        return window
    doing = "The event starts a retraining; judge it, and redeploy if it is better"
    last = rows.tail(N_TRAFFIC_ROWS)
    traffic = replay.Traffic(last, url, headers=headers)
    with story.stage("retrain", doing) as news, traffic:
        retraining = _wait_for(checked.decision, news, story.tell)
    during = traffic.report()
    window |= json.loads(retraining.details_json)
    window |= {
        "outcome": retraining.status,
        "answered_during_retraining": during.answered,
        "failed_during_retraining": during.failed,
        "serves_after": service.serving_model(PROBLEM).version,
    }
    story.tell(window["reason"])
    return window


def _begin_afresh(root: Path, story: Story) -> None:
    """Move an earlier demo's state aside, so that the story begins with no model at all.

    Raises
    ------
    LedgerError
        The state folder holds other problems as well: it is not the demo's to move.
    """
    problems = {path.name for path in (home() / "lake").glob("*")}
    if not problems:
        return
    if problems != {PROBLEM}:
        raise LedgerError(
            "an empty state folder, or an earlier demo's",
            f"data of {', '.join(sorted(problems))}",
            str(home()),
            "set RETRUE_HOME to another folder for the demo",
        )
    service.stop_all(root, story.tell)
    stack.down(story.tell)
    aside = home().with_name(f"{home().name}-{time.strftime('%Y%m%d-%H%M%S')}")
    home().rename(aside)
    story.tell(f"the state of an earlier run is now in {aside}")


def _after() -> dict[str, int]:
    """Model and data version that serve at the end."""
    model = service.serving_model(PROBLEM)
    data = bundles.read_manifest(model.bundle)["data"]
    return {"model_version": model.version, "data_version": data["version"]}


def _wait_for(decision: str, news: Callable[..., None], tell: Callable[[str], None]) -> Retraining:
    """Wait until the retraining that a decision asked for has ended; approve in your place.

    Raises
    ------
    LedgerError
        It did not end in time.
    """
    book = ledger.connect()
    deadline = time.monotonic() + RETRAINING_DEADLINE_S
    while time.monotonic() < deadline:
        for one in ledger.retrainings(book, PROBLEM):
            if one.trigger_key == decision:
                if one.status != "running":
                    return one
                news("it is running")
        for question in approvals.waiting(PROBLEM):
            tell(f"a person is asked ({'; '.join(question.why)}); the demo approves in your place")
            approvals.answer_by_hand(PROBLEM, question.model_version, APPROVAL)
        time.sleep(0.3)
    raise LedgerError(
        f"a retraining that ends within {RETRAINING_DEADLINE_S} s",
        "none",
        decision,
        f"read {home() / 'run' / 'runner.log'}",
    )
