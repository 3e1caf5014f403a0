"""The smallest change of a row that flips its decision."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import numpy as np

from retrue.interpretation.explained_model import ExplainedModel, Floats, Ints
from retrue.interpretation.seen_values import SeenValues

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CHANGED = 4
"""A change of more columns than this is no explanation that a person could use."""
MAX_ALONE = 2_000
"""Values of one feature that are tried alone, evenly spread or the most frequent."""
MAX_TRIED = 60_000
"""Rows scored for each number of columns: 0.3 s with 200 trees."""


@dataclass(frozen=True)
class Change:
    """One feature set to another value that was seen."""

    name: str
    before: Any
    after: Any
    """JSON values; None is missing."""
    distance: float
    """In units of the reference's spread; 1 for another category, and from missing to a value."""


@dataclass(frozen=True)
class Counterfactual:
    """A row like the one asked about that is decided otherwise."""

    changes: tuple[Change, ...]
    row: dict[str, Any]
    """The whole changed row, as a client would send it."""
    encoded: Floats
    score: tuple[float, ...]
    decision: int

    @property
    def distance(self) -> float:
        """Sum over the changes."""
        return sum(change.distance for change in self.changes)


@dataclass(frozen=True)
class Search:
    """What was looked for and found."""

    found: Counterfactual | None
    is_exact: bool
    """Whether nothing smaller among the seen values was passed over."""
    said: str
    """In plain words: why there is none, or how it was looked for."""


@dataclass(frozen=True)
class _Options:
    """Values that one feature may take instead of its own."""

    values: SeenValues
    picked: Ints
    distances: Floats
    gains: Floats
    """How far each moves the decision by itself towards the other side."""

    def only(self, places: Ints) -> _Options:
        return _Options(
            self.values, self.picked[places], self.distances[places], self.gains[places]
        )


def counterfactual(
    model: ExplainedModel,
    row: Floats,
    raw: dict[str, Any],
    seen: Sequence[SeenValues],
    may_change: Sequence[str] = (),
) -> Search:
    """Find the smallest change that flips the decision as served (Wachter et al. 2018).

    The fewest columns come first, then the least distance: differences of numbers and times in
    units of their spread in the reference (its interquartile range over 1.349), 1 for another
    category. A new value is one that the reference has seen, never a missing one. Combinations are
    tried one and all while there are at most 60,000 for a number of columns; beyond that the
    features and values that move the score furthest alone.

    Parameters
    ----------
    row : ndarray, shape (n_columns,)
        The encoded row.
    raw : dict
        The same row as it was sent.
    seen : sequence of SeenValues
        Of each feature.
    may_change : sequence of str
        Features that may change; all of them when empty.

    Returns
    -------
    Search
        Without a counterfactual for a regression, which decides nothing, and where none was found.
    """
    if model.task == "regression":
        return Search(None, True, "A regression decides nothing, so no decision can flip.")
    now = int(model.decisions(model.scores(row[None, :]))[0])
    allowed = [one for one in seen if not may_change or one.name in may_change]
    options = [_options(model, row, raw, one, now) for one in allowed]
    options = [one for one in options if len(one.picked)]
    is_exact = all(len(one.picked) == _n_others(one.values, row) for one in options)
    for n_columns in range(1, min(MAX_CHANGED, len(options)) + 1):
        tried = options if n_columns == 1 else _shortlist(options, n_columns)
        is_exact = is_exact and sum(len(one.picked) for one in tried) == sum(
            len(one.picked) for one in options
        )
        best = _best(model, row, tried, n_columns, now)
        if best is not None:
            chosen = best if is_exact else _nearer(model, row, options, best, now)
            names = "One column" if n_columns == 1 else f"{n_columns} columns"
            how = "no smaller change exists" if is_exact else "a smaller change may exist"
            said = f"{names} must change; {how} among the values seen in the reference."
            return Search(_told(model, row, raw, chosen), is_exact, said)
    which = f"{', '.join(may_change)}" if may_change else f"any {MAX_CHANGED} features"
    none = "There is none" if is_exact and len(options) <= MAX_CHANGED else "None was found"
    return Search(
        None, is_exact, f"{none}: no change of {which} to values seen in the reference flips it."
    )


def _options(
    model: ExplainedModel, row: Floats, raw: dict[str, Any], values: SeenValues, now: int
) -> _Options:
    n = len(values.raw)
    picked = np.arange(n) if n <= MAX_ALONE else values.grid(MAX_ALONE)
    own = row[values.columns]
    same = (values.encoded[picked] == own) | (np.isnan(values.encoded[picked]) & np.isnan(own))
    picked = picked[~same.all(axis=1)]
    distances = np.ones(len(picked))
    # A date is measured by its last part, the seconds; a number that was clipped or filled as sent.
    sent = raw.get(values.name)
    at = own[-1] if values.feature["kind"] == "date" else sent
    if values.is_ordered and isinstance(at, int | float) and np.isfinite(at):
        distances = np.abs(values.places[picked] - float(at)) / values.spread
    if not len(picked):
        return _Options(values, picked, distances, distances)
    changed = np.repeat(row[None, :], len(picked), axis=0)
    changed[:, values.columns] = values.encoded[picked]
    return _Options(values, picked, distances, _towards(model, model.scores(changed), now))


def _n_others(values: SeenValues, row: Floats) -> int:
    own = row[values.columns]
    same = (values.encoded == own) | (np.isnan(values.encoded) & np.isnan(own))
    return int((~same.all(axis=1)).sum())


def _towards(model: ExplainedModel, scores: Floats, now: int) -> Floats:
    """How near each row is to another decision: larger is nearer."""
    if model.task == "binary":
        return -scores[:, 0] if now else scores[:, 0]
    others = np.delete(scores, now, axis=1)
    return np.asarray(others.max(axis=1, initial=0.0) - scores[:, now], dtype=np.float64)


def _shortlist(options: list[_Options], n_columns: int) -> list[_Options]:
    """All options while their combinations are few enough; else those that move most."""
    best = sorted(options, key=lambda one: -float(one.gains.max()))
    n_values = max(len(one.picked) for one in options)
    n_features = len(options)
    while n_values > 1 and _n_combinations(best[:n_features], n_values, n_columns) > MAX_TRIED:
        # Values go first, down to eight; then features, down to twice as many as may change.
        if n_values > 8:
            n_values = max(8, n_values * 3 // 4)
        elif n_features > 2 * n_columns:
            n_features -= 1
        else:
            n_values -= 1
    kept = []
    for one in best[:n_features]:
        places = np.argsort(-one.gains, kind="stable")[:n_values]
        kept.append(one.only(np.sort(places)))
    # In the order they were given, so that ties do not depend on the shortlist.
    position = {id(one.values): i for i, one in enumerate(options)}
    return sorted(kept, key=lambda one: position[id(one.values)])


def _n_combinations(options: list[_Options], n_values: int, n_columns: int) -> int:
    """Sum over the sets of features of the products of their numbers of values."""
    sums = [1, *([0] * n_columns)]
    for one in options:
        n = min(len(one.picked), n_values)
        for size in range(n_columns, 0, -1):
            sums[size] += sums[size - 1] * n
    return sums[n_columns]


_Chosen = list[tuple[_Options, int]]


def _best(
    model: ExplainedModel, row: Floats, options: list[_Options], n_columns: int, now: int
) -> _Chosen | None:
    """The combination of the least distance that flips the decision."""
    best: _Chosen | None = None
    least = np.inf
    for group in combinations(options, n_columns):
        places = np.array(list(product(*(range(len(one.picked)) for one in group))), dtype=np.intp)
        distances = sum(
            (one.distances[places[:, i]] for i, one in enumerate(group)), np.zeros(len(places))
        )
        near = np.flatnonzero(distances < least)
        if not len(near):
            continue
        changed = np.repeat(row[None, :], len(near), axis=0)
        for i, one in enumerate(group):
            changed[:, one.values.columns] = one.values.encoded[one.picked[places[near, i]]]
        flips = near[model.decisions(model.scores(changed)) != now]
        if len(flips):
            at = flips[np.argmin(distances[flips])]
            least = float(distances[at])
            best = [(one, int(places[at, i])) for i, one in enumerate(group)]
    return best


def _nearer(
    model: ExplainedModel, row: Floats, options: list[_Options], chosen: _Chosen, now: int
) -> _Chosen:
    """Bring each changed column as near as all of its values allow while the decision flips."""
    whole = {one.values.name: one for one in options}
    better = [
        (whole[one.values.name], int(np.flatnonzero(
            whole[one.values.name].picked == one.picked[place])[0]))
        for one, place in chosen
    ]  # fmt: skip
    for i, (one, place) in enumerate(better):
        nearer = np.flatnonzero(one.distances < one.distances[place])
        if not len(nearer):
            continue
        changed = np.repeat(_apply(row, better)[None, :], len(nearer), axis=0)
        changed[:, one.values.columns] = one.values.encoded[one.picked[nearer]]
        flips = nearer[model.decisions(model.scores(changed)) != now]
        if len(flips):
            better[i] = (one, int(flips[np.argmin(one.distances[flips])]))
    return better


def _apply(row: Floats, chosen: _Chosen) -> Floats:
    changed = row.copy()
    for one, place in chosen:
        changed[one.values.columns] = one.values.encoded[one.picked[place]]
    return changed


def _told(
    model: ExplainedModel, row: Floats, raw: dict[str, Any], chosen: _Chosen
) -> Counterfactual:
    encoded = _apply(row, chosen)
    scores = model.scores(encoded[None, :])
    changes = tuple(
        Change(
            name=one.values.name,
            before=raw.get(one.values.name),
            after=one.values.raw[one.picked[place]],
            distance=float(one.distances[place]),
        )
        for one, place in chosen
    )
    after = {change.name: change.after for change in changes}
    return Counterfactual(
        changes, {**raw, **after}, encoded, tuple(scores[0]), int(model.decisions(scores)[0])
    )
