"""Servers in the two slots: ready or refused, checked bit for bit, stopped without a trace."""

import json
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from retrue import processes, proxy, slots
from retrue.config import Problem
from retrue.containers import home_hash
from retrue.errors import BundleError, DeployError
from retrue.images import build_image, ensure_base_image
from retrue.probes import check_golden, is_healthy
from retrue.refs import BundleRef
from retrue.rollout.course import roll_out
from tests.integration.tiny_service import NAME, ask, write_manifest

if TYPE_CHECKING:
    from retrue.engine import Engine

Bundles = tuple[BundleRef, BundleRef]


def with_one_bit_changed(bundle: BundleRef, folder: Path) -> BundleRef:
    """A copy whose last golden score is the next float64."""
    shutil.copytree(bundle.path, folder)
    golden = json.loads((folder / "golden.json").read_text())
    golden["scores"][-1] = math.nextafter(golden["scores"][-1], 1)
    (folder / "golden.json").write_text(json.dumps(golden))
    return BundleRef(problem=NAME, path=folder, sha256=write_manifest(folder))


def test_a_started_process_answers_as_itself_and_is_gone_when_stopped(
    problem: Problem, bundles: Bundles
) -> None:
    ref = slots.start_slot(problem, "a", bundles[0], 3, slots.PROCESS)
    assert is_healthy(ref)
    status, answer = ask(ref.port)
    assert (status, answer["model_version"], answer["bundle_sha256"]) == (200, 3, bundles[0].sha256)
    assert check_golden(ref, bundles[0]) == 5
    slots.stop_slot(ref)
    slots.stop_slot(ref)  # once more is no error
    assert not is_healthy(ref)
    assert not psutil.pid_exists(int(ref.handle))


def test_golden_requests_are_not_logged(problem: Problem, bundles: Bundles) -> None:
    from retrue.serving.log_reading import read_after

    ref = slots.start_slot(problem, "a", bundles[0], 1, slots.PROCESS)
    check_golden(ref, bundles[0])
    slots.stop_slot(ref)
    logs = list(slots.predictions_dir(NAME).glob("*.sqlite"))
    assert [read_after(log, 0) for log in logs] == [[]]


def test_another_server_on_the_port_is_not_taken_for_ours(
    problem: Problem, bundles: Bundles
) -> None:
    ref = slots.start_slot(problem, "a", bundles[0], 1, slots.PROCESS)
    assert not is_healthy(ref.model_copy(update={"boot_nonce": "other"}))
    assert not is_healthy(ref.model_copy(update={"bundle_sha256": "0" * 64}))
    assert not is_healthy(ref.model_copy(update={"model_version": 2}))


def test_a_golden_score_that_differs_by_one_bit_is_refused(
    problem: Problem, bundles: Bundles, tmp_path: Path
) -> None:
    ref = slots.start_slot(problem, "a", bundles[0], 1, slots.PROCESS)
    changed = with_one_bit_changed(bundles[0], tmp_path / "changed")
    with pytest.raises(DeployError, match="golden row 4"):
        check_golden(ref, changed)


def test_a_version_whose_golden_check_fails_leaves_the_old_in_service(
    problem: Problem, bundles: Bundles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = roll_out(problem, bundles[0], 1, slots.PROCESS)
    changed = with_one_bit_changed(bundles[1], tmp_path / "changed")

    # The server would refuse such a bundle itself; here it scores right, and the check must see.
    def start_with_the_true_bundle(*_: object, **__: object) -> object:
        return start(problem, "b", bundles[1], 2, slots.PROCESS)

    start = slots.start_slot
    monkeypatch.setattr("retrue.rollout.course.start_slot", start_with_the_true_bundle)
    with pytest.raises(DeployError, match="golden row"):
        roll_out(problem, changed, 2, slots.PROCESS)
    assert proxy.serving_now(NAME) == old
    assert ask(problem.serving.port)[1]["boot_nonce"] == old.boot_nonce
    assert not processes.alive(f"serving-{NAME}-b")


def test_a_bundle_with_another_hash_than_asked_for_does_not_start(
    problem: Problem, bundles: Bundles
) -> None:
    old = roll_out(problem, bundles[0], 1, slots.PROCESS)
    wrong = bundles[1].model_copy(update={"sha256": "0" * 64})
    with pytest.raises(DeployError, match=r"it ended.*SHA-256"):
        roll_out(problem, wrong, 2, slots.PROCESS)
    assert ask(problem.serving.port)[1]["boot_nonce"] == old.boot_nonce
    assert not processes.alive(f"serving-{NAME}-b")


def test_a_server_that_is_not_ready_in_time_is_stopped(problem: Problem, bundles: Bundles) -> None:
    serving = problem.serving.model_copy(update={"ready_timeout_s": 0.05})
    hasty = problem.model_copy(update={"serving": serving})
    with pytest.raises(DeployError, match=r"within 0.05 s"):
        slots.start_slot(hasty, "a", bundles[0], 1, slots.PROCESS)
    assert not processes.alive(f"serving-{NAME}-a")


def test_stopping_an_old_server_leaves_a_newer_one_in_its_slot_alone(
    problem: Problem, bundles: Bundles
) -> None:
    old = slots.start_slot(problem, "a", bundles[0], 1, slots.PROCESS)
    new = slots.start_slot(problem, "a", bundles[0], 2, slots.PROCESS)
    slots.stop_slot(old)
    assert is_healthy(new)
    assert not psutil.pid_exists(int(old.handle))


def test_the_target_is_a_process_where_no_engine_answers(
    problem: Problem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/dead.sock")
    target, reason = slots.choose_target(problem.serving)
    assert target == slots.PROCESS
    assert "no Docker engine answers" in reason
    forced = problem.serving.model_copy(update={"target": "container"})
    with pytest.raises(DeployError, match=r"start the Docker engine.*or use serving.target"):
        slots.choose_target(forced)
    asked = problem.serving.model_copy(update={"target": "process"})
    assert slots.choose_target(asked)[0] == slots.PROCESS


def test_a_deploy_without_an_engine_leaves_the_old_in_service(
    problem: Problem, bundles: Bundles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = roll_out(problem, bundles[0], 1, slots.PROCESS)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/dead.sock")
    with pytest.raises(DeployError, match="start the Docker engine"):
        roll_out(problem, bundles[1], 2, slots.CONTAINER)
    assert proxy.serving_now(NAME) == old
    assert ask(problem.serving.port)[0] == 200


@pytest.mark.docker
@pytest.mark.timeout(120)
def test_an_engine_that_goes_away_between_build_and_start_leaves_the_old_container_in_service(
    problem: Problem,
    bundles: Bundles,
    docker_engine: "Engine",
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    base = ensure_base_image(docker_engine, problem.serving.base_image)
    old = roll_out(problem, bundles[0], 1, slots.CONTAINER)
    image = build_image(docker_engine, bundles[1], 2, base)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/dead.sock")
    with pytest.raises(DeployError, match="start the Docker engine"):
        roll_out(problem, bundles[1], 2, slots.CONTAINER, image=image)
    assert proxy.serving_now(NAME) == old
    assert ask(problem.serving.port)[1]["boot_nonce"] == old.boot_nonce


@pytest.mark.docker
@pytest.mark.timeout(120)
def test_a_container_with_another_bundle_than_asked_for_does_not_start(
    problem: Problem, bundles: Bundles, docker_engine: "Engine"
) -> None:
    base = ensure_base_image(docker_engine, problem.serving.base_image)
    image = build_image(docker_engine, bundles[0], 1, base)
    with pytest.raises(DeployError, match=r"it ended.*SHA-256"):
        slots.start_slot(problem, "a", bundles[1], 1, slots.CONTAINER, image=image)
    label = f"retrue.home_hash={home_hash()}"
    assert docker_engine.containers.list(all=True, filters={"label": label}) == []


def test_a_damaged_bundle_is_not_even_tried(
    problem: Problem, bundles: Bundles, tmp_path: Path
) -> None:
    shutil.copytree(bundles[0].path, tmp_path / "damaged")
    (tmp_path / "damaged/golden.json").write_text("{}")
    damaged = bundles[0].model_copy(update={"path": tmp_path / "damaged"})
    ref = slots.start_slot(problem, "a", bundles[0], 1, slots.PROCESS)
    with pytest.raises(BundleError, match=r"golden\.json"):
        check_golden(ref, damaged)
