"""Whether the estimate may speak for a window without labels, by how it did where labels came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrue.performance.report import Trust

if TYPE_CHECKING:
    from collections.abc import Sequence

# One right window may be luck: a wrong estimate lies inside a wide interval now and then.
REGAINED_AFTER = 2


@dataclass(frozen=True)
class Scored:
    """One window whose estimate the labels judged; days as ISO text, `end` exclusive."""

    start: str
    end: str
    is_right: bool


def judge(scored: Sequence[Scored]) -> Trust:
    """Withdraw trust at a wrong window, give it back after two right ones in a row.

    Parameters
    ----------
    scored : sequence of Scored
        Windows of one model version, in any order. Of windows that overlap the newest counts: a
        day that was checked thirty times is no thirty witnesses.

    Returns
    -------
    Trust
        "untested" without any; the reason names the windows.

    Examples
    --------
    >>> months = [Scored(f"2013-0{m}-01", f"2013-0{m + 1}-01", m != 5) for m in (4, 5, 6)]
    >>> judge(months).state, judge(months[:1]).state, judge([]).state
    ('withdrawn', 'trusted', 'untested')
    """
    apart = disjoint(scored)[::-1]
    state, wrong, n_right = "untested", None, 0
    for one in apart:
        if not one.is_right:
            state, wrong, n_right = "withdrawn", one, 0
            continue
        n_right += 1
        if state == "untested" or n_right >= REGAINED_AFTER:
            state = "trusted"
    if state == "withdrawn" and wrong is not None:
        why = (
            f"labels of {_days(wrong)} showed it wrong; right since then in {n_right} of the"
            f" {REGAINED_AFTER} windows that give trust back"
        )
        return Trust(state="withdrawn", n_scored=len(apart), reason=why)
    if state == "untested":
        return Trust(state="untested", n_scored=0, reason="no window has had its labels yet")
    why = f"labels bore it out in the last {n_right} of {len(apart)} windows"
    return Trust(state="trusted", n_scored=len(apart), reason=why)


def disjoint(scored: Sequence[Scored]) -> list[Scored]:
    """Windows of which none overlaps another, newest first."""
    found: list[Scored] = []
    for one in sorted(scored, key=lambda window: (window.end, window.start), reverse=True):
        if not found or one.end <= found[-1].start:
            found.append(one)
    return found


def _days(window: Scored) -> str:
    return f"{window.start[:10]} to {window.end[:10]}"
