"""A prediction of a container: its image is named, and gives the same bits again."""

import json
from typing import TYPE_CHECKING

import pytest

from retrue import probes, rescoring, slots, tracing
from retrue.config import Problem
from retrue.containers import home_hash
from retrue.home import bundles_dir
from retrue.images import build_image, ensure_base_image
from retrue.refs import BundleRef
from tests.integration.tiny_service import NAME

if TYPE_CHECKING:
    from retrue.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


def test_a_prediction_of_a_container_names_its_image_and_is_scored_again_by_it(
    problem: Problem,
    bundles: tuple[BundleRef, BundleRef],
    docker_engine: "Engine",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle = bundles[0]
    place = bundles_dir(NAME) / bundle.sha256[:16]
    place.parent.mkdir(parents=True)
    place.symlink_to(bundle.path, target_is_directory=True)
    base = ensure_base_image(docker_engine, problem.serving.base_image)
    image = build_image(docker_engine, bundle, 7, base)
    server = slots.start_slot(problem, "a", bundle, 7, slots.CONTAINER, image=image)
    body = {
        "instances": [{"temp": 0.1, "wind": None}, {"temp": 12345678901234567890, "wind": -0.0}]
    }
    with probes.Connection(server) as asking:
        status, answer = asking.request("POST", "/invocations", json.dumps(body).encode())
    assert status == 200
    slots.stop_slot(server)
    monkeypatch.setattr(rescoring, "load_problem", lambda _: problem)
    for one in answer["prediction_ids"]:
        found = tracing.trace(one)
        assert found.image is not None
        assert found.image.digest == image
        assert found.image.labels is not None
        assert found.image.labels["retrue.bundle_sha256"] == found.bundle_sha256 == bundle.sha256
        again = rescoring.rescored(found).rescored
        assert again is not None
        assert again.by == f"image {image}"
        assert again.is_same
        assert rescoring.by_bundle(bundle, [found.prediction.row]) == [
            (again.score, again.decision)
        ]
    label = f"retrue.home_hash={home_hash()}"
    assert docker_engine.containers.list(all=True, filters={"label": label}) == []
    docker_engine.images.remove(image, force=True)
    gone = rescoring.rescored(tracing.trace(answer["prediction_ids"][0]))
    assert gone.image is not None
    assert gone.image.labels is None
    assert gone.rescored is not None
    assert gone.rescored.by == "the bundle's model on this machine"
    assert gone.rescored.is_same
