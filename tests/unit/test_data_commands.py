"""`retrue data`: each command says what it did in words, or as one JSON document."""

import json
import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from flows.data_commands import app
from retrue import lake
from retrue.errors import RetrueError
from retrue.home import home
from retrue.preparation import prepare

if TYPE_CHECKING:
    from tests.unit.conftest import Small


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test leaves its two versions for the others: validation takes a while."""
    return tmp_path_factory.mktemp("kept") / "home"


@pytest.fixture(autouse=True)
def _two_versions(small: "Small", kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small.root)
    if kept.exists():
        shutil.copytree(kept, home())
        return
    small.replace("weather.csv", "2024-01-02T02:00:00Z,7.5", "2024-01-02T02:00:00Z,1048.36")
    prepare(small.problem, date(2024, 1, 20), small.root)
    small.replace("visits.csv", ",B,0.5,", ",B,0.75,")
    small.replace("visits.csv", ",A,9.0,", ",A,-9.0,")
    prepare(small.problem, date(2024, 1, 20), small.root)
    shutil.copytree(home(), kept)


def said(*words: str) -> str:
    done = CliRunner().invoke(app, words)
    if isinstance(done.exception, RetrueError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def document(*words: str) -> Any:
    return json.loads(said(*words, "--json"))


def test_list_has_a_line_a_version() -> None:
    lines = said("list", "visits").splitlines()
    found = document("list", "visits")["versions"]

    assert lines[0].split()[:3] == ["version", "until", "rows"]
    assert [line.split()[:4] for line in lines[1:]] == [
        ["0", "2024-01-20", "38", "1"],
        ["1", "2024-01-20", "37", "2"],
    ]
    assert [one["sha256"] for one in found] == [r.sha256 for r in lake.list_versions("visits")]


def test_show_tells_the_pinned_tables_and_verifies_when_asked() -> None:
    found = document("show", "visits", "--version", "0", "--verify")

    assert set(found["tables"]) == {"visits", "shops", "weather"}
    assert found["columns"]["shop"] == "text"
    assert found["verified"] is True
    lines = [line.split() for line in said("show", "visits").splitlines()]
    assert ["key", "visit"] in lines
    assert ["n_rows", "37"] in lines


def test_diff_names_the_cell_and_the_row() -> None:
    found = document("diff", "visits", "0", "1")

    (cell,) = found["cells"]
    assert cell == {"key": '{"visit": 1}', "column": "amount", "old": "0.5", "new": "0.75"}
    assert found["removed"] == ['{"visit": 18}']
    assert found["changed_tables"] == ["visits"]
    words = said("diff", "visits", "0", "1")
    assert "rows removed       1" in words
    assert "amount  0.5  0.75  {" in words
    assert "Versions 1 and 1 hold the same." in said("diff", "visits", "1", "1")


def test_export_writes_the_version_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "old.csv"
    found = document("export", "visits", "--version", "0", "--out", str(out))

    assert (found["n_rows"], found["size_bytes"]) == (38, out.stat().st_size)
    assert len(out.read_text().splitlines()) == 39
    with pytest.raises(RetrueError, match="a new file"):
        said("export", "visits", "--out", str(out))
    assert "version            1" in said("export", "visits", "--out", str(out), "--force")


def test_faults_are_counted_by_rule_and_listed() -> None:
    found = document("faults", "visits")["faults"]
    lines = said("faults", "visits", "--limit", "1").splitlines()

    assert sorted((one["table"], one["source_row"]) for one in found) == [
        ("visits", 20),
        ("weather", 4),
    ]
    assert all(one["released"] is None for one in found)
    assert lines[1].split()[:4] == ["visits", "amount", "1", "0"]
    assert lines[-1] == "and 1 more: raise --limit, or use --json"


def test_a_release_takes_ids_words_of_a_rule_or_all() -> None:
    by = ("--by", "Ada", "--reason", "a storm")
    wind = next(f for f in document("faults", "visits")["faults"] if f["column"] == "wind")

    assert document("release", "visits", wind["fault_id"][:10], *by)["released"] == 1
    assert document("release", "visits", "--rule", "wind", *by) == {
        "released": 0,
        "released_before": 1,
    }
    assert document("release", "visits", "--all", *by)["released"] == 1
    told = {f["column"]: f["released"] for f in document("faults", "visits")["faults"]}
    assert told["wind"]["by"] == told["amount"]["by"] == "Ada"
    assert "released" in said("faults", "visits")


@pytest.mark.parametrize("ways", [(), ("--all", "--rule", "x"), ("aa", "--all")])
def test_a_release_that_does_not_say_what_is_refused(ways: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, ["release", "visits", *ways, "--by", "Ada", "--reason", "why"])

    assert done.exit_code == 2
    assert all(f["released"] is None for f in document("faults", "visits")["faults"])


def test_a_problem_that_is_not_there_is_refused() -> None:
    for words in (["list", "nosuch"], ["show", "nosuch"], ["faults", "nosuch"]):
        with pytest.raises(RetrueError, match="nosuch"):
            said(*words)
