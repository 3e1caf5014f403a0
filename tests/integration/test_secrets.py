"""Keys of a served container: they work there, and are found nowhere."""

import http.client
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from retrue import api_keys, images, slots
from retrue.config import Problem
from retrue.home import home, serving_dir
from retrue.probes import check_golden
from retrue.refs import BundleRef, ServingRef
from retrue.serving.keys import Scope
from tests.integration.tiny_service import NAME

if TYPE_CHECKING:
    from retrue.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


def status_of(ref: ServingRef, key: str, path: str = "/invocations") -> int:
    connection = http.client.HTTPConnection(ref.host, ref.port, timeout=10)
    headers = {"Authorization": f"Bearer {key}", "X-Unknown": key}
    body = json.dumps({"dataframe_records": [{"temp": 1.0, "wind": 2.0}]})
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def test_a_container_asks_for_keys_which_are_in_no_layer_variable_parameter_or_log(
    problem: Problem, bundles: tuple[BundleRef, BundleRef], docker_engine: "Engine", tmp_path: Path
) -> None:
    base = images.ensure_base_image(docker_engine, problem.serving.base_image)
    key = api_keys.add(NAME, "shop", [Scope.PREDICT])
    image = images.build_image(docker_engine, bundles[0], 7, base)
    ref = slots.start_slot(problem, "a", bundles[0], 7, slots.CONTAINER, image=image)
    assert check_golden(ref, bundles[0]) == 5
    other = api_keys.add(NAME, "other", [Scope.PREDICT])
    time.sleep(1.5)
    assert [status_of(ref, one) for one in (key, other, "wrong")] == [200, 200, 401]
    assert status_of(ref, key, f"/invocations?{key}") == 400
    api_keys.revoke(NAME, "other")
    time.sleep(1.5)
    assert [status_of(ref, one) for one in (key, other)] == [200, 401]

    found = api_keys.listed(NAME)
    assert found is not None
    own = (serving_dir(NAME) / "own.key").read_text()
    secrets = [key, other, own, *(one.sha256 for one in found), *(one.salt for one in found)]
    container = docker_engine.containers.get(ref.handle)
    inspected = json.dumps([container.attrs, docker_engine.images.get(image).attrs])
    archive = tmp_path / "image.tar"
    with archive.open("wb") as out:
        for chunk in docker_engine.images.get(image).save():
            out.write(chunk)
    places = {
        "inspect": inspected.encode(),
        "logs": container.logs(),
        "layers": archive.read_bytes(),
    }
    for place, content in places.items():
        assert [one for one in secrets if one.encode() in content] == [], place
    mounts = {mount["Destination"]: mount for mount in container.attrs["Mounts"]}
    assert mounts["/run/retrue"]["RW"] is False
    code, listing = container.exec_run(
        ["python3", "-c", "import os; print(os.listdir('/run/retrue'))"]
    )
    assert (code, listing) == (0, b"['keys.json']\n")
    slots.stop_slot(ref)
    # The prediction log, the proxy's configuration, the records of processes.
    for file in filter(Path.is_file, home().rglob("*")):
        kept = [one for one in (key, other, own) if one.encode() in file.read_bytes()]
        assert kept == ([own] if file.name == "own.key" else []), file


def test_a_container_without_keys_that_others_could_reach_does_not_start(
    problem: Problem, bundles: tuple[BundleRef, BundleRef], docker_engine: "Engine"
) -> None:
    base = images.ensure_base_image(docker_engine, problem.serving.base_image)
    image = images.build_image(docker_engine, bundles[0], 7, base)
    container = docker_engine.containers.create(
        image, ["--sha256", bundles[0].sha256], tmpfs={"/var/lib/retrue": "mode=1777"}
    )
    try:
        container.start()
        assert container.wait(timeout=60)["StatusCode"] == 2
        assert b"expected API keys where other machines reach the server" in container.logs()
    finally:
        container.remove(force=True)
