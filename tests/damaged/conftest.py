"""One clean project with its first data version, copied for each damaged delivery."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from retrue import lake
from retrue.refs import DataRef
from tests.damaged.plant import NAME, Plant, build


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a project and its state, prepared once."""
    folder = tmp_path_factory.mktemp("clean")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETRUE_HOME", str(folder / "home"))
        plant = build(folder / "project", patch)
        prepared = plant.prepare()
        assert prepared.n_set_aside == 0
        assert not [failed for one in prepared.validations for failed in one.failed]
    return folder


@dataclass(frozen=True)
class Before:
    """A plant with a good data version."""

    plant: Plant
    ref: DataRef


@pytest.fixture
def before(clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Before]:
    shutil.copytree(clean, tmp_path / "copy")
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "copy" / "home"))
    ref = lake.latest_version(NAME)
    assert ref is not None
    plant = Plant(tmp_path / "copy" / "project", monkeypatch)
    yield Before(plant, ref)
    for close in plant.closing:
        close()
