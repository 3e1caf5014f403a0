"""What one key of a problem definition says about another: names, spans, leaks."""

import difflib
from collections.abc import Iterable
from datetime import date

from retrue.config import Problem, Source
from retrue.errors import ConfigError
from retrue.labelling import label_expression
from retrue.metric_table import deciding
from retrue.objectives import ALIASES, OBJECTIVES

Loc = tuple[str | int, ...]
Fault = tuple[Loc, str, str, str]

_CRON_FIELDS = 5
# LightGBM's names of a parameter and its aliases.
_MONOTONE_METHODS = ("monotone_constraints_method", "monotone_constraining_method", "mc_method")
_TREE_LEARNERS = ("tree_learner", "tree", "tree_type", "tree_learner_type")


def cross_checks(problem: Problem) -> Iterable[Fault]:
    """Yield (key, expected, found, remedy) for each name, span or bound that does not fit."""
    data = problem.data
    sources = list(data.sources)
    for name, source in data.sources.items():
        yield from _source(("data", "sources", name), source)
    if data.main not in sources:
        yield _unknown(("data", "main"), data.main, sources)
    produced: set[str] = set()
    for i, link in enumerate(data.links):
        here: Loc = ("data", "links", i)
        if link.table not in sources:
            yield _unknown((*here, "table"), link.table, sources)
        if not link.on and not link.as_of:
            yield here, "on, as_of or both", "neither", "say how the rows find their partner"
        if link.within_hours is not None and not link.as_of:
            yield (*here, "within_hours"), "as_of beside it", "none", "remove it, or add as_of"
        for column, target in link.columns.items():
            if target in produced or target in data.key or target == data.time:
                loc = (*here, "columns", column)
                yield loc, "a new name", f"{target}, already taken", "choose another name"
            produced.add(target)
    yield from _label(problem)
    yield from _features(problem)
    yield from _processing(problem)
    yield from _objective(problem)
    yield from _cluster(problem)
    yield from _spans(problem)
    yield from _evidence(problem)
    yield from _interpretation(problem)


def _source(loc: Loc, source: Source) -> Iterable[Fault]:
    given = [name for name in ("path", "folder", "url", "served") if getattr(source, name)]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        yield loc, "one of path, folder, url or served", found, "say where the table comes from"
    if source.package and not source.path:
        yield (*loc, "package"), "a path in the package", "none", "add path"
    if source.query and not source.url:
        yield (*loc, "query"), "the url of a database", "none", "add url"


def _label(problem: Problem) -> Iterable[Fault]:
    loc: Loc = ("label", "expression")
    try:
        read = label_expression.columns(problem.label.expression)
    except ConfigError as error:
        yield loc, error.expected, f"{error.found} in {problem.label.expression!r}", error.remedy
        return
    if label_expression.LATE_LABEL in read and not problem.label.late:
        yield loc, "label.late: true", f"{label_expression.LATE_LABEL} without it", "add late: true"
    if problem.label.late and not problem.data.key:
        yield ("label", "late"), "a data.key to join labels by", "none", "name the key's columns"
    metric, known = problem.gate.metric, deciding(problem.label.task)
    if metric not in known:
        expected = f"{' or '.join(known)} for {problem.label.task}"
        yield ("gate", "metric"), expected, metric, "name one of them"


def _features(problem: Problem) -> Iterable[Fault]:
    features = problem.features
    if not any(names for _, names in features):
        yield ("features",), "at least one feature", "none", "name numeric or categorical columns"
    try:
        label = label_expression.columns(problem.label.expression)
    except ConfigError:
        label = ()
    seen: set[str] = set()
    for group, names in features:
        for i, name in enumerate(names):
            loc: Loc = ("features", group, i)
            if name in seen:
                yield loc, "each feature once", f"{name} again", "remove one of the two"
            if name in label:
                yield loc, "no leak", f"the label's column {name}", "remove it from the features"
            if name == problem.data.time and group != "dates":
                yield loc, "a number or a category", f"the time column {name}", "remove it"
            seen.add(name)


def _processing(problem: Problem) -> Iterable[Fault]:
    features, processing = problem.features, problem.processing
    for key, names, known in (
        ("fill", processing.fill, (*features.numeric, *features.categorical)),
        ("flag_missing", processing.flag_missing, features.numeric),
        ("clip", processing.clip, features.numeric),
    ):
        for name in names:
            if name not in known:
                loc: Loc = ("processing", key)
                remedy = did_you_mean(name, known) or "name it there, or remove it"
                yield loc, f"features that {key} fits ({', '.join(known)})", name, remedy
    for name, (low, high) in processing.clip.items():
        if not 0 <= low < high <= 1:
            found = f"[{low:g}, {high:g}]"
            yield ("processing", "clip", name), "two quantiles, 0 <= a < b <= 1", found, "mend them"
    for name, value in processing.fill.items():
        is_rule = value in ("median", "mean")
        if name in features.numeric and isinstance(value, str) and not is_rule:
            yield ("processing", "fill", name), "median, mean or a number", value, "name one"
        if name in features.categorical and (is_rule or not isinstance(value, str)):
            yield ("processing", "fill", name), "most_frequent or a text", str(value), "name one"
    if problem.training.class_weights != "none" and problem.label.task == "regression":
        loc = ("training", "class_weights")
        yield loc, "none for a regression", problem.training.class_weights, "remove it"


def _objective(problem: Problem) -> Iterable[Fault]:
    """The task decides what is fitted; only a regression has a choice."""
    task = problem.label.task
    choices = OBJECTIVES if task == "regression" else (task,)
    for name, value in problem.training.params.items():
        if name in ALIASES:
            yield ("training", "params", name), "objective", name, "rename it"
        if name == "objective" and value not in choices:
            expected, loc = f"{' or '.join(choices)} for a {task}", ("training", "params", name)
            yield loc, expected, str(value), "correct it, or remove it"


def _cluster(problem: Problem) -> Iterable[Fault]:
    """What LightGBM's parallel learners are not made for."""
    if not problem.training.cluster:
        return
    for name, value in problem.training.params.items():
        said, loc = str(value).lower(), ("training", "params", name)
        if name in ("linear_tree", "linear_trees") and said in ("true", "1", "+"):
            yield loc, "false with training.cluster", said, "remove one of the two"
        if name in _MONOTONE_METHODS and said != "basic":
            yield loc, "basic with training.cluster", said, "remove one of the two"
        if name in _TREE_LEARNERS and said.removesuffix("_parallel") not in ("data", "voting"):
            yield loc, "data or voting with training.cluster", said, "remove one of the two"


def _spans(problem: Problem) -> Iterable[Fault]:
    training = problem.training
    days = (training.until - training.start).days
    if problem.data.time is not None and training.until == date.max:
        yield ("training", "until"), "a date, as there is a data.time", "none", "add it"
    if problem.data.time is not None and training.start == date.min:
        yield ("training", "start"), "a date, as there is a data.time", "none", "add it"
    if days <= 0:
        found = f"{training.until} (start is {training.start})"
        yield ("training", "until"), "a date after training.start", found, "move one of the two"
    elif days <= training.holdout_days:
        found = str(training.holdout_days)
        loc: Loc = ("training", "holdout_days")
        yield loc, f"fewer days than the span of {days}", found, "lower it or widen the span"
    if problem.data.time is None and training.half_life_days:
        found = f"{training.half_life_days:g} and no data.time"
        yield ("training", "half_life_days"), "0 without a data.time", found, "remove it"
    if problem.drift.max_rows < problem.drift.min_rows:
        found = f"{problem.drift.max_rows} (min_rows is {problem.drift.min_rows})"
        yield ("drift", "max_rows"), "at least drift.min_rows", found, "raise it"
    if problem.drift.alarm_windows.k > problem.drift.alarm_windows.n:
        k, n = problem.drift.alarm_windows.k, problem.drift.alarm_windows.n
        yield ("drift", "alarm_windows", "k"), f"at most n, {n}", str(k), "lower it, or raise n"
    if len(problem.drift.schedule.split()) != _CRON_FIELDS:
        found = repr(problem.drift.schedule)
        yield ("drift", "schedule"), "five cron fields", found, 'write it as "0 6 * * *"'


def _evidence(problem: Problem) -> Iterable[Fault]:
    if problem.training.calibration != "none" and problem.label.task == "regression":
        loc: Loc = ("training", "calibration")
        yield loc, "none for a regression", problem.training.calibration, "remove it"
    canvas = problem.canvas
    asked, given = canvas.cost_false_positive.unit, canvas.cost_false_negative.unit
    if problem.label.task == "binary" and asked != given:
        loc = ("canvas", "cost_false_negative", "unit")
        yield loc, f"the unit of the other cost ({asked})", given, "say both in one unit"
    seen: set[str] = set()
    for i, one in enumerate(problem.gate.slices):
        loc = ("gate", "slices", i, "column")
        if one.column in seen:
            yield loc, "each column once", f"{one.column} again", "remove one of the two"
        if one.column == problem.data.time:
            yield loc, "a column of categories", f"the time column {one.column}", "remove it"
        seen.add(one.column)


def _interpretation(problem: Problem) -> Iterable[Fault]:
    features = [name for _, names in problem.features for name in names]
    for i, name in enumerate(problem.interpretation.may_change):
        if name not in features:
            remedy = did_you_mean(name, features) or "remove it"
            yield ("interpretation", "may_change", i), "a feature", name, remedy


def _unknown(loc: Loc, name: str, known: list[str]) -> Fault:
    remedy = did_you_mean(name, known) or "add it to data.sources"
    return loc, f"one of data.sources ({', '.join(known)})", name, remedy


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean X?` for the nearest known name; empty when none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else ""
