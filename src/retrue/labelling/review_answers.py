"""What people answered: a filled-in queue as CSV, or the JSON that Label Studio exports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd

from retrue.errors import DataError
from retrue.labelling import labels
from retrue.labelling.label_files import import_csv, label_of, read_csv
from retrue.labelling.label_keys import canonical
from retrue.labelling.review_queue import classes
from retrue.prediction_table import logged_keys
from retrue.serving.features import category_text

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from retrue.config import Problem

CANCELLED = "cancelled"
NO_ANSWER = "no answer"
SEVERAL = "several answers in one"
UNKNOWN = "unknown prediction"
NO_CLASS = "not one of the classes"
_AGAIN = "export the answers again: from Label Studio as JSON, or the queue's CSV filled in"


@dataclass(frozen=True)
class Imported:
    """What became of a file of answers: how many labels were new, and why others were not taken."""

    taken: int
    skipped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """One person's answer about one prediction, as text; `row` is where it stands in the file."""

    row: int
    prediction_id: str
    label: str
    author: str | None
    known_at: str | None


def import_file(problem: Problem, path: Path, author: str | None, now: datetime) -> Imported:
    """Take labels in any of the forms: see `import_answers` and `label_files.import_csv`.

    A CSV with the column `prediction_id` is taken for a review queue that was filled in.
    """
    is_queue = path.suffix.lower() == ".json" or "prediction_id" in read_csv(path).columns
    if is_queue and "prediction_id" not in problem.data.key:
        return import_answers(problem, path, author, now)
    return Imported(import_csv(problem, path, author, now))


def import_answers(problem: Problem, path: Path, author: str | None, now: datetime) -> Imported:
    """Take the answers to a review queue, a file once however often it is imported.

    Parameters
    ----------
    problem : Problem
        Whose queue it was.
    path : Path
        `.json`: Label Studio's export, one label an annotation; the annotator is the author, the
        time of the last change is when the label was known. Otherwise the CSV, its columns
        `label`, `author` and `known_at` filled in.
    author : str or None
        Whose answers these are where the file does not say.
    now : datetime
        When we take them, and when they were known where the file does not say.

    Returns
    -------
    Imported
        Skipped and counted by reason: cancelled annotations, rows without an answer or with
        several, predictions that are not in the lake or were sent without a key, and answers
        outside the classes.

    Raises
    ------
    DataError
        The file is no such export, or a number or a time in it is none; nothing is taken.
    ConfigError
        The problem has no key.
    """
    skipped: Counter[str] = Counter()
    is_json = path.suffix.lower() == ".json"
    answers = _from_label_studio(path, skipped) if is_json else _from_csv(path, skipped)
    keys = logged_keys(problem.name, {answer.prediction_id for answer in answers})
    allowed = classes(problem)
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    for answer in answers:
        key = canonical(keys.get(answer.prediction_id))
        label = label_of(problem, answer.label)
        if key is None:
            skipped[UNKNOWN] += 1
        elif allowed and category_text(label) not in allowed:
            skipped[NO_CLASS] += 1
        else:
            said = {"label": label, "author": answer.author, "known_at": answer.known_at}
            rows.append(msgspec.json.decode(key) | said)
            numbers.append(answer.row)
    if not rows:
        return Imported(0, dict(skipped))
    frame = pd.DataFrame(rows, index=numbers, dtype=object)
    taken = labels.add(problem, frame, str(path), author, now)
    return Imported(taken, dict(skipped))


def _from_csv(path: Path, skipped: Counter[str]) -> list[Answer]:
    frame = read_csv(path)
    for name in ("prediction_id", "label"):
        if name not in frame.columns:
            found = f"columns {', '.join(frame.columns)}"
            raise DataError(f"the column {name}", found, f"{path} row 1", _AGAIN)
    answers = []
    for row, values in zip(frame.index, frame.to_dict("records"), strict=True):
        if label := values["label"].strip():
            said = values.get("author") or None, values.get("known_at") or None
            answers.append(Answer(int(row), values["prediction_id"], label, *said))
        else:
            skipped[NO_ANSWER] += 1
    return answers


def _from_label_studio(path: Path, skipped: Counter[str]) -> list[Answer]:
    try:
        tasks = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        found = error.strerror or "an error"
        raise DataError("a file of answers", found, str(path), "correct the path") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError("JSON", "something else", str(path), _AGAIN) from error
    if not isinstance(tasks, list):
        raise DataError("a list of tasks", type(tasks).__name__, str(path), _AGAIN)
    answers = []
    for number, task in enumerate(tasks, start=1):
        data = task.get("data") if isinstance(task, dict) else None
        prediction_id = data.get("prediction_id") if isinstance(data, dict) else None
        annotations = task.get("annotations") if isinstance(task, dict) else None
        if not isinstance(prediction_id, str) or not isinstance(annotations, list):
            expected = "a task with data.prediction_id and annotations"
            raise DataError(expected, "another object", f"{path} task {number}", _AGAIN)
        for annotation in annotations:
            where = f"{path} task {number}"
            if label := _annotated(annotation, where, skipped):
                author = _annotator(annotation.get("completed_by"))
                known_at = annotation.get("updated_at") or annotation.get("created_at")
                answers.append(Answer(number, prediction_id, label, author, known_at))
        if not annotations:
            skipped[NO_ANSWER] += 1
    return answers


def _annotated(annotation: Any, where: str, skipped: Counter[str]) -> str | None:
    """Text of the one answer of an annotation; None if there is none to take, and counted."""
    if not isinstance(annotation, Mapping) or not isinstance(annotation.get("result", []), list):
        raise DataError("an annotation with a result", "another object", where, _AGAIN)
    found: list[Any] = []
    for region in annotation.get("result", []):
        value = region.get("value") if isinstance(region, Mapping) else None
        if not isinstance(value, Mapping):
            raise DataError("a result with a value", "another object", where, _AGAIN)
        if region.get("from_name") == "label":
            said = value.get("choices", value.get("text", value.get("number")))
            found += said if isinstance(said, list) else [said]
    texts = [str(said) for said in found if said is not None and str(said).strip()]
    if annotation.get("was_cancelled"):
        skipped[CANCELLED] += 1
    elif len(texts) != 1:
        skipped[SEVERAL if texts else NO_ANSWER] += 1
    else:
        return texts[0]
    return None


def _annotator(completed_by: Any) -> str | None:
    """A person's number, or, where Label Studio tells more, the mail address."""
    if isinstance(completed_by, Mapping):
        completed_by = completed_by.get("email") or completed_by.get("id")
    return None if completed_by is None else str(completed_by)
