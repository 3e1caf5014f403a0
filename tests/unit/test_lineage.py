"""From a model version to all that made it, and from a data version to all that it made."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli import app
from retrue import ledger, lineage, registry, run_files, tracking
from retrue.config import Problem
from retrue.errors import DataError, TrainingError
from retrue.home import home
from retrue.problems import problem_sha256
from retrue.refs import DataRef, ModelRef
from tests.unit.conftest import make_project
from tests.unit.trained import COMMIT, LOCK, Workshop


@dataclass(frozen=True)
class Shop:
    """Two data versions, two models of the first and one of the second, which serves."""

    workshop: Workshop
    january: DataRef
    later: DataRef
    first: ModelRef
    twin: ModelRef
    second: ModelRef


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("lineage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETRUE_HOME", str(folder / "home"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tracking.client.cache_clear()
        made = Workshop(make_project(folder / "project"))
        january, later = made.data("2024-01-17"), made.data("2024-01-20", seed=1)
        first = made.train(january)
        made.deploy(first)
        other = made.problem.model_copy(
            update={"training": made.problem.training.model_copy(update={"seed": 8})}
        )
        twin = made.train(january, other)
        second = made.train(later, champion=first)
        made.deploy(second)
        yield Shop(made, january, later, first, twin, second)
    tracking.client.cache_clear()


def test_one_query_tells_all_that_made_a_version(shop: Shop) -> None:
    found = lineage.of_model("visits", shop.second.version)
    problem = shop.workshop.problem
    assert (found.data.version, found.data.sha256) == (shop.later.version, shop.later.sha256)
    assert found.data.tables["visits"].sha256 == "a" * 64
    assert (found.data.n_set_aside, found.data.in_lake) == (2, True)
    assert found.definition.sha256 == problem_sha256(problem)
    assert (
        problem_sha256(Problem.model_validate(found.definition.problem)) == found.definition.sha256
    )
    assert (found.code_commit, found.lock.file) == (COMMIT, run_files.LOCK)
    assert found.parameters["num_boost_round"] == "10"
    assert [fold.span for fold in found.folds] == [
        "2024-01-01 to 2024-01-15",
        "2024-01-15 to 2024-01-20",
    ]
    n_rows = [fold.n_rows for fold in found.folds]
    assert n_rows == [found.metrics["n_train"], found.metrics["n_holdout"]]
    assert found.environment is not None
    assert {"lightgbm", "numpy", "mlflow"} <= set(found.environment.main_packages)
    assert found.flow_run == "flow-run-1"
    assert found.champion == shop.first.version
    assert found.verdict is not None
    assert found.verdict.reason == found.reason
    assert found.serves
    assert [one.image_digest for one in found.deployments] == ["sha256:feed"]
    assert found.approval is None


def test_the_run_keeps_the_lock_that_its_hash_names(shop: Shop) -> None:
    run = registry.run(shop.first.run_id)
    packed = registry.read_files(run, [run_files.LOCK])[run_files.LOCK]
    assert gzip.decompress(packed).decode() == LOCK


def test_a_lock_that_changed_meanwhile_is_not_kept(shop: Shop) -> None:
    shop.workshop.small.write("uv.lock", LOCK + "# another\n")
    verdict = lineage.of_model("visits", shop.first.version).verdict
    assert verdict is not None
    found = run_files.files(shop.workshop.problem, verdict, "0" * 64, shop.workshop.small.root)
    assert run_files.LOCK not in found
    assert run_files.PROBLEM in found


def test_a_data_version_tells_all_models_made_from_it(shop: Shop) -> None:
    found = lineage.of_data("visits", shop.january.version)
    assert [one.version for one in found.models] == [shop.first.version, shop.twin.version]
    assert found.data.sha256 == shop.january.sha256
    assert len({one.definition_sha256 for one in found.models}) == 2
    later = lineage.of_data("visits", shop.later.version)
    assert [(one.version, one.serves) for one in later.models] == [(shop.second.version, True)]


def test_a_run_that_was_cut_off_is_told_without_a_version(shop: Shop) -> None:
    client = tracking.client()
    experiment_ = client.get_experiment_by_name("visits")
    assert experiment_ is not None
    tags = {"retrue.bundle": "b", "retrue.data_version": str(shop.january.version)}
    cut = client.create_run(experiment_.experiment_id, tags=tags)
    client.set_terminated(cut.info.run_id, "KILLED")
    found = lineage.of_data("visits", shop.january.version)
    assert [(one.version, one.status) for one in found.models][-1] == (None, "KILLED")
    assert found.data.tables  # from the runs that were logged whole


def test_the_search_that_a_training_took_its_recipe_from_is_found(shop: Shop) -> None:
    client, run = tracking.client(), registry.run(shop.second.run_id)
    assert lineage.of_model("visits", shop.second.version).search is None
    tags = {"retrue.search": "s", "retrue.data_sha256": shop.later.sha256}
    search = client.create_run(run.experiment_id, tags=tags).info.run_id
    client.log_metric(search, "trials", 12)
    training = shop.workshop.problem.training.model_copy(update={"seed": 9})
    found_so = shop.workshop.problem.model_copy(update={"training": training})
    model = shop.workshop.train(shop.later, found_so, shop.first, search)
    found = lineage.of_model("visits", model.version).search
    assert found is not None
    assert (found.run_id, found.n_trials) == (search, 12)
    assert lineage.of_model("visits", shop.second.version).search is None


def test_a_data_version_without_models_is_told_by_the_lake(shop: Shop) -> None:
    unused = shop.workshop.data("2024-01-10")
    found = lineage.of_data("visits", unused.version)
    assert (found.models, found.data.n_rows) == ((), unused.n_rows)
    with pytest.raises(DataError, match="data version 99"):
        lineage.of_data("visits", 99)


def test_a_lake_made_anew_is_not_taken_for_the_old_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = shop.later.path.with_name("moved")
    shop.later.path.rename(moved)
    try:
        found = lineage.of_model("visits", shop.second.version)
        assert not found.data.in_lake
        assert (found.data.n_rows, found.data.n_set_aside) == (shop.later.n_rows, None)
        with pytest.raises(DataError, match="restore the lake"):
            lineage.ref("visits", found.data)
    finally:
        moved.rename(shop.later.path)


def test_an_approval_is_read_from_the_ledger_and_not_from_its_mirror(shop: Shop) -> None:
    version, sha256 = shop.twin.version, shop.twin.bundle.sha256
    tracking.mark_approval("visits", version, {"retrue.approval": "rejected"})
    assert lineage.of_model("visits", version).approval is None
    said: dict[str, Any] = {"by": "Ada", "reason": "ok", "via": "command line"}
    ledger.record_decision(ledger.connect(), "visits", version, sha256, decision="approved", **said)
    found = lineage.of_model("visits", version).approval
    assert found is not None
    assert (found.status, found.by, found.reason) == ("approved", "Ada", "ok")


def test_what_a_server_logged_is_read_without_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server names artifacts by its own scheme; they lie under RETRUE_HOME all the same."""
    client = tracking.client()
    place = client.create_experiment("served", "mlflow-artifacts:/7")
    run = client.create_run(place)
    folder = home() / "mlartifacts" / "7" / run.info.run_id / "artifacts"
    folder.mkdir(parents=True)
    (folder / run_files.PROBLEM).write_text("{}")
    found = registry.run(run.info.run_id)
    names = [run_files.PROBLEM, run_files.CARD]
    assert registry.read_files(found, names) == {run_files.PROBLEM: b"{}"}
    registry.write_file(found, run_files.CARD, "a card")
    assert (folder / run_files.CARD).read_text() == "a card"


def test_what_is_not_reached_as_a_folder_is_asked_of_the_client(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = registry.run(shop.first.run_id)
    whole = registry.read_files(run, [run_files.VERDICT])
    monkeypatch.setattr(registry, "_place", lambda _: None)
    names = [run_files.VERDICT, "nothing.json"]
    assert registry.read_files(run, names) == whole
    registry.write_file(run, "note.txt", "a note")
    assert registry.read_files(run, ["note.txt"]) == {"note.txt": b"a note"}


def test_a_version_of_an_older_release_is_told_as_far_as_it_goes(shop: Shop) -> None:
    """Runs before files were kept: no definition, verdict, environment or folds, yet a lineage."""
    run = registry.run(shop.twin.run_id)
    folder = Path(run.artifact_uri.removeprefix("file://"))
    for name in (run_files.PROBLEM, run_files.VERDICT, run_files.ENVIRONMENT, run_files.LOCK):
        (folder / name).rename(folder / f"{name}.gone")
    try:
        found = lineage.of_model("visits", shop.twin.version)
    finally:
        for name in (run_files.PROBLEM, run_files.VERDICT, run_files.ENVIRONMENT, run_files.LOCK):
            (folder / f"{name}.gone").rename(folder / name)
    assert (found.definition.problem, found.verdict, found.environment) == (None, None, None)
    assert (found.folds, found.lock.file) == ((), None)
    assert found.data.version == shop.january.version


def test_an_unknown_version_is_refused_with_those_that_are_there(shop: Shop) -> None:
    with pytest.raises(TrainingError, match="expected model version 9, found versions 1, 2, 3"):
        lineage.of_model("visits", 9)


def test_looking_makes_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path))
    assert registry.versions("visits") == []
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_a_tree_or_one_document(shop: Shop) -> None:
    asked = ["lineage", "visits", "--version", str(shop.second.version)]
    told = CliRunner().invoke(app, asked).output
    assert "model version 3, serves" in told
    assert "uv.lock.gz" in told
    document = json.loads(CliRunner().invoke(app, [*asked, "--json"]).output)
    assert document["data"]["version"] == shop.later.version
    descent = ["lineage", "visits", "--data", str(shop.january.version)]
    assert "version 2" in CliRunner().invoke(app, descent).output
    models = json.loads(CliRunner().invoke(app, [*descent, "--json"]).output)["models"]
    assert [one["version"] for one in models][:2] == [1, 2]
    assert CliRunner().invoke(app, [*asked, "--data", "0"]).exit_code == 2
