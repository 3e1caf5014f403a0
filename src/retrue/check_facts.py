"""What a recorded drift check says, for pages, the terminal and metrics."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrue.ledger import Check


@dataclass(frozen=True)
class CheckFacts:
    """One check; figures that its report lacks are None."""

    id: int
    problem: str
    model_version: int
    window_start: str
    window_end: str
    decided_at: str
    verdict: str
    """What was decided, as the ledger has it."""
    reason: str
    magnitude: float | None
    """In %, as the next three."""
    magnitude_low: float | None
    magnitude_high: float | None
    threshold: float | None
    top_feature: str | None
    contributions: Mapping[str, float] = field(default_factory=dict)
    """Share of each feature in the magnitude, in %, largest first."""

    @property
    def window(self) -> str:
        """First and last day, both inclusive where the window ends at midnight."""
        return window(self.window_start, self.window_end)


def read(check: Check) -> CheckFacts:
    """Facts of a check.

    The report is read leniently: an older version of Retrue may have written it, and one row that
    cannot be read must not hide all others.
    """
    report = report_of(check)
    alarm = report.get("alarm")
    told = alarm if isinstance(alarm, dict) else report
    shares = {
        str(one.get("name")): number(one.get("contribution")) or 0.0
        for one in report.get("features") or ()
        if isinstance(one, dict)
    }
    top = report.get("top_feature")
    return CheckFacts(
        id=check.id,
        problem=check.problem,
        model_version=check.model_version,
        window_start=check.window_start,
        window_end=check.window_end,
        decided_at=check.decided_at,
        verdict=check.verdict,
        reason=str(told.get("reason") or report.get("reason") or ""),
        magnitude=number(report.get("magnitude")),
        magnitude_low=number(report.get("magnitude_low")),
        magnitude_high=number(report.get("magnitude_high")),
        threshold=number(report.get("threshold")),
        top_feature=None if top is None else str(top),
        contributions=dict(sorted(shares.items(), key=lambda one: -one[1])),
    )


def report_of(check: Check) -> dict[str, Any]:
    """The report as it was stored; empty where it is no JSON object."""
    try:
        found = json.loads(check.report_json)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def course(checks: Sequence[Check], until: Check, most: int) -> list[CheckFacts]:
    """The checks of windows up to that of `until`, oldest window first, at most `most`.

    `until` is the last of them, and of one window the newest model version's check comes later.
    """
    earlier = [one for one in checks if (one.window_end, one.id) < (until.window_end, until.id)]
    earlier.sort(key=lambda one: (one.window_end, one.model_version, one.id))
    return [read(one) for one in [*earlier, until][-most:]]


def window(start: str, end: str) -> str:
    """A window in words, from ISO texts in UTC; its end is exclusive.

    Examples
    --------
    >>> window("2013-04-01T00:00:00+00:00", "2013-05-01T00:00:00+00:00")
    '2013-04-01 until 2013-05-01'
    >>> window("2013-04-01T06:00:00+00:00", "2013-04-01T12:00:00+00:00")
    '2013-04-01 06:00 until 2013-04-01 12:00'
    """
    return f"{moment(start)} until {moment(end)}"


def moment(text: str) -> str:
    """An ISO text to the minute; a midnight is a day.

    Examples
    --------
    >>> moment("2013-04-01T06:30:09+00:00"), moment("2013-04-01T00:00:00+00:00")
    ('2013-04-01 06:30', '2013-04-01')
    """
    return text[:16].replace("T", " ").removesuffix(" 00:00")


def number(value: object) -> float | None:
    """A finite number; None for all else.

    Examples
    --------
    >>> number(3), number(float("nan")), number("3"), number(True)
    (3.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
