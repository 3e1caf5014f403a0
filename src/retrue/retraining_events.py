"""What an event may ask for: a retraining that the ledger wants, or one with a valid signature."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from retrue import event_key, ledger
from retrue.errors import RequestError
from retrue.events import DRIFT_DETECTED, RETRAIN_REQUESTED

if TYPE_CHECKING:
    from retrue.ledger import Ledger

MAX_AGE = timedelta(minutes=15)
"""Between the signature and the event's arrival at the server: what was overheard is soon void."""

MAX_AHEAD = timedelta(minutes=5)
"""How far the clock of another system may be ahead of ours."""

# One line of text: the signed message is lines, and none must pass for two.
Line = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f\x85\u2028\u2029]*$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(_Model):
    """An event as the automation hands it on."""

    event: Literal["retrue.drift.detected", "retrue.retrain.requested"]
    received: AwareDatetime
    """When the server took it, by the server's clock."""
    payload: dict[str, Any]


class Request(_Model):
    """The payload of another system's request; `signature` is over all the rest."""

    decision: Annotated[Line, Field(min_length=1, max_length=150)]
    """The other system's name for it: one of a name is served once."""
    until: Annotated[str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$")] = ""
    reason: Line = ""
    sent_at: Annotated[Line, Field(max_length=40)]
    """ISO 8601 with its zone."""
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Asked:
    """A retraining that may be claimed."""

    trigger_key: str
    until: date | None
    reason: str


def asked(event_json: str, problem: str, book: Ledger) -> Asked:
    """What an event asks for, once it is known to be true.

    An event of ours only points at a decision in the ledger, and all else is read there. Another
    system's request is true when it is signed with the key of this state folder.

    Parameters
    ----------
    event_json : str
        `event`, `received` and `payload`.
    problem : str
        Name of the problem whose automation was started.
    book : Ledger
        The open ledger.

    Raises
    ------
    RequestError
        The event is malformed, points at no drift decision, or is not signed as it should be.
    """
    try:
        event = Event.model_validate_json(event_json)
        if event.event == DRIFT_DETECTED:
            return _decided(event, problem, book)
        return _requested(event, problem)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "event"
        raise _refusal(f"{place}: {first['msg']}", problem, "send what the manual says") from error


def signature(key: bytes, problem: str, request: dict[str, str]) -> str:
    r"""HMAC-SHA256 (RFC 2104) of a request, as 64 hexadecimal digits.

    The message is six lines in UTF-8, joined by ``\n``: the event's name, the problem, `decision`,
    `until`, `reason` and `sent_at`.

    Examples
    --------
    >>> request = {"decision": "7", "sent_at": "2013-04-01T06:00:00Z"}
    >>> signature(b"0" * 32, "flights", request)[:16]
    '5fdf30edaec1bf17'
    """
    fields = (request.get(name, "") for name in ("decision", "until", "reason", "sent_at"))
    message = "\n".join((RETRAIN_REQUESTED, problem, *fields))
    return hmac.new(key, message.encode(), sha256).hexdigest()


def _decided(event: Event, problem: str, book: Ledger) -> Asked:
    named = event.payload.get("decision")
    check = ledger.find_decision(book, problem, named) if isinstance(named, str) else None
    if check is None:
        remedy = "nothing was started; another system sends retrue.retrain.requested, signed"
        raise _refusal(f"decision {_short(named)}", problem, remedy, "a drift decision of ours")
    return Asked(check.trigger_key, date.fromisoformat(check.window_end[:10]), reason_of(check))


def reason_of(check: ledger.Check) -> str:
    """Why a check decided as it did."""
    report = json.loads(check.report_json)
    return str((report.get("alarm") or report).get("reason") or check.verdict)


def _requested(event: Event, problem: str) -> Asked:
    if "signature" not in event.payload:
        raise _refusal("none", problem, "sign it; the manual says how", "a signature")
    request = Request.model_validate(event.payload)
    right = signature(event_key.read(), problem, request.model_dump())
    if not hmac.compare_digest(right, request.signature):
        remedy = f"sign it with the key in {event_key.key_file()}; nothing was started"
        raise _refusal("another one", problem, remedy, "the signature of our key")
    try:
        until = date.fromisoformat(request.until) if request.until else None
        age = event.received - datetime.fromisoformat(request.sent_at)
    except (ValueError, TypeError) as error:
        raise _refusal(str(error), problem, "mend the sender", "ISO dates with a zone") from error
    if not -MAX_AHEAD <= age <= MAX_AGE:
        found = f"{request.sent_at}, {age.total_seconds():.0f} s before it came"
        expected = f"sent_at at most {MAX_AGE.seconds // 60} minutes old"
        raise _refusal(found, problem, "sign it anew, and compare the clocks", expected)
    # A name space of its own: no request passes for a decision of ours.
    return Asked(f"request:{request.decision}", until, request.reason or "asked by another system")


def _refusal(
    found: str, problem: str, remedy: str, expected: str = "an event that can be read"
) -> RequestError:
    return RequestError(expected, found, f"event for {problem}", remedy)


def _short(value: object) -> str:
    return repr(value)[:100]
