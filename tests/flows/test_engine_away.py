"""The Docker engine goes away half-way: the deployment fails in words, the champion goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrue import engine, images
from retrue.engine import engine_or_reason
from tests.flows.harness import STACK, Stack
from tests.flows.project import write_config

pytestmark = STACK
HALF_WAY = {
    "from the start": "flows.deployment:load_problem",
    "once the target is chosen": "retrue.slots:choose_target",
    "once the image is built": "retrue.service:image_for",
}


@pytest.fixture
def containers(loop: Stack, tmp_path: Path) -> Path:
    """A second folder of the same project whose problem `engine` wants a container."""
    loop.serve("engine")
    write_config(tmp_path, "engine", loop.problem("engine").serving.port, target="container")
    return tmp_path


@pytest.fixture
def docker_engine(loop: Stack) -> Iterator[None]:
    """A real engine with a base image; what the tests made on it is removed."""
    client = engine_or_reason()
    if isinstance(client, str):
        pytest.skip(client)
    images.ensure_base_image(client, loop.problem("engine").serving.base_image)
    yield
    for image in client.images.list(filters={"label": "retrue.problem=engine"}):
        client.images.remove(str(image.id), force=True)
    client.close()


def fail_to_deploy(loop: Stack, folder: Path, stage: str, dead: Path) -> str:
    before = loop.deployments("engine")
    with loop.traffic("engine") as traffic:
        done = loop.start(
            "deploy",
            fault=f"engine-gone {dead}",
            at=HALF_WAY[stage],
            root=folder,
            problem="engine",
            version=1,
        ).wait()
    assert traffic.report().answered > 0
    assert traffic.report().failed == 0
    assert (done.state, done.error) == ("Failed", "DeployError"), done.log
    assert "\n" not in done.message
    *earlier, last = loop.deployments("engine")
    assert earlier == before
    assert last.status == "failed"
    assert done.message.split(";")[0][:40] in last.details_json
    assert loop.answering("engine") == loop.should_serve("engine") == 1
    return done.message


def test_without_an_engine_the_champion_goes_on(
    loop: Stack, containers: Path, tmp_path: Path
) -> None:
    said = fail_to_deploy(loop, containers, "from the start", tmp_path / "dead.sock")
    assert f"no Docker engine answers at unix://{tmp_path / 'dead.sock'}" in said
    assert "start the Docker engine" in said


@pytest.mark.docker
def test_an_engine_that_goes_half_way_leaves_the_champion_answering(
    loop: Stack, containers: Path, docker_engine: None, tmp_path: Path
) -> None:
    for stage in ("once the target is chosen", "once the image is built"):
        said = fail_to_deploy(loop, containers, stage, tmp_path / "dead.sock")
        assert "no Docker engine answers" in said
    client = engine.engine_or_reason()
    assert not isinstance(client, str)
    assert client.containers.list(all=True, filters={"label": "retrue.problem=engine"}) == []
    client.close()

    with loop.traffic("engine") as traffic:
        server = loop.run("deploy", root=containers, problem="engine", version=1)
        assert (server["target"], server["model_version"]) == ("container", 1)
        assert loop.answering("engine") == 1
        assert loop.deployments("engine")[-1].image_digest == server["image_digest"]
        loop.run("deploy", problem="engine", version=1)  # back to a process
    assert traffic.report().failed == 0
