"""What differs between a version and the one that it was judged against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrue.lineage_facts import Lineage
    from retrue.model_card.facts import Effect

# Follow from the data version, which is told apart from them; the hash from all of the definition.
_TOLD_ELSEWHERE = {"until", "config_sha256"}
# Three of four ICE lines go one way: as in the comparison that raises doubts.
_CLEAR = 0.5


@dataclass(frozen=True)
class Change:
    """One thing that was `before` and is `after`."""

    what: str
    before: str
    after: str


@dataclass(frozen=True)
class Moved:
    """A feature's share of the importance and its place, then and now."""

    name: str
    before: float | None
    after: float | None
    flipped: bool


def data_changes(ours: Lineage, theirs: Lineage) -> list[Change]:
    """The data version, and the source tables whose content is another."""
    then, now = theirs.data, ours.data
    found = [
        Change("data version", str(then.version), str(now.version)),
        Change("known until", then.until, now.until),
        Change("rows", f"{then.n_rows:,}", f"{now.n_rows:,}"),
    ]
    for name in sorted({*then.tables, *now.tables}):
        old, new = then.tables.get(name), now.tables.get(name)
        if old is None or new is None or old.sha256 != new.sha256:
            said = ["none" if pin is None else f"{pin.n_rows:,} rows" for pin in (old, new)]
            found.append(Change(f"table {name}", *said))
    return [one for one in found if one.before != one.after or one.what.startswith("table ")]


def parameter_changes(ours: Lineage, theirs: Lineage) -> list[Change]:
    """Parameters of the fit, other keys of the definition, then code and lock."""
    found = _differences(theirs.parameters, ours.parameters, _TOLD_ELSEWHERE)
    if ours.definition.problem and theirs.definition.problem:
        then, now = (_flat(one.definition.problem or {}) for one in (theirs, ours))
        # The training section is among the parameters.
        known = {key for key in {*then, *now} if key.startswith("training.")}
        found += _differences(then, now, known)
    found += _differences(
        {"code commit": theirs.code_commit, "lock": theirs.lock.sha256},
        {"code commit": ours.code_commit, "lock": ours.lock.sha256},
        set(),
    )
    if ours.environment and theirs.environment:
        found += _differences(
            theirs.environment.main_packages, ours.environment.main_packages, set()
        )
    return found


def moved_features(ours: Sequence[Effect], theirs: Sequence[Effect], n: int = 8) -> list[Moved]:
    """The features whose share of the importance changed most, and all whose direction flipped."""
    then, now = ({one.name: one for one in side} for side in (theirs, ours))
    found = []
    for name in {**now, **then}:
        old, new = then.get(name), now.get(name)
        flipped = (
            old is not None and new is not None and sign(old.direction) * sign(new.direction) < 0
        )
        before, after = (None if one is None else one.share for one in (old, new))
        found.append(Moved(name, before, after, flipped))
    found.sort(key=lambda one: (-abs((one.after or 0) - (one.before or 0)), one.name))
    return found[:n] + [one for one in found[n:] if one.flipped]


def sign(direction: float | None) -> int:
    """1 where the score rises with the feature, -1 where it falls, 0 where neither is clear.

    Examples
    --------
    >>> sign(0.8), sign(-0.6), sign(0.2), sign(None)
    (1, -1, 0, 0)
    """
    if direction is None or abs(direction) < _CLEAR:
        return 0
    return 1 if direction > 0 else -1


def _differences(
    then: Mapping[str, str], now: Mapping[str, str], left_out: set[str]
) -> list[Change]:
    names = [name for name in {**now, **then} if name not in left_out]
    return [
        Change(name, then.get(name, "-"), now.get(name, "-"))
        for name in names
        if then.get(name) != now.get(name)
    ]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted keys with their values as text.

    Examples
    --------
    >>> _flat({"gate": {"metric": "auc"}, "name": "x"})
    {'gate.metric': 'auc', 'name': 'x'}
    """
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            listed = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            found[f"{prefix}{key}"] = listed
    return found
