"""`retrue labels`: one JSON document, or lines for people; a refusal is one line."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.labels_commands import app
from retrue.errors import RetrueError
from tests.unit.late_labels import make_problem, serve, write_bundle


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    config = make_problem().model_dump(mode="json", exclude_defaults=True)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "visits.yaml").write_text(json.dumps(config))
    serve([{"score": n / 8, "decision": 0} for n in range(1, 6)], write_bundle())
    return tmp_path


def run(*arguments: str) -> Any:
    found = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert found.exit_code == 0
    return json.loads(found.stdout)


def test_a_queue_goes_out_and_its_answers_come_in(project: Path) -> None:
    out = project / "queue.csv"
    assert run("queue", "visits", "--out", str(out), "--n", "2", "--random-share", "0") == {
        "rows": 2,
        "file": str(out),
    }
    lines = out.read_text().splitlines()
    at = lines[0].split(",").index("label")
    fields = lines[1].split(",")
    fields[at] = "1"
    out.write_text("\n".join([lines[0], ",".join(fields), lines[2]]) + "\n")
    answered = run("import", "visits", str(out), "--author", "Ann")
    assert answered == {"taken": 1, "skipped": {"no answer": 1}}
    assert run("show", "visits")["labels"] == 1
    found = run("show", "visits", "--key", '{"visit": 3}')["labels"]
    assert [(row["value"], row["author"]) for row in found] == [(1, "Ann")]
    people = CliRunner().invoke(app, ["show", "visits"]).stdout
    assert "corrected" in people
    assert "{" not in people


def test_tasks_for_label_studio_come_with_their_configuration(project: Path) -> None:
    out = project / "tasks.json"
    found = run("queue", "visits", "--out", str(out), "--format", "label-studio", "--n", "3")
    assert found == {"rows": 3, "file": str(out), "config": str(project / "tasks.xml")}
    assert len(json.loads(out.read_text())) == 3
    assert "<Choices" in (project / "tasks.xml").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["import", "visits", "none.csv"],
            "none.csv: expected a CSV file of labels, found No such",
        ),
        (["show", "visits", "--key", "7"], "--key: expected a JSON object with visit, found '7'"),
        (["show", "visits", "--key", '{"shop": 7}'], "--key: expected a JSON object with visit"),
        (["show", "nothing"], "nothing.yaml"),
    ],
)
def test_a_refusal_says_where_and_what_was_expected(arguments: list[str], said: str) -> None:
    with pytest.raises(RetrueError) as caught:
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert said in str(caught.value)
