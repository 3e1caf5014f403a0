"""The review queue: what is chosen, what is exported, and what becomes of the answers."""

import csv
import json
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from retrue.errors import ConfigError, DataError
from retrue.labelling import labels
from retrue.labelling.review_answers import import_answers, import_file
from retrue.labelling.review_queue import (
    build,
    classes,
    export_csv,
    export_label_studio,
    labelling_config,
)
from tests.unit.late_labels import NOW, day, make_problem, serve, write_bundle

BINARY = make_problem()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))


def visits(queue: pd.DataFrame) -> list[int]:
    return [json.loads(key)["visit"] for key in queue["key"]]


def known() -> dict[int, Any]:
    found = labels.as_known_at("visits", NOW)
    keys = [json.loads(key)["visit"] for key in found["key"]]
    return dict(zip(keys, found["value"], strict=True))


def serve_binary(n_rows: int = 9) -> list[str]:
    """Scores 1/16, 2/16, ... of visits 1, 2, ...; the threshold is that of visit 4."""
    rows = [{"score": n / 16, "decision": int(n > 4), "day": n} for n in range(1, n_rows + 1)]
    return serve(rows, write_bundle(threshold=4 / 16))


def test_answers_nearest_the_threshold_come_first_then_a_random_share() -> None:
    serve_binary()
    queue = build(BINARY, 5, 0.4, seed=1)
    assert visits(queue)[:3] == [4, 3, 5]
    assert queue["reason"].tolist() == ["least certain"] * 3 + ["random"] * 2
    assert set(visits(queue)[3:]) <= {1, 2, 6, 7, 8, 9}
    assert queue["decision"].tolist()[:3] == ["0", "0", "1"]
    assert build(BINARY, 5, 0.4, seed=1).equals(queue)
    draws = {tuple(visits(build(BINARY, 5, 0.4, seed=seed))[3:]) for seed in range(12)}
    assert len(draws) > 3
    assert len(build(BINARY, 50, 0.4, seed=1)) == 9
    assert visits(build(BINARY, 2, 0, seed=1, since=day(7))) == [7, 8]
    assert set(build(BINARY, 3, 1, seed=1)["reason"]) == {"random"}


def test_the_random_share_is_drawn_evenly() -> None:
    serve_binary()
    drawn = Counter(
        visit for seed in range(40) for visit in visits(build(BINARY, 4, 0.5, seed=seed))[2:]
    )
    assert set(drawn) == {1, 2, 5, 6, 7, 8, 9}
    assert all(2 <= times <= 25 for times in drawn.values())


def test_what_has_a_label_a_newer_answer_or_no_key_is_left_out() -> None:
    bundle = write_bundle()
    serve(
        [
            {"score": 0.41},
            {"score": 0.9, "decision": 1},
            {"score": 0.42, "key": None},
            {"score": 0.43},
            {"score": 0.8, "key": {"visit": 4.0}},
        ],
        bundle,
    )
    frame = pd.DataFrame({"visit": [1], "label": [1]})
    labels.add(BINARY, frame, "a.csv", None, day(20))
    queue = build(BINARY, 9, 0, seed=1)
    assert visits(queue) == [4, 2]
    assert queue["score"].tolist() == [0.8, 0.9]


def test_nothing_served_is_an_empty_queue(tmp_path: Path) -> None:
    queue = build(BINARY, 9, 0.2, seed=1)
    assert queue.empty
    assert export_csv(queue, tmp_path / "queue.csv") == 0
    export_label_studio(BINARY, queue, tmp_path / "queue.json")
    assert json.loads((tmp_path / "queue.json").read_text()) == []
    with pytest.raises(ConfigError, match=r"data\.key"):
        build(make_problem(key=()), 9, 0.2, seed=1)


def test_the_class_with_the_lowest_probability_comes_first() -> None:
    problem = make_problem("multiclass")
    old = write_bundle("multiclass", ("blue", "red"))
    new = write_bundle("multiclass", ("blue", "green", "red"))
    serve([{"score": 0.9, "decision": 1}, {"score": 0.6, "decision": 0}], old, "1-a.sqlite")
    serve([{"key": {"visit": 3}, "score": 0.4, "decision": 1}], new, "2-b.sqlite")
    queue = build(problem, 3, 0, seed=1)
    assert visits(queue) == [3, 2, 1]
    assert queue["decision"].tolist() == ["green", "blue", "red"]
    assert classes(problem) == ("blue", "green", "red")


def test_of_a_regression_rows_are_drawn_at_random() -> None:
    serve([{"score": float(n), "decision": -1} for n in range(9)], write_bundle("regression"))
    problem = make_problem("regression")
    queue = build(problem, 4, 0.25, seed=3)
    assert queue["reason"].tolist() == ["random"] * 4
    assert set(queue["decision"]) == {""}
    assert len({tuple(visits(build(problem, 4, 0.25, seed=seed))) for seed in range(9)}) > 3


def test_answers_in_the_queues_own_csv_come_back_as_labels(tmp_path: Path) -> None:
    serve_binary()
    file = tmp_path / "queue.csv"
    assert export_csv(build(BINARY, 4, 0, seed=1), file) == 4
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["visit"] for row in rows] == ["4", "3", "5", "2"]
    assert [row["shop"] for row in rows] == ["A", "B", "B", "A"]
    assert [row["amount"] for row in rows] == ["4.5", "3.5", "5.5", "2.5"]
    rows[0] |= {"label": "1", "author": "Ann", "known_at": "2024-02-20T10:00:00Z"}
    rows[1] |= {"label": "2"}
    rows[3] |= {"label": "0", "prediction_id": "another"}
    rows += [rows[2] | {"label": "0"}]
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    found = import_file(BINARY, file, "Bob", day(25))
    assert found.taken == 2
    assert found.skipped == {
        "not one of the classes": 1,
        "no answer": 1,
        "unknown prediction": 1,
    }
    assert known() == {4: 1, 5: 0}
    history = labels.history("visits", {"visit": 4})
    assert history["author"].tolist() == ["Ann"]
    assert history["known_at"].tolist() == [day(20).replace(hour=10)]
    assert labels.history("visits", {"visit": 5})["author"].tolist() == ["Bob"]
    assert import_file(BINARY, file, "Bob", day(26)).taken == 0
    assert 4 not in visits(build(BINARY, 9, 0, seed=1))


def annotate(task: dict[str, Any], *choices: str, **annotation: Any) -> dict[str, Any]:
    """A task as Label Studio exports it, with one annotation."""
    result = [
        {"from_name": "label", "to_name": "row", "type": "choices", "value": {"choices": [text]}}
        for text in choices
    ]
    made = {
        "id": 5,
        "completed_by": 1,
        "result": result,
        "was_cancelled": False,
        "created_at": "2024-02-10T09:00:00.000000Z",
        "updated_at": "2024-02-11T09:00:00.500000Z",
        **annotation,
    }
    return {"id": 1, **task, "annotations": [*task.get("annotations", []), made]}


def test_answers_from_label_studio_come_back_as_labels(tmp_path: Path) -> None:
    serve_binary()
    file = tmp_path / "tasks.json"
    config = export_label_studio(BINARY, build(BINARY, 7, 0, seed=1), file)
    tasks = json.loads(file.read_text())
    first = tasks[0]
    assert first["data"]["row"] == {"visit": 4, "amount": 4.5, "shop": "A"}
    suggested = first["predictions"][0]
    assert suggested["result"][0]["value"] == {"choices": ["0"]}
    assert (suggested["model_version"], suggested["score"]) == ("visits 3", 0.25)
    view = ET.fromstring(config.read_text())
    assert [choice.get("value") for choice in view.iter("Choice")] == ["0", "1"]
    for region in suggested["result"]:
        control = view.find(f".//*[@name='{region['from_name']}']")
        assert control is not None
        assert control.get("toName") == region["to_name"]
        assert view.find(f".//Table[@name='{region['to_name']}']") is not None
    both = annotate(annotate(tasks[0], "0"), "1", completed_by={"id": 2, "email": "b@x.org"})
    both["annotations"][1]["updated_at"] = "2024-02-12T00:00:00Z"
    answered = [
        both,
        annotate(tasks[1], "1", was_cancelled=True),
        annotate(tasks[2]),
        annotate(tasks[3], "0", "1"),
        annotate(tasks[4], "maybe"),
        annotate({"data": {"prediction_id": "another"}}, "1"),
        {**tasks[5], "annotations": []},
    ]
    file.write_text(json.dumps(answered))
    found = import_file(BINARY, file, None, NOW)
    assert found.taken == 2
    assert found.skipped == {
        "cancelled": 1,
        "no answer": 2,
        "several answers in one": 1,
        "not one of the classes": 1,
        "unknown prediction": 1,
    }
    history = labels.history("visits", {"visit": 4})
    assert history["value"].tolist() == [0, 1]
    assert history["author"].tolist() == ["1", "b@x.org"]
    assert history["known_at"].tolist() == [
        day(11).replace(hour=9, microsecond=500_000),
        day(12),
    ]
    assert known() == {4: 1}


def test_a_regression_asks_for_a_number_and_an_expression_for_a_text(tmp_path: Path) -> None:
    serve([{"score": 3.25, "decision": -1}], write_bundle("regression"))
    problem = make_problem("regression")
    file = tmp_path / "tasks.json"
    export_label_studio(problem, build(problem, 1, 0, seed=1), file)
    task = json.loads(file.read_text())[0]
    region = task["predictions"][0]["result"][0]
    assert (region["type"], region["value"]) == ("number", {"number": 3.25})
    annotation: dict[str, Any] = {
        "result": [region | {"value": {"number": 4.5}}],
        "completed_by": None,
    }
    file.write_text(json.dumps([task | {"annotations": [annotation]}]))
    assert import_answers(problem, file, "Bob", NOW).taken == 1
    assert known() == {1: 4.5}
    assert "<Number " in labelling_config(problem)
    delay = make_problem(expression="late_label > 15")
    assert "<TextArea " in labelling_config(delay)
    annotation = {"result": [{"from_name": "label", "value": {"text": ["37"]}}], "completed_by": 4}
    file.write_text(json.dumps([task | {"annotations": [annotation]}]))
    assert import_answers(delay, file, None, NOW).taken == 1
    assert known() == {1: 37}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "expected a list of tasks, found dict"),
        ("[1", "expected JSON, found something else"),
        ("[[]]", "task 1: expected a task with data.prediction_id and annotations"),
        ('[{"data": {}, "annotations": []}]', "task 1: expected a task with data.prediction_id"),
        ('[{"data": {"prediction_id": "a"}}]', "task 1: expected a task with data.prediction_id"),
        (
            '[{"data": {"prediction_id": "a"}, "annotations": [5]}]',
            "task 1: expected an annotation with a result",
        ),
        (
            '[{"data": {"prediction_id": "a"}, "annotations": [{"result": [{}]}]}]',
            "task 1: expected a result with a value",
        ),
    ],
)
def test_what_is_no_export_of_label_studio_is_refused(
    tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "tasks.json"
    file.write_text(content)
    with pytest.raises(DataError) as caught:
        import_file(BINARY, file, None, NOW)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_wrong_time_of_an_answer_is_refused_with_its_place(tmp_path: Path) -> None:
    ids = serve_binary(1)
    file = tmp_path / "tasks.json"
    task = annotate({"data": {"prediction_id": ids[0]}}, "1", updated_at=17)
    file.write_text(json.dumps([task]))
    with pytest.raises(DataError, match=r"tasks.json row 1 column known_at: expected an ISO 8601"):
        import_file(BINARY, file, None, NOW)
    assert known() == {}


def test_a_plain_file_of_labels_needs_no_prediction(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("visit,label\n1,1\n")
    assert import_file(BINARY, file, None, NOW).taken == 1
    assert known() == {1: 1}
