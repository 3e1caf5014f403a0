"""The same model twice is the same image, with a bill of what is in it; or there is none at all."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from retrue import images
from retrue.config import Problem
from retrue.engine import image_id
from retrue.image_archive import tree_entries, write_layer
from retrue.refs import BundleRef
from retrue.runtime_layer import runtime_layer
from tests.integration.tiny_service import NAME

if TYPE_CHECKING:
    from retrue.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
Bundles = tuple[BundleRef, BundleRef]
Build = Callable[[BundleRef, int], str]
BUILD = (
    "import sys\n"
    "from pathlib import Path\n"
    "from retrue import engine, images\n"
    "from retrue.refs import BundleRef\n"
    "name, path, sha256, version, base = sys.argv[1:]\n"
    "client = engine.engine_or_reason()\n"
    "bundle = BundleRef(problem=name, path=Path(path), sha256=sha256)\n"
    "print('begun', flush=True)\n"
    "print(images.build_image(client, bundle, int(version), base))\n"
)


@pytest.fixture
def base(docker_engine: "Engine", problem: Problem) -> str:
    return images.ensure_base_image(docker_engine, problem.serving.base_image)


@pytest.fixture
def build(docker_engine: "Engine", base: str) -> Iterator[Build]:
    yield lambda bundle, version: images.build_image(docker_engine, bundle, version, base)
    _forget(docker_engine)


@pytest.fixture
def bill(build: Build, bundles: Bundles) -> dict[str, Any]:
    """The bill of materials of the first bundle as version 7."""
    build(bundles[0], 7)
    found: dict[str, Any] = json.loads(images.sbom_path(bundles[0], 7).read_bytes())
    return found


def test_the_same_bundle_gives_the_same_image_from_elsewhere_and_later(
    build: Build,
    bundles: Bundles,
    docker_engine: "Engine",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = build(bundles[0], 7)
    bill = images.sbom_path(bundles[0], 7).read_bytes()
    assert build(bundles[0], 7) == first
    # Nothing is left that could be found again: not the image, its layers, or what it is made of.
    _forget(docker_engine)
    copied = shutil.copytree(bundles[0].path, tmp_path / "moved" / "far away", copy_function=_touch)
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "another home"))
    old = os.umask(0o077)
    try:
        moved = bundles[0].model_copy(update={"path": copied})
        assert build(moved, 7) == first
    finally:
        os.umask(old)
    assert images.sbom_path(moved, 7).read_bytes() == bill


def test_another_model_or_version_is_another_image_on_the_same_runtime(
    build: Build, bundles: Bundles, docker_engine: "Engine"
) -> None:
    made = [build(bundles[0], 7), build(bundles[0], 8), build(bundles[1], 7)]
    assert len(set(made)) == 3
    layers = [docker_engine.images.get(one).attrs["RootFS"]["Layers"] for one in made]
    assert layers[0] == layers[1]
    assert layers[0][:-1] == layers[2][:-1]
    assert layers[0][-1] != layers[2][-1]


def test_an_engine_that_refuses_the_archive_builds_the_same_files(
    build: Build, bundles: Bundles, docker_engine: "Engine", monkeypatch: pytest.MonkeyPatch
) -> None:
    """containerd's image store says this: it wants every layer in the archive."""
    wanted = docker_engine.images.get(build(bundles[0], 7)).attrs
    refuse = [{"error": 'layer "0/layer.tar" not found'}]
    monkeypatch.setattr("docker.api.client.APIClient.load_image", lambda *_: iter(refuse))
    found = docker_engine.images.get(build(bundles[0], 7)).attrs
    assert found["Id"] != wanted["Id"]
    for name in ("Env", "User", "Healthcheck", "Entrypoint", "Labels"):
        assert found["Config"][name] == wanted["Config"][name]
    script = "import os; print([sorted(names) for _, _, names in os.walk('/opt/retrue')])"
    listings = {
        docker_engine.containers.run(one["Id"], ["-c", script], entrypoint="python3", remove=True)
        for one in (wanted, found)
    }
    assert len(listings) == 1


def test_an_engine_that_refuses_for_a_moment_gets_the_archive_again(
    build: Build, bundles: Bundles, docker_engine: "Engine", monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = build(bundles[0], 7)
    docker_engine.images.remove(wanted, force=True)
    api: Any = docker_engine.api  # not in the types of docker
    load, refusals = api.load_image, iter(range(3))

    def refuse(archive: Any) -> Any:
        busy = [{"error": "failed to register layer: it is being removed"}]
        return iter(busy) if next(refusals, None) is not None else load(archive)

    monkeypatch.setattr(api, "load_image", refuse)
    monkeypatch.setattr("retrue.image_assembly._PAUSES_S", (0.01,) * 4)
    assert build(bundles[0], 7) == wanted


@pytest.mark.parametrize("after_s", [0.02, 0.1, 0.2, 0.35, 0.5])
def test_a_build_that_is_killed_leaves_no_name_and_can_be_done_again(
    after_s: float, build: Build, bundles: Bundles, docker_engine: "Engine", base: str
) -> None:
    whole = build(bundles[1], 7)
    docker_engine.images.remove(whole, force=True)
    argv = [sys.executable, "-c", BUILD, NAME, str(bundles[1].path), bundles[1].sha256, "7", base]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        time.sleep(after_s)
        child.send_signal(signal.SIGKILL)
    named = image_id(docker_engine, f"retrue/{NAME}:7-{bundles[1].sha256[:12]}")
    assert named in (None, whole)  # whole, when it was faster than the signal
    assert build(bundles[1], 7) == whole


def test_a_layer_says_nothing_of_when_and_by_whom_it_was_written(tmp_path: Path) -> None:
    written = []
    for number, mode in enumerate((0o600, 0o664)):
        tree = tmp_path / str(number)
        (tree / "folder").mkdir(parents=True, mode=0o700 + number)
        (tree / "folder" / "b").write_text("one")
        (tree / "folder" / "b").chmod(mode)
        os.utime(tree / "folder" / "b", (number, number))
        (tree / "a").symlink_to("folder/b")
        written.append(write_layer(tree_entries(tree), tmp_path / f"{number}.tar"))
    assert written[0].diff_id == written[1].diff_id
    content = written[0].file.read_bytes()
    assert written[0].diff_id == f"sha256:{hashlib.sha256(content).hexdigest()}"
    (tmp_path / "1/folder/b").chmod(0o755)
    again = write_layer(tree_entries(tmp_path / "1"), tmp_path / "2.tar")
    assert again.diff_id != written[0].diff_id


def test_the_bill_is_valid_cyclonedx(bill: dict[str, Any]) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(bill)) is None
    bill["components"][0]["type"] = "model"
    assert validator.validate_str(json.dumps(bill)) is not None


def test_the_bill_names_the_model_with_its_data(bill: dict[str, Any], bundles: Bundles) -> None:
    (model,) = (one for one in bill["components"] if one["type"] == "machine-learning-model")
    content = (bundles[0].path / "model.txt").read_bytes()
    assert model["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}]
    assert (model["name"], model["version"]) == (NAME, "7")
    properties = {one["name"]: one["value"] for one in model["properties"]}
    assert properties["retrue:bundle_sha256"] == bundles[0].sha256
    assert properties["retrue:data_version"] == "0"
    assert properties["retrue:data_sha256"] == "0" * 64


def test_the_bill_names_all_that_is_installed(
    bill: dict[str, Any], bundles: Bundles, docker_engine: "Engine"
) -> None:
    requirements = (bundles[0].path / "requirements.txt").read_text()
    pinned = {line.split(" ")[0] for line in requirements.splitlines() if "==" in line}
    components = {one["bom-ref"]: one for one in bill["components"]}
    python = {ref: one for ref, one in components.items() if ref.startswith("pkg:pypi/")}
    assert {f"{one['name']}=={one['version']}" for one in python.values()} == pinned
    for one in python.values():
        hashes = one["externalReferences"][0]["hashes"]
        assert hashes
        assert all(f"--hash=sha256:{given['content']}" in requirements for given in hashes)
    debian = {one["name"]: one for ref, one in components.items() if ref.startswith("pkg:deb/")}
    assert {"libc6", "libgomp1", "libstdc++6"} <= debian.keys()
    layer = runtime_layer(bundles[0].path / "requirements.txt", "x86_64")
    library = "site/lightgbm/lib/lib_lightgbm.so"
    sha256 = hashlib.sha256((layer / library).read_bytes()).hexdigest()
    assert components[f"opt/retrue/{library}"]["hashes"] == [{"alg": "SHA-256", "content": sha256}]


def test_no_path_of_this_machine_is_in_the_layer(problem: Problem, bundles: Bundles) -> None:
    layer = runtime_layer(bundles[0].path / "requirements.txt", "x86_64")
    assert not (layer / "site/bin").exists()
    ours = {sys.prefix.encode(), str(Path.cwd()).encode(), str(layer).encode()}
    named = [
        path.relative_to(layer)
        for path in layer.rglob("*")
        if path.is_file() and any(one in path.read_bytes() for one in ours)
    ]
    assert named == []


def _touch(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    os.utime(target, (1, 1))


def _forget(client: "Engine") -> None:
    for image in client.images.list(filters={"label": f"retrue.problem={NAME}"}):
        client.images.remove(str(image.id), force=True)
