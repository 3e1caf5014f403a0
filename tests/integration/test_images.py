"""Serving images on a real engine: small, hardened, told apart, and in time."""

import hashlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from retrue import base_image, images, service, slots, tracking
from retrue.base_contents import USER_ID
from retrue.config import Gate, Problem
from retrue.containers import home_hash, remove_containers, stop_container
from retrue.engine import engine_or_reason
from retrue.errors import DeployError
from retrue.probes import check_golden
from retrue.refs import BundleRef, ModelRef, ServingRef
from retrue.runtime_layer import runtime_layer
from tests.integration.tiny_service import NAME

if TYPE_CHECKING:
    from retrue.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
Bundles = tuple[BundleRef, BundleRef]
Record = Callable[[str, object], None]


@pytest.fixture
def image(problem: Problem, bundles: Bundles, docker_engine: "Engine") -> str:
    """The serving image of the first bundle as version 7."""
    base = images.ensure_base_image(docker_engine, problem.serving.base_image)
    return images.build_image(docker_engine, bundles[0], 7, base)


@pytest.fixture
def model(problem: Problem, bundles: Bundles) -> Iterator[ModelRef]:
    """The first bundle as a registered version, in a registry of the test's own."""
    tracking.client.cache_clear()
    run_id = tracking.client().create_run(tracking.experiment(NAME)).info.run_id
    yield tracking.register(bundles[0], run_id, "", {})
    tracking.client.cache_clear()


@pytest.fixture
def served(problem: Problem, bundles: Bundles, image: str) -> Iterator[ServingRef]:
    """A running container of it in slot a."""
    ref = slots.start_slot(problem, "a", bundles[0], 7, slots.CONTAINER, image=image)
    yield ref
    slots.stop_slot(ref)


def test_the_base_image_from_debian_packages_is_small_and_has_no_shell(
    docker_engine: "Engine", problem: Problem, record_property: Record
) -> None:
    began = time.monotonic()
    base = images.build_base_image(docker_engine)
    took_s = time.monotonic() - began
    size_mb = images.image_size_bytes(docker_engine, base) / 1e6
    record_property("base_build_s", round(took_s, 1))
    record_property("base_size_mb", round(size_mb))
    assert size_mb < 60
    assert images.ensure_base_image(docker_engine, problem.serving.base_image) == base
    script = (
        "import asyncio, bz2, ctypes, json, lzma, os, sqlite3, ssl, uuid, zlib\n"
        "ctypes.CDLL('libgomp.so.1'), ctypes.CDLL('libstdc++.so.6')\n"
        "shells = [p for p in ('/bin/sh', '/bin/bash', '/usr/bin/dash') if os.path.exists(p)]\n"
        "apt = [p for p in ('/etc/apt', '/var/lib/apt') if os.path.exists(p)]\n"
        "print(json.dumps([shells, apt, os.path.exists(asyncio.__cached__),\n"
        "    sorted(os.listdir('/var/lib/dpkg/status.d'))]))\n"
    )
    output = docker_engine.containers.run(base, ["python3", "-c", script], remove=True)
    assert isinstance(output, bytes)
    shells, apt, is_compiled, packages = json.loads(output)
    assert (shells, apt, is_compiled) == ([], [], True)
    assert {"libc6", "libgomp1", "python3.11-minimal"} <= set(packages)


def test_the_image_is_below_100_mb_and_says_what_is_in_it(
    docker_engine: "Engine", image: str, bundles: Bundles, record_property: Record
) -> None:
    size_mb = images.image_size_bytes(docker_engine, image) / 1e6
    record_property("image_size_mb", round(size_mb))
    assert size_mb < 100
    tag = f"retrue/{NAME}:7-{bundles[0].sha256[:12]}"
    found = docker_engine.images.get(tag)
    assert found.id == image
    assert {
        "org.opencontainers.image.version": "7",
        "retrue.problem": NAME,
        "retrue.model_version": "7",
        "retrue.bundle_sha256": bundles[0].sha256,
        "retrue.code_commit": "c" * 40,
        "retrue.data_version": "0",
        "retrue.data_sha256": "0" * 64,
    }.items() <= found.labels.items()


def test_a_container_runs_with_as_few_rights_as_it_needs(
    docker_engine: "Engine", served: ServingRef, problem: Problem
) -> None:
    attributes: dict[str, Any] = docker_engine.containers.get(served.handle).attrs
    config, host = attributes["Config"], attributes["HostConfig"]
    user = str(USER_ID) if os.getuid() == 0 else str(os.getuid())
    assert config["User"].split(":")[0] == user
    assert host["ReadonlyRootfs"] is True
    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Init"] is True
    assert host["PidsLimit"] == 128
    assert host["Memory"] == problem.serving.memory_mb * 2**20
    assert host["NanoCpus"] > 0
    assert "noexec" in host["Tmpfs"]["/tmp"]
    mounts = {mount["Destination"]: mount["RW"] for mount in attributes["Mounts"]}
    assert mounts == {"/var/lib/retrue": True, "/run/retrue": False}
    assert config["Labels"]["retrue.home_hash"] == home_hash()
    bindings = attributes["NetworkSettings"]["Ports"]
    assert bindings == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(served.port)}]}


def test_those_rights_hold_inside(docker_engine: "Engine", served: ServingRef) -> None:
    script = (
        "import json\n"
        "status = dict(l.split(':\\t', 1) for l in open('/proc/1/status') if ':\\t' in l)\n"
        "try:\n"
        "    open('/opt/retrue/x', 'w'); written = True\n"
        "except OSError:\n"
        "    written = False\n"
        "print(json.dumps([status['CapEff'].strip(), status['NoNewPrivs'].strip(),\n"
        "    status['Uid'].split()[0], written]))\n"
    )
    container = docker_engine.containers.get(served.handle)
    code, output = container.exec_run(["python3", "-c", script])
    assert code == 0, output
    assert isinstance(output, bytes)
    capabilities, no_new_privileges, uid, written = json.loads(output)
    assert int(capabilities, 16) == 0
    assert no_new_privileges == "1"
    assert uid != "0"
    assert written is False


def test_a_container_is_ready_quickly_and_scores_like_the_bundle(
    problem: Problem, bundles: Bundles, image: str, record_property: Record
) -> None:
    began = time.monotonic()
    ref = slots.start_slot(problem, "a", bundles[0], 7, slots.CONTAINER, image=image)
    record_property("ready_s", round(time.monotonic() - began, 1))
    assert check_golden(ref, bundles[0]) == 5
    assert ref.image_digest == image
    # The log is written by the container's user into the host's folder.
    assert list(slots.predictions_dir(NAME).glob("7-*.sqlite"))


def test_a_leftover_in_the_slot_is_replaced(
    problem: Problem, bundles: Bundles, image: str, served: ServingRef, docker_engine: "Engine"
) -> None:
    again = slots.start_slot(problem, "a", bundles[0], 8, slots.CONTAINER, image=image)
    ours = docker_engine.containers.list(
        all=True, filters={"label": f"retrue.home_hash={home_hash()}"}
    )
    assert [container.id for container in ours] == [again.handle]


def test_a_container_of_another_state_folder_is_left_alone(
    docker_engine: "Engine", served: ServingRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("RETRUE_HOME", "/nonexistent/other")
        with pytest.raises(DeployError, match="another checkout"):
            stop_container(docker_engine, served.handle)
        assert remove_containers(docker_engine) == []
    assert docker_engine.containers.get(served.handle).status == "running"


def test_a_container_that_cannot_have_its_port_leaves_nothing(
    problem: Problem,
    bundles: Bundles,
    image: str,
    docker_engine: "Engine",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        monkeypatch.setattr("retrue.processes.free_port", lambda: holder.getsockname()[1])
        with pytest.raises(DeployError, match=r"address already in use|port is already allocated"):
            slots.start_slot(problem, "a", bundles[0], 7, slots.CONTAINER, image=image)
    label = f"retrue.home_hash={home_hash()}"
    assert docker_engine.containers.list(all=True, filters={"label": label}) == []


def test_a_build_that_exceeds_its_deadline_gets_no_tag(
    problem: Problem, bundles: Bundles, docker_engine: "Engine"
) -> None:
    base = images.ensure_base_image(docker_engine, problem.serving.base_image)
    with pytest.raises(DeployError, match=r"an end within 0(\.0\d*)? s"):
        images.build_image(docker_engine, bundles[0], 99, base, deadline_s=0.01)
    time.sleep(3)  # a build takes about two
    assert not [
        tag
        for found in docker_engine.images.list(f"retrue/{NAME}")
        for tag in found.tags
        if tag.split(":")[1].startswith("99-")
    ]


def test_an_image_above_the_gates_limit_is_never_switched_in(
    problem: Problem, model: ModelRef, docker_engine: "Engine"
) -> None:
    small = problem.model_copy(update={"gate": Gate(max_image_mb=10)})
    with pytest.raises(DeployError, match=r"an image of at most 10 MB, found \d+ MB"):
        service.image_for(small, model, slots.CONTAINER)
    assert service.image_for(problem, model, slots.CONTAINER)
    assert service.image_for(small, model, slots.PROCESS) is None


def test_the_bill_of_materials_is_beside_the_image_and_in_the_models_run(
    problem: Problem, model: ModelRef, docker_engine: "Engine"
) -> None:
    image = service.image_for(problem, model, slots.CONTAINER)
    assert image is not None
    bill = images.sbom_path(model.bundle, model.version)
    sha256 = hashlib.sha256(bill.read_bytes()).hexdigest()
    assert docker_engine.images.get(image).labels["retrue.sbom_sha256"] == sha256
    found = tracking.client().get_model_version(NAME, str(model.version))
    assert found.tags["retrue.sbom_sha256"] == sha256
    assert found.tags["retrue.image"] == image
    logged = tracking.client().list_artifacts(model.run_id, "sbom")
    assert [one.path for one in logged] == [f"sbom/{bill.name}"]


def test_a_registry_that_fails_is_asked_once(
    docker_engine: "Engine", monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "127.0.0.1:1/no/such:image"
    began = time.monotonic()
    reason = images.pull(docker_engine, name)
    assert reason is not None
    assert "127.0.0.1:1" in reason
    assert time.monotonic() - began < images.PULL_ANSWER_S + 1

    def asked_again(*_: object, **__: object) -> None:
        raise AssertionError("the registry was asked again")

    monkeypatch.setattr(docker_engine.api, "pull", asked_again)
    assert images.pull(docker_engine, name) == reason


def test_a_registry_that_never_answers_is_given_up(
    docker_engine: "Engine", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "PULL_ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = f"127.0.0.1:{silent.getsockname()[1]}/no/such:image"
        began = time.monotonic()
        reason = images.pull(docker_engine, name)
    assert reason is not None
    assert time.monotonic() - began < 5


def test_an_engine_that_is_not_there_is_said_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/dead.sock")
    reason = engine_or_reason()
    assert isinstance(reason, str)
    assert reason.startswith("no Docker engine answers")
    with pytest.raises(DeployError, match="start the Docker engine"):
        images.build_base_image()


def test_the_runtime_layer_holds_the_server_and_no_more(problem: Problem, bundles: Bundles) -> None:
    layer = runtime_layer(bundles[0].path / "requirements.txt", "x86_64")
    ours = {
        path.relative_to(layer / "site/retrue").parts[0]
        for path in layer.rglob("*.py")
        if (layer / "site/retrue") in path.parents
    }
    assert ours == {"__init__.py", "errors.py", "serving"}
    names = {path.name for path in (layer / "site").iterdir()}
    assert {"lightgbm", "msgspec", "starlette", "uvicorn"} <= names
    assert not {"numpy", "scipy", "pandas", "narwhals"} & names
    assert (layer / "lib/libgomp.so.1").is_file()


def test_a_package_with_another_hash_is_refused(
    problem: Problem, bundles: Bundles, tmp_path: Any
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"idna==3.20 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(DeployError, match="hashes of the requirements"):
        runtime_layer(requirements, "x86_64")


def test_the_tag_of_the_base_image_names_suite_and_python() -> None:
    assert base_image.TAG == "retrue/base:bookworm-py311"
