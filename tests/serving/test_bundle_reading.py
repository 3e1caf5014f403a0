"""A bundle is whole or it is refused."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrue.errors import BundleError
from retrue.serving.__main__ import main
from retrue.serving.bundle import read_bundle
from tests.serving.tiny_model import Made, write_manifest


@pytest.fixture
def folder(made: Made, tmp_path: Path) -> Path:
    """A bundle of the test's own."""
    return Path(shutil.copytree(made.path, tmp_path / "bundle"))


def test_a_whole_bundle_is_read(made: Made) -> None:
    bundle = read_bundle(made.path, made.sha256)
    assert bundle.sha256 == made.sha256
    assert bundle.signature.features == made.features
    assert len(bundle.golden.rows) == len(bundle.golden.scores) == 20


def test_another_bundle_than_the_wanted_one_is_refused(made: Made) -> None:
    with pytest.raises(BundleError, match=r"manifest.json: expected SHA-256 1{64}, found"):
        read_bundle(made.path, "1" * 64)


def test_only_the_reference_may_be_absent(folder: Path) -> None:
    (folder / "reference.parquet").unlink()
    read_bundle(folder)
    (folder / "metrics.json").unlink()
    with pytest.raises(BundleError, match=r"metrics.json: expected a readable file"):
        read_bundle(folder)


@pytest.mark.parametrize(
    "name", ["model.txt", "signature.json", "golden.json", "metrics.json", "reference.parquet"]
)
def test_one_changed_bit_is_found(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(BundleError, match=f"{name}: expected SHA-256"):
        read_bundle(folder)


def test_a_truncated_file_is_found(folder: Path) -> None:
    content = (folder / "model.txt").read_bytes()
    (folder / "model.txt").write_bytes(content[:-1])
    with pytest.raises(BundleError, match=r"model.txt: expected \d+ bytes, found \d+ bytes"):
        read_bundle(folder)


@pytest.mark.parametrize("name", ["../model.txt", "/etc/passwd", "a/b", ""])
def test_a_manifest_cannot_name_files_elsewhere(folder: Path, name: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": "0" * 64, "size_bytes": 0}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"manifest.json: expected JSON of a bundle"):
        read_bundle(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("signature.json", b"{", "JSON of a bundle's signature"),
        ("signature.json", b'{"problem": "tiny"}', "missing required field"),
        ("golden.json", b'{"rows": [{}], "scores": []}', "expected 1 scores, found 0 scores"),
        ("golden.json", b'{"rows": [], "scores": [NaN]}', "JSON of a bundle's golden"),
    ],
)
def test_content_that_is_no_bundles_is_refused(
    folder: Path, name: str, content: bytes, message: str
) -> None:
    (folder / name).write_bytes(content)
    write_manifest(folder)
    with pytest.raises(BundleError, match=message):
        read_bundle(folder)


@pytest.mark.parametrize("share", [0.4, 0.7])
def test_a_model_truncated_before_its_hash_was_taken_does_not_start_a_server(
    folder: Path, tmp_path: Path, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    content = (folder / "model.txt").read_bytes()
    (folder / "model.txt").write_bytes(content[: int(share * content.index(b"end of trees"))])
    options = ["--bundle", str(folder), "--sha256", write_manifest(folder)]
    assert main([*options, "--log-dir", str(tmp_path)]) == 2
    errors = capfd.readouterr().err
    assert "expected a model that loads and gives its golden scores" in errors
    assert len(errors.splitlines()) == 1


Damage = Callable[[Path], object]


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    """One way to damage a bundle: what it does to the folder."""
    names = ["model.txt", "signature.json", "golden.json", "metrics.json", "reference.parquet"]
    name = draw(st.sampled_from([*names, "manifest.json"]))
    other = draw(st.sampled_from([*names, "manifest.json", "new.bin", "model.pkl", ".hidden"]))
    place, bit = draw(st.floats(0, 1, exclude_max=True)), draw(st.integers(0, 7))

    def flip(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[int(place * len(content))] ^= 1 << bit
        (folder / name).write_bytes(content)

    def truncate(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(place * len(content))])

    def prolong(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes() + bytes([bit]))

    def remove(folder: Path) -> None:
        (folder / ("model.txt" if name == "reference.parquet" else name)).unlink()

    def rename(folder: Path) -> None:
        (folder / name).replace(folder / (other if other != name else "renamed"))

    def add(folder: Path) -> None:
        (folder / draw(st.sampled_from(["model.pkl", "MLmodel", ".hidden"]))).write_bytes(b"x")

    return draw(st.sampled_from([flip, truncate, prolong, remove, rename, add]))


@given(damage=damages())
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_damaged_bundle_is_refused_before_anything_parses_its_model(
    damage: Damage, made: Made, capfd: pytest.CaptureFixture[str]
) -> None:
    def parsed(*_: object) -> None:
        raise AssertionError("the model was parsed")

    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(shutil.copytree(made.path, Path(name) / "bundle"))
        damage(folder)
        patch.setattr("retrue.serving.__main__._check_in_child", parsed)
        patch.setattr("retrue.serving.__main__.self_check", parsed)
        assert main(["--bundle", str(folder), "--sha256", made.sha256, "--log-dir", name]) == 2
        assert os.listdir(name) == ["bundle"]
    errors = capfd.readouterr().err
    assert errors.startswith("retrue.serving: ")
    assert len(errors.splitlines()) == 1
