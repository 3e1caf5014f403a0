"""A problem in a state folder of its own, two model versions, and a real Docker engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrue import engine, images, processes, proxy, slots
from retrue.config import Problem
from retrue.containers import remove_containers
from retrue.home import run_dir
from retrue.refs import BundleRef
from tests.integration.tiny_service import NAME, make_bundle, make_problem


@pytest.fixture(scope="session")
def no_images_left() -> Iterator[None]:
    """Remove this worker's serving images when its last test is done; the base image stays."""
    yield
    client = engine.engine_or_reason()
    if not isinstance(client, str):
        for image in client.images.list(filters={"label": f"retrue.problem={NAME}"}):
            client.images.remove(str(image.id), force=True)
        client.close()


@pytest.fixture
def docker_engine(problem: Problem, no_images_left: None) -> Iterator[engine.Engine]:
    """A real engine with a base image; the test is skipped where there is none."""
    client = engine.engine_or_reason()
    if isinstance(client, str):
        pytest.skip(client)
    images.ensure_base_image(client, problem.serving.base_image)
    yield client
    client.close()


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[BundleRef, BundleRef]:
    """Two model versions."""
    folder = tmp_path_factory.mktemp("bundles")
    return make_bundle(folder / "one", 1), make_bundle(folder / "two", 2)


@pytest.fixture
def problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Problem]:
    """A problem in a state folder of its own; whatever was started is stopped afterwards."""
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))
    yield make_problem(processes.free_port())
    # A test may have pointed it elsewhere.
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    now = proxy.serving_now(NAME)
    if now is not None and now.target == slots.PROCESS:
        slots.stop_slot(now)
    proxy.stop_proxy(NAME)
    for record in run_dir().glob("*.json"):
        processes.stop(record.stem)
    client = engine.engine_or_reason()
    if not isinstance(client, str):
        remove_containers(client)
        client.close()
