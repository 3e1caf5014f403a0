"""What one key of a problem definition says about another: names, spans, leaks."""

import difflib
from collections.abc import Iterable

from retrue.config import Problem

Loc = tuple[str | int, ...]
Fault = tuple[Loc, str, str, str]

_CRON_FIELDS = 5


def cross_checks(problem: Problem) -> Iterable[Fault]:
    """Yield (key, expected, found, remedy) for each name, span or bound that does not fit."""
    data = problem.data
    sources = list(data.sources)
    if data.main not in sources:
        yield _unknown(("data", "main"), data.main, sources)
    produced: set[str] = set()
    for i, link in enumerate(data.links):
        if link.table not in sources:
            yield _unknown(("data", "links", i, "table"), link.table, sources)
        for column, target in link.columns.items():
            if target in produced or target in data.key or target == data.time:
                loc: Loc = ("data", "links", i, "columns", column)
                yield loc, "a new name", f"{target}, already taken", "choose another name"
            produced.add(target)
    yield from _features(problem)
    yield from _spans(problem)


def _features(problem: Problem) -> Iterable[Fault]:
    features = problem.features
    if not features.numeric and not features.categorical:
        yield ("features",), "at least one feature", "none", "name numeric or categorical columns"
    seen: set[str] = set()
    for group in ("numeric", "categorical"):
        for i, name in enumerate(getattr(features, group)):
            loc: Loc = ("features", group, i)
            if name in seen:
                yield loc, "each feature once", f"{name} again", "remove one of the two"
            if name == problem.label.column:
                yield loc, "no leak", f"the label's column {name}", "remove it from the features"
            if name == problem.data.time:
                yield loc, "a number or a category", f"the time column {name}", "remove it"
            seen.add(name)


def _spans(problem: Problem) -> Iterable[Fault]:
    training = problem.training
    days = (training.until - training.start).days
    if days <= 0:
        found = f"{training.until} (start is {training.start})"
        yield ("training", "until"), "a date after training.start", found, "move one of the two"
    elif days <= training.holdout_days:
        found = str(training.holdout_days)
        loc: Loc = ("training", "holdout_days")
        yield loc, f"fewer days than the span of {days}", found, "lower it or widen the span"
    if problem.drift.max_rows < problem.drift.min_rows:
        found = f"{problem.drift.max_rows} (min_rows is {problem.drift.min_rows})"
        yield ("drift", "max_rows"), "at least drift.min_rows", found, "raise it"
    if len(problem.drift.schedule.split()) != _CRON_FIELDS:
        found = repr(problem.drift.schedule)
        yield ("drift", "schedule"), "five cron fields", found, 'write it as "0 6 * * *"'


def _unknown(loc: Loc, name: str, known: list[str]) -> Fault:
    remedy = did_you_mean(name, known) or "add it to data.sources"
    return loc, f"one of data.sources ({', '.join(known)})", name, remedy


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean X?` for the nearest known name; empty when none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else ""
