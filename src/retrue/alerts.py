"""Alerts: what people are told, once each, by mail, chat or webhook. Home of Apprise."""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from retrue import ledger
from retrue.retraining_events import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from retrue.config import Problem
    from retrue.ledger import Approval, Check, Ledger, Retraining, Standing
    from retrue.ledger.alerts import Kind
    from retrue.performance.report import Performance

Level = Literal["info", "warning", "error"]
LEVELS: dict[Level, int] = {"info": 0, "warning": 1, "error": 2}

LEVEL_OF: dict[Kind, Level] = {
    "drift": "warning",
    "cannot tell": "warning",
    "worse": "warning",
    "broken data": "error",
    "promoted": "info",
    "refused": "warning",
    "rejected": "warning",
    "failed": "error",
    "exhausted": "error",
    "approval": "warning",
}

MAX_AGE = timedelta(days=3)
"""An alert that could not be delivered for so long is old news, and stays in the ledger alone."""


def checked(book: Ledger, check: Check) -> bool:
    """Raise the alert of a drift check, if its verdict has one; whether it is new."""
    if check.verdict not in ("drift", "cannot tell"):
        return False
    kind: Kind = "drift" if check.verdict == "drift" else "cannot tell"
    window = f"{check.window_start[:10]} to {check.window_end[:10]}"
    return ledger.record_alert(
        book,
        check.problem,
        kind,
        check.trigger_key,
        title=f"{check.problem}: {check.verdict}",
        body=f"Version {check.model_version}, served {window}: {reason_of(check)}",
    )


def performed(book: Ledger, problem: str, model_version: int, found: Performance) -> bool:
    """Raise the alert of a performance that asks for a person; whether it is new.

    Once for a model version and verdict: the next windows share most of their days.
    """
    if found.asks != "human":
        return False
    return ledger.record_alert(
        book,
        problem,
        "worse",
        f"v{model_version}:{found.verdict}",
        title=f"{problem}: performance of version {model_version}: {found.verdict}",
        body=f"{found.reason}\nLabels are needed: nothing else can tell, or be trained on",
    )


def broken(book: Ledger, problem: str, subject_key: str, why: str) -> bool:
    """Raise the alert of a window or batch whose data are broken; whether it is new."""
    return ledger.record_alert(
        book, problem, "broken data", subject_key, title=f"{problem}: broken data", body=why
    )


def retrained(
    book: Ledger,
    retraining: Retraining,
    status: Literal["promoted", "refused", "rejected", "failed"],
    details: Mapping[str, Any],
) -> bool:
    """Raise the alert of a retraining that ended; whether it is new."""
    version = details.get("model_version")
    what = f"version {version}" if version else "retraining"
    tried = f" (attempt {retraining.attempts})" if status == "failed" else ""
    return ledger.record_alert(
        book,
        retraining.problem,
        status,
        f"{retraining.trigger_key}#{retraining.attempts}",
        title=f"{retraining.problem}: {what} {status}{tried}",
        body=f"{details.get('reason', '')}\nAsked for by: {details.get('asked', '')}",
    )


def exhausted(book: Ledger, check: Check, stands: Standing) -> bool:
    """Raise the alert of a decision whose retraining is not tried again; whether it is new."""
    return ledger.record_alert(
        book,
        check.problem,
        "exhausted",
        # Tried again by a person and failed again, it is news again.
        f"{check.trigger_key}#{stands.n_failures}",
        title=f"{check.problem}: the retraining {stands.told}",
        body=f"Mend the cause, then `retrue retrain {check.problem} --key {check.trigger_key}`",
    )


def waits_for_approval(book: Ledger, asked: Approval, how: str) -> bool:
    """Raise the alert of a version that waits for a person; whether it is new."""
    return ledger.record_alert(
        book,
        asked.problem,
        "approval",
        f"v{asked.model_version}:{asked.bundle_sha256}:{asked.asked_at}",
        title=f"{asked.problem}: version {asked.model_version} waits for a person",
        body=f"{'; '.join(asked.why)}\nAnswer until {asked.deadline_at[:16]} UTC: {how}",
    )


def send_waiting(
    problem: Problem,
    book: Ledger,
    blocks: Mapping[str, Callable[[str, str, Level], None]],
    tell: Callable[[str], None],
) -> int:
    """Send what is not delivered yet to each receiver that lacks it.

    A receiver that fails is told of, written down, and tried again the next time. Nothing is
    raised: a mail server that is away must not stop a retraining.

    Parameters
    ----------
    problem : Problem
        Its section `alerts` names the receivers.
    book : Ledger
        The open ledger.
    blocks : mapping
        How to send by each name of `alerts.blocks`.
    tell : callable
        Gets one line for each failure.

    Returns
    -------
    int
        Deliveries that succeeded.
    """
    receivers = {url: _by_apprise(url) for url in problem.alerts.urls} | dict(blocks)
    lowest, n_delivered = LEVELS[problem.alerts.min_level], 0
    if not receivers:
        return 0
    try:
        for one in ledger.alerts(book, problem.name, MAX_AGE):
            if LEVELS[LEVEL_OF[one.kind]] >= lowest and set(receivers) - set(one.delivered):
                n_delivered += _send(book, one.id, receivers, tell)
    except Exception as error:  # whatever it is, the loop goes on
        tell(f"alerts of {problem.name} wait for the next check: {_kind(error)}")
    return n_delivered


def _send(
    book: Ledger,
    alert_id: int,
    receivers: Mapping[str, Callable[[str, str, Level], None]],
    tell: Callable[[str], None],
) -> int:
    """Send one alert to all receivers that lack it."""
    alert = ledger.take_alert(book, alert_id)
    if alert is None:
        return 0
    delivered: list[str] = []
    errors: list[str] = []
    for name in sorted(set(receivers) - set(alert.delivered)):
        try:
            receivers[name](alert.title, alert.body, LEVEL_OF[alert.kind])
            delivered.append(name)
        except Exception as error:  # a plug-in may raise anything
            errors.append(f"{name}: {_kind(error)}")
            tell(f"{alert.title!r} was not taken by {name} ({_kind(error)}); it is sent again")
    ledger.deliver(book, alert, tuple(delivered), "; ".join(errors) or None)
    return len(delivered)


def _by_apprise(reference: str) -> Callable[[str, str, Level], None]:
    def send(title: str, body: str, level: Level) -> None:
        url = os.environ.get(reference[2:-1], "")
        if not url:
            raise LookupError(f"{reference[2:-1]} is not set")
        import apprise

        # Its log tells whole URLs, with the passwords in them; what went wrong is told by ours.
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        to = apprise.Apprise()
        if not to.add(url):
            raise ValueError("not a URL that Apprise knows")
        kind = {"info": "info", "warning": "warning", "error": "failure"}[level]
        if not to.notify(body=body, title=title, notify_type=apprise.NotifyType(kind)):
            raise ConnectionError("the receiver did not take it")

    return send


def _kind(error: Exception) -> str:
    """What went wrong, without what a library may say of URLs and passwords."""
    ours = isinstance(error, LookupError | ValueError | ConnectionError) and len(error.args) == 1
    mine = str(error) if ours and type(error) in (LookupError, ValueError, ConnectionError) else ""
    return mine or type(error).__name__
