"""What people should look at: the least certain answers of the service, and a random share."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

import msgspec
import numpy as np
import pandas as pd

from retrue.files import write_atomically
from retrue.labelling import labels
from retrue.labelling.label_entries import insist_on_key
from retrue.labelling.label_expression import LATE_LABEL
from retrue.labelling.served_rows import signature, with_keys
from retrue.prediction_table import read_predictions

if TYPE_CHECKING:
    from pathlib import Path

    from retrue.config import Problem

QUEUE = ("prediction_id", "reason", "score", "decision", "label", "author", "known_at")
"""Columns of an exported queue before those of the row; from `label` on they are for answers."""
_EVER = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_COLUMNS = [
    *("prediction_id", "key", "row", "event_time", "score", "decision", "reason", "model_version")
]


def build(
    problem: Problem,
    n: int,
    share_random: float,
    seed: int,
    since: datetime | None = None,
) -> pd.DataFrame:
    """Choose served predictions that a label would teach most.

    Parameters
    ----------
    problem : Problem
        Its key says which predictions have a label already.
    n : int
        How many at most.
    share_random : float
        Share of `n`, in [0, 1], that is drawn at random from all the others: labels of uncertain
        rows alone would tell nothing of how good the model is.
    seed : int
        Of the draw.
    since : datetime, optional
        Only rows whose time is not before.

    Returns
    -------
    DataFrame
        One row a key without a label, the least certain first: prediction_id, key, row (JSON
        texts), event_time, score, decision (a text), reason and model_version. A binary answer is
        the less certain the nearer it is to the decision threshold, one of several classes the
        smaller the probability of its class; a regression has random rows only. Of several answers
        to one key the last counts; rows that were sent without their key are left out.

    Raises
    ------
    ConfigError
        The problem has no key.
    BundleError
        A bundle that answered is not there or is damaged.
    """
    insist_on_key(problem)
    rows = with_keys(read_predictions(problem.name, since or _EVER[0], _EVER[1]))
    rows = rows[rows["key"].notna() & ~rows["key"].isin(labels.labelled_keys(problem.name))]
    rows = rows.sort_values(["received_at_us", "prediction_id"]).drop_duplicates("key", keep="last")
    if rows.empty:
        return rows.assign(reason="", decision="")[_COLUMNS]
    # By content, so that the same seed draws the same rows however they came into the lake.
    rows = _judged(problem.name, rows).sort_values(["certainty", "key"]).reset_index(drop=True)
    is_ranked = rows["certainty"].notna().all()
    n_random = round(n * share_random) if is_ranked else n
    chosen = rows.head(n - n_random).assign(reason="least certain")
    others = rows.iloc[len(chosen) :]
    draw = np.random.default_rng(seed).permutation(len(others))[:n_random]
    drawn = others.iloc[np.sort(draw)].assign(reason="random")
    return pd.concat([chosen, drawn], ignore_index=True)[_COLUMNS]


def classes(problem: Problem) -> tuple[str, ...]:
    """Texts of the answers to choose from; empty where a label may be any number or text."""
    if problem.label.late and problem.label.expression.strip() != LATE_LABEL:
        return ()
    if problem.label.task == "binary":
        return ("0", "1")
    if problem.label.task == "regression":
        return ()
    answered = read_predictions(problem.name, *_EVER)["bundle_sha256"].unique()
    known = {text for sha256 in answered for text in signature(problem.name, sha256).classes}
    return tuple(sorted(known))


def export_csv(queue: pd.DataFrame, path: Path) -> int:
    """Write a queue as CSV with empty columns for the answers; how many rows.

    Columns: those of `QUEUE`, then key and features as they were sent; one whose name is taken
    stands as `row.NAME`.
    """
    sent = [_sent(row) for row in queue.to_dict("records")]
    names = list(dict.fromkeys(name for row in sent for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*QUEUE, *(f"row.{n}" if n in QUEUE else n for n in names)])
    for row, features in zip(queue.to_dict("records"), sent, strict=True):
        ours = [row.get(name, "") for name in QUEUE]
        writer.writerow([*ours, *(_cell(features.get(name)) for name in names)])
    write_atomically(path, text.getvalue())
    return len(queue)


def export_label_studio(problem: Problem, queue: pd.DataFrame, path: Path) -> Path:
    """Write a queue as tasks for Label Studio, and the labelling configuration beside it.

    Returns
    -------
    Path
        The configuration, `NAME.xml` beside `NAME.json`, to be pasted into the project's settings.
    """
    control = _control(problem)
    tasks = [_task(problem, row, control) for row in queue.to_dict("records")]
    write_atomically(path, json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")
    config = path.with_suffix(".xml")
    write_atomically(config, labelling_config(problem))
    return config


def labelling_config(problem: Problem) -> str:
    """Labelling configuration for Label Studio: the row as a table, and one question."""
    if (control := _control(problem)) == "choices":
        choices = "".join(f"    <Choice value={quoteattr(text)}/>\n" for text in classes(problem))
        question = f'<Choices name="label" toName="row" choice="single" required="true">\n{choices}'
        question += "  </Choices>"
    elif control == "number":
        question = '<Number name="label" toName="row" required="true"/>'
    else:
        question = '<TextArea name="label" toName="row" maxSubmissions="1" required="true"/>'
    title = quoteattr(problem.canvas.question)
    table = '<Table name="row" value="$row"/>'
    return f"<View>\n  <Header value={title}/>\n  {table}\n  {question}\n</View>\n"


def _control(problem: Problem) -> str:
    if classes(problem):
        return "choices"
    return "number" if problem.label.task == "regression" else "textarea"


def _task(problem: Problem, row: dict[Any, Any], control: str) -> dict[str, Any]:
    task: dict[str, Any] = {
        "data": {
            "prediction_id": row["prediction_id"],
            "reason": row["reason"],
            "row": {name: _cell(value) for name, value in _sent(row).items()},
        }
    }
    answer = {"choices": [row["decision"]]} if control == "choices" else {"number": row["score"]}
    if control == "textarea" or (control == "choices" and row["decision"] == ""):
        return task
    result = {"from_name": "label", "to_name": "row", "type": control, "value": answer}
    version = f"{problem.name} {row['model_version']}"
    prediction = {"model_version": version, "score": row["score"], "result": [result]}
    return task | {"predictions": [prediction]}


def _judged(problem_name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Decisions as texts, and how certain each is; missing for a regression."""
    judged = []
    for sha256, part in rows.groupby("bundle_sha256"):
        made_for = signature(problem_name, str(sha256))
        said: Any = ""
        certainty: Any = np.nan
        if made_for.task == "multiclass":
            said = part["decision"].map(made_for.classes.__getitem__)
            certainty = part["score"]
        elif made_for.task == "binary":
            said = part["decision"].astype(str)
            certainty = (part["score"] - made_for.threshold).abs()
        judged.append(part.assign(decision=said, certainty=certainty))
    return pd.concat(judged)


def _sent(row: dict[Any, Any]) -> dict[str, Any]:
    sent: dict[str, Any] = msgspec.json.decode(row["row"])
    return msgspec.json.decode(row["key"], type=dict[str, Any]) | sent


def _cell(value: Any) -> Any:
    return "" if value is None else value
