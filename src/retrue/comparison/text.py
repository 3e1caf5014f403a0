"""The comparison in tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrue.comparison import Comparison, Side
    from retrue.comparison.newest import OnNewest
    from retrue.verdicts import Interval

Table = tuple[str, tuple[str, ...], list[list[str]]]
"""Title, header and rows."""
_SHOWN = 2
"""Metrics of a line; the page and `--json` have them all."""


def tables(told: Comparison) -> list[Table]:
    """As each was judged; all on the same hold-out, where they were; what differs."""
    found = [_judged(told)]
    if told.newest is not None:
        found.append(_newest(told.newest, told.serving))
    if told.parameters:
        versions = [one.version for one in told.versions]
        rows = [
            [name, *(row[version][:12] for version in versions)]
            for name, row in told.parameters.items()
        ]
        header = ("", *(f"v{version}" for version in versions))
        found.append(("Parameters that differ", header, rows))
    return found


def remarks(told: Comparison) -> list[str]:
    """What a reader must not conclude."""
    said = []
    if len({one.holdout for one in told.versions}) > 1:
        said.append("As judged: the hold-outs differ, so do not rank versions by those figures.")
    if told.why_no_newest:
        said.append(f"Not on one hold-out: {told.why_no_newest}")
    for one in told.newest.scored if told.newest else ():
        if one.why_not:
            said.append(f"v{one.version} is not comparable: {one.why_not}.")
    return said


def _judged(told: Comparison) -> Table:
    names = list(dict.fromkeys(name for one in told.versions for name in one.metrics))[:_SHOWN]
    header = ("version", "data", "rows", "hold-out", *names, "gate", "")
    rows = [
        [
            f"v{one.version}",
            f"v{one.data_version}",
            f"{one.n_rows:,}",
            one.holdout or f"until {one.until}",
            *(_own(one, name) for name in names),
            "promoted" if one.promoted else "refused",
            "serves" if one.serves else "",
        ]
        for one in told.versions
    ]
    return f"{told.problem}: as each version was judged", header, rows


def _newest(newest: OnNewest, serving: int | None) -> Table:
    names = list(dict.fromkeys(name for one in newest.scored for name in one.metrics))[:_SHOWN]
    gain = "gain" if newest.base is None else f"gain over v{newest.base}"
    rows = [
        [
            f"v{one.version}",
            *(_interval(one.metrics.get(name), ".4f") for name in names),
            _interval(one.gain, "+.4f"),
            "not comparable" if one.why_not else "serves" if one.version == serving else "",
        ]
        for one in newest.scored
    ]
    title = f"All on {newest.span}, {newest.n_rows:,} rows of data version {newest.data_version}"
    return title, ("version", *names, gain, ""), rows


def _own(one: Side, name: str) -> str:
    found = one.metrics.get(name, {})
    value, low, high = (found.get(end) for end in ("value", "lower", "upper"))
    if value is None:
        return "-"
    return f"{value:.4f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _interval(found: Interval | None, form: str) -> str:
    if found is None:
        return "-"
    return f"{found.value:{form}} [{found.lower:{form}}, {found.upper:{form}}]"
