"""A table of one's own: from `retrue init` to a model, and on to what the service itself learns."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from retrue import monitoring
from tests.flows.command_line import retrue
from tests.flows.harness import STACK, Stack

pytestmark = STACK

N_ROWS = 1_200


def table(task: str) -> pd.DataFrame:
    """Rows with a target that `area` and `city` tell."""
    rng = np.random.default_rng(7)
    area, city = rng.normal(80, 20, N_ROWS).round(2), rng.choice(["Busan", "Seoul"], N_ROWS)
    price = area * 10 + (city == "Seoul") * 400 + rng.normal(0, 40, N_ROWS)
    target: dict[str, Any] = {
        "binary": np.where(price > 1000, "yes", "no"),
        "multiclass": np.select([price < 800, price < 1100], ["low", "middle"], "high"),
        "regression": price.round(1),
    }
    return pd.DataFrame(
        {
            "sale": np.arange(N_ROWS),
            "at": pd.date_range("2024-01-01", periods=N_ROWS, freq="2h").strftime("%FT%TZ"),
            "area": area,
            "city": city,
            "answer": target[task],
        }
    )


def begin(folder: Path, name: str, task: str) -> None:
    """A project folder with a table and what `retrue init` makes of it."""
    table(task).to_csv(folder / f"{name}.csv", index=False)
    made = retrue("init", f"{name}.csv", "--target", "answer", "--json", folder=folder)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["name"] == name


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_init_then_train_works_with_no_edit(loop: Stack, tmp_path: Path, task: str) -> None:
    begin(tmp_path, task, task)
    trained = loop.run("train", root=tmp_path, problem=task)

    assert trained["verdict"]["promoted"], trained["verdict"]["reason"]
    (run,) = loop.mlflow_runs(task)
    inputs = {one["dataset"]["name"] for one in run["inputs"]["dataset_inputs"]}
    assert inputs == {f"{task} v0", f"{task}/{task} v0"}


def test_what_was_served_is_learned_from_once_its_labels_have_come(
    loop: Stack, tmp_path: Path
) -> None:
    begin(tmp_path, "live", "multiclass")
    config = tmp_path / "configs" / "live.yaml"
    config.write_text(config.read_text() + "\nserving: {target: process, port: 18080}\n")
    loop.run("train", root=tmp_path, problem="live")
    loop.run("deploy", root=tmp_path, problem="live")
    rows = table("multiclass")
    asked = json.loads(rows.drop(columns="answer").to_json(orient="records"))
    answer = _post(loop, "invocations", {"dataframe_records": asked})

    assert set(answer["decisions"]) <= {"low", "middle", "high"}
    assert np.mean(np.array(answer["decisions"]) == rows["answer"]) > 0.8
    assert np.allclose(np.sum(answer["predictions"], axis=1), 1)

    ids = answer["prediction_ids"]
    labels = [
        {"prediction_id": one, "label": label, "known_at": "2024-04-09T00:00:00Z"}
        for one, label in zip(ids, rows["answer"], strict=True)
    ]
    assert _post(loop, "feedback", labels) == {"accepted": N_ROWS}
    assert monitoring.collect("live") == N_ROWS

    _learn_from_the_service(tmp_path)
    trained = loop.run("train", root=tmp_path, problem="live", until="2024-04-10")
    assert trained["data"]["n_rows"] == N_ROWS
    early = loop.start("train", root=tmp_path, problem="live", until="2024-04-08").wait()
    assert "labelled" in early.message  # by then no label was known


def _post(loop: Stack, path: str, body: Any) -> Any:
    answer = httpx.post(f"{loop.url('live')}/{path}", json=body, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _learn_from_the_service(folder: Path) -> None:
    """Point the problem at the rows it answered, with the labels that came for them."""
    config = folder / "configs" / "live.yaml"
    text = config.read_text().replace('path: "live.csv"', "served: true")
    text = text.replace('expression: "answer"', "expression: late_label\n  late: true")
    config.write_text(text)
    suite = {
        "name": "live",
        "expectations": [
            {
                "type": "expect_table_row_count_to_be_between",
                "kwargs": {"min_value": 1},
                "severity": "critical",
            }
        ],
    }
    for table in ("live", "linked"):
        (folder / "expectations" / "live" / f"{table}.json").write_text(json.dumps(suite))
