"""A wrong configuration is told in one line before anything is started or written."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.flows.command_line import retrue
from tests.flows.harness import STACK, Stack
from tests.flows.project import write_config


def wrong_key(tree: dict[str, Any]) -> None:
    tree["training"]["num_boost_rounds"] = tree["training"].pop("num_boost_round")


def wrong_type(tree: dict[str, Any]) -> None:
    tree["training"]["num_boost_round"] = "many"


def out_of_bounds(tree: dict[str, Any]) -> None:
    tree["gate"]["confidence"] = 1.5


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (wrong_key, ["training.num_boost_rounds", "unknown key", "num_boost_round"]),
        (wrong_type, ["training.num_boost_round", "a valid integer", "'many'"]),
        (out_of_bounds, ["gate.confidence", "less than 1", "1.5"]),
        (None, ["visits.yaml", "no such file", "did you mean visit"]),
    ],
)
def test_a_wrong_configuration_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: Any, words: list[str]
) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "state"))
    path = write_config(tmp_path, "visit", 8080)
    if mistake is not None:
        tree = json.loads(path.read_text())
        mistake(tree)
        path.write_text(json.dumps(tree, indent=1))
    before = sorted(tmp_path.rglob("*"))

    done = retrue("train", "visit" if mistake else "visits", folder=tmp_path)

    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("retrue: ")
    assert all(word in line for word in words), line
    assert ("visit.yaml:" in line) == (mistake is not None)  # with the number of the line
    assert sorted(tmp_path.rglob("*")) == before


def test_without_a_running_stack_the_command_says_how_to_start_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "state"))
    write_config(tmp_path, "visit", 8080)
    done = retrue("train", "visit", folder=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "run `retrue up`" in line
    assert not (tmp_path / "state").exists()


class TestOnTheStack:
    """What a command prints when all is well."""

    pytestmark = STACK

    def test_json_is_one_document_and_nothing_else(self, loop: Stack) -> None:
        done = retrue("train", "flights", "--until", "2013-01-24", "--json", folder=loop.root)
        assert done.returncode == 0, done.stderr
        assert (
            json.loads(done.stdout)["model"]["version"]
            == loop.run("train", problem="flights", until="2013-01-24")["model"]["version"]
        )

    def test_work_that_was_done_before_is_no_error(self, loop: Stack) -> None:
        arguments = ("retrain", "flights", "--key", "by-hand", "--until", "2013-01-24", "--json")
        first, second = (retrue(*arguments, folder=loop.root) for _ in range(2))
        assert first.returncode == 0, first.stderr
        assert json.loads(first.stdout)["model"]["version"] >= 1
        assert second.returncode == 0, second.stderr
        found = json.loads(second.stdout)
        assert found["outcome"] == "skipped"
        assert "answered this trigger before" in found["reason"]
        assert len(loop.retrainings("flights")) == 1
