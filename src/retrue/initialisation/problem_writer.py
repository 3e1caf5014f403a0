"""The YAML of a new problem: each guess stands beside the reason for it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from retrue.initialisation.spans import holdout_share

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from retrue.config import Source
    from retrue.initialisation.guessing import Label
    from retrue.initialisation.profiling import Column
    from retrue.initialisation.roles import Roles
    from retrue.initialisation.spans import Span

TO_CHECK = "to be checked"

# What PyYAML reads as it stands; the rest goes into escapes.
_UNPRINTABLE = re.compile(
    "[^\t -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029\ufeff]"
)
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = frozenset(["true", "false", "null", "yes", "no", "on", "off", "y", "n"])
_NOTE_WIDTH = 96
_FEW_ROWS = 5_000
_LISTED = 30


def write_problem(
    name: str,
    source_name: str,
    source: Source,
    found: Mapping[str, str],
    target: Column,
    label: Label,
    time: str | None,
    time_why: str,
    key: Sequence[str],
    roles: Roles,
    rare_below: int,
    span: Span | None,
    n_rows: int,
) -> str:
    """The text of `configs/NAME.yaml`; `found` says what was detected of the file, by key."""
    lines = [
        *_note(
            f"Made by `retrue init` from {n_rows:,} rows. What was guessed has a comment that says"
            " why; correct what is wrong, and the sentences of the canvas first."
        ),
        f"name: {scalar(name)}",
        "",
        *_canvas(source_name, target.name, label, time),
        "",
        "data:",
        "  sources:",
        f"    {scalar(source_name)}:",
        *_source(source, found),
        f"  main: {scalar(source_name)}",
        *_key(key),
        *_note(f"Time: {time_why}", 2),
        *([f"  time: {scalar(time)}"] if time is not None else []),
        "",
        "label:",
        *_note(f"Task: {label.why}", 2),
        f"  task: {label.task}",
        f"  expression: {scalar(label.expression, plain=False)}",
        *_note("Days until the label of a row is known: those newer are not learned from.", 2),
        "  known_after_days: 0",
        "",
        "features:",
        *_features(roles),
        "",
        *_processing(rare_below),
        *_training(span, holdout_share(n_rows), n_rows),
    ]
    if label.task == "regression":
        lines += ["", "gate:", "  metric: squared_error"]
    return "\n".join(lines) + "\n"


def scalar(value: Any, *, plain: bool = True) -> str:
    r"""A YAML scalar on one line: plain where it is a mere word, else in double quotes.

    Examples
    --------
    >>> scalar("dest"), scalar("no"), scalar("기온 °C"), scalar('a"b')
    ('dest', '"no"', '"기온 °C"', '"a\\"b"')
    """
    text = str(value)
    if plain and _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return _UNPRINTABLE.sub(_escaped, json.dumps(text, ensure_ascii=False))


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _note(text: str, indent: int = 0) -> list[str]:
    """Comment lines; a control character of a column's name must not end one."""
    safe = " ".join(_UNPRINTABLE.sub(_escaped, " ".join(text.split())).split())
    lines, line = [], ""
    for word in safe.split(" "):
        if line and len(line) + len(word) + 1 > _NOTE_WIDTH - indent:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [f"{' ' * indent}# {one}" for one in [*lines, line]]


def _canvas(source_name: str, target: str, label: Label, time: str | None) -> list[str]:
    question, wrong_high, wrong_low, baseline = {
        "binary": (
            f"Will {label.expression} hold for this row?",
            "Something is done although the answer turns out to be no",
            "Nothing is done although the answer turns out to be yes",
            "No skill: the training rows' share of yes for every row",
        ),
        "multiclass": (
            f"Which {target} does this row have?",
            "A class is said that the row does not have",
            "The class that the row has is not said",
            "No skill: the training rows' share of each class for every row",
        ),
        "regression": (
            f"How large is {target} for this row?",
            "The prediction is too high by one unit",
            "The prediction is too low by one unit",
            "No skill: the training rows' mean for every row",
        ),
    }[label.task]
    measure = "squared error" if label.task == "regression" else "log loss"
    newest = "the newest labelled days" if time else "the rows held out"
    sentences = {
        "question": question,
        "decision": "What is done differently once the answer is known",
        "decided_by": "Who decides, and how often",
    }
    more = {
        "success": f"Lower {measure} than the champion on {newest}, with 95 % confidence",
        "baseline": baseline,
    }
    known = "On the day of the row" if time else "Together with the row"
    about = {"label": f"{label.expression}; without a value there is no label"}
    lines = [f"canvas:  # every sentence is a draft, {TO_CHECK}"]
    lines += [f"  {k}: {_draft(v)}" for k, v in sentences.items()]
    for side, why in (("cost_false_positive", wrong_high), ("cost_false_negative", wrong_low)):
        lines += [f"  {side}:", "    amount: 1", "    unit: unit", f"    why: {_draft(why)}"]
    lines += [f"  {k}: {_draft(v)}" for k, v in more.items()]
    lines += ["  data_sources:", f"    - {_draft(f'The table {source_name}')}"]
    lines += [f"  {k}: {_draft(v)}" for k, v in about.items()]
    return [*lines, f"  label_known: {_draft(known)}"]


def _draft(sentence: str) -> str:
    return scalar(f"{sentence} ({TO_CHECK})", plain=False)


def _source(source: Source, found: Mapping[str, str]) -> list[str]:
    lines = []
    given = source.model_dump(mode="json", exclude_defaults=True)
    for key, value in given.items():
        if key in found:
            lines += _note(found[key], 6)
        shown = str(value).lower() if isinstance(value, bool) else value
        is_text = isinstance(value, str)
        lines.append(f"      {key}: {scalar(value, plain=False) if is_text else shown}")
    notes = [f"{key}: {why}" for key, why in found.items() if key not in given]
    return [line for note in notes for line in _note(note, 6)] + lines


def _key(key: Sequence[str]) -> list[str]:
    if not key:
        note = "No key: no set of up to three columns is unique, complete and no accident."
        return [*_note(note, 2), "  key: []"]
    note = "Key: the smallest set of columns that is complete and unique."
    return [*_note(note, 2), f"  key: [{', '.join(scalar(name) for name in key)}]"]


def _features(roles: Roles) -> list[str]:
    lines = _note("Only what is known when the prediction is asked for.", 2)
    kept = set(roles.features)
    for name, reason in roles.suspects.items():
        advice = "no other feature is left: check it" if name in kept else "left out as a leak"
        lines += _note(f"{scalar(name)} {advice}: {reason}.", 2)
    for name, reason in _first(roles.left_out):
        lines += _note(f"{scalar(name)} left out: {reason}.", 2)
    kinds = {
        "numeric": (roles.numeric, "Numbers; codes that are no amounts belong to categorical."),
        "categorical": (roles.categorical, "Texts with repeated values."),
        "dates": (roles.dates, "Times, taken apart into year, month, weekday, hour ..."),
        "text": (roles.text, "Free text, as counts of hashed character n-grams."),
    }
    for kind, (names, note) in kinds.items():
        if names:
            lines += [*_note(note, 2), f"  {kind}:", *(f"    - {scalar(name)}" for name in names)]
    return lines


def _first(reasons: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    yield from list(reasons.items())[:_LISTED]
    if len(reasons) > _LISTED:
        yield f"{len(reasons) - _LISTED} more", "empty, constant, or identifying rows"


def _processing(rare_below: int) -> list[str]:
    if not rare_below:
        return []
    note = "Some column has many categories: those with fewer training rows than this become one."
    return ["processing:", *_note(note, 2), f"  rare_below: {rare_below}", ""]


def _training(span: Span | None, share: float, n_rows: int) -> list[str]:
    lines = ["training:"]
    if span is None:
        lines += _note("No time column: rows are held out by chance.", 2)
        lines.append(f"  holdout_share: {share}")
    else:
        lines += [
            *_note("From the first day to the day after the newest.", 2),
            f"  start: {span.start.isoformat()}",
            f"  until: {span.until.isoformat()}",
            *_note(f"The newest {span.holdout_share:.0%} of the rows.", 2),
            f"  holdout_days: {span.holdout_days}",
        ]
    few = n_rows < _FEW_ROWS
    if few:
        lines += _note(f"Fewer and smaller trees, as there are only {n_rows:,} rows.", 2)
    lines += [
        f"  num_boost_round: {100 if few else 200}",
        "  seed: 7",
        "  params:",
        "    learning_rate: 0.05",
        f"    num_leaves: {15 if few else 31}",
    ]
    return lines
