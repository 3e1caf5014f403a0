"""Reading a model bundle: every byte is checked against its hash before it is parsed."""

import hashlib
import os
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from retrue.errors import BundleError
from retrue.serving.calibration import Calibrator
from retrue.serving.features import Feature, Scalar

MANIFEST = "manifest.json"
REQUIRED = ("model.txt", "signature.json", "golden.json")
# Left out of the image: the server never reads it, and it is the largest file of a bundle.
LEFT_OUT = {"reference.parquet", "reference.msgpack"}

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
T = TypeVar("T")


class FileEntry(msgspec.Struct, frozen=True):
    """Hash and size of one file of the bundle."""

    sha256: Sha256
    size_bytes: Annotated[int, msgspec.Meta(ge=0)]


class Manifest(msgspec.Struct, frozen=True):
    """What the bundle is made of and where it comes from."""

    format: Annotated[int, msgspec.Meta(ge=1, le=1)]
    problem: str
    data: dict[str, Any]
    code_commit: str
    lock_sha256: str
    seed: int
    files: dict[FileName, FileEntry]


class Signature(msgspec.Struct, frozen=True):
    """What a request must hold and how a score becomes a decision.

    Binary: score > threshold. Multiclass: the likeliest of `classes`. Regression: none.
    """

    problem: str
    features: Annotated[list[Feature], msgspec.Meta(min_length=1)]
    key: list[str]
    time: str | None
    threshold: float
    label: str
    task: Literal["binary", "multiclass", "regression"] = "binary"
    classes: list[str] = []
    calibration: Calibrator | None = None


class Golden(msgspec.Struct, frozen=True):
    """Rows with the scores that this model must give, bit for bit."""

    rows: list[dict[str, Scalar]]
    scores: list[float | list[float]]


class Bundle(msgspec.Struct, frozen=True):
    """A bundle whose files were all found to be what the manifest says."""

    path: Path
    sha256: str
    manifest: Manifest
    signature: Signature
    golden: Golden
    model: bytes


def read_bundle(path: Path, expected_sha256: str | None = None) -> Bundle:
    """Read the bundle in folder `path`.

    Parameters
    ----------
    path : Path
        Folder with manifest.json and the files it lists; those in `LEFT_OUT` alone may be absent.
    expected_sha256 : str or None
        SHA-256 of manifest.json that the caller wants; None takes any bundle that is whole.

    Returns
    -------
    Bundle
        Parsed and checked; `model` is the text of the LightGBM model as bytes.

    Raises
    ------
    BundleError
        A file is missing or not listed, its size or hash differs, or its content is not a
        bundle's.
    """
    path = Path(path)
    manifest_bytes = _read(path / MANIFEST)
    sha256 = hashlib.sha256(manifest_bytes).hexdigest()
    if expected_sha256 is not None and sha256 != expected_sha256:
        raise _damaged(path / MANIFEST, f"SHA-256 {expected_sha256}", sha256)
    manifest = _parse(manifest_bytes, Manifest, path / MANIFEST)
    for name in REQUIRED:
        if name not in manifest.files:
            raise _damaged(path / MANIFEST, f"{name} among its files", "no such entry")
    for name in sorted(os.listdir(path)):
        if name != MANIFEST and name not in manifest.files:
            raise _damaged(path / name, "only files that the manifest lists", "another one")
    # The bytes that were hashed are the bytes that are parsed: no second read in between.
    contents = {name: _checked(path / name, entry) for name, entry in manifest.files.items()}
    signature = _parse(contents["signature.json"], Signature, path / "signature.json")
    golden = _parse(contents["golden.json"], Golden, path / "golden.json")
    _check_signature(signature, manifest, path / "signature.json")
    if len(golden.rows) != len(golden.scores):
        expected = f"{len(golden.rows)} scores"
        raise _damaged(path / "golden.json", expected, f"{len(golden.scores)} scores")
    return Bundle(path, sha256, manifest, signature, golden, contents["model.txt"])


def _checked(file: Path, entry: FileEntry) -> bytes:
    if file.name in LEFT_OUT and not file.exists():
        return b""
    content = _read(file)
    if len(content) != entry.size_bytes:
        raise _damaged(file, f"{entry.size_bytes} bytes", f"{len(content)} bytes")
    found = hashlib.sha256(content).hexdigest()
    if found != entry.sha256:
        raise _damaged(file, f"SHA-256 {entry.sha256}", found)
    return content


def _check_signature(signature: Signature, manifest: Manifest, file: Path) -> None:
    if signature.problem != manifest.problem:
        raise _damaged(file, f"problem {manifest.problem!r}", repr(signature.problem))
    names = [feature["name"] for feature in signature.features]
    if len(set(names)) != len(names):
        raise _damaged(file, "each feature once", "a feature named twice")
    calibration = signature.calibration
    if calibration is not None and signature.task != "binary":
        if len(calibration.offsets) != len(signature.classes) or signature.task == "regression":
            expected = f"a calibrator for a {signature.task} of {len(signature.classes)} classes"
            raise _damaged(file, expected, calibration.kind)
    elif calibration is not None and calibration.kind == "softmax":
        raise _damaged(file, "a calibrator for one probability", calibration.kind)
    for feature in signature.features:
        categories = feature.get("categories", [])
        if len(set(categories)) != len(categories):
            where = f"categories of {feature['name']!r}"
            raise _damaged(file, f"{where} without repetition", "a category named twice")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _damaged(file, "a readable file", error.strerror or "an error") from error


def _parse(content: bytes, kind: type[T], file: Path) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _damaged(file, f"JSON of a bundle's {file.stem}", str(error)) from error


def _damaged(file: Path, expected: str, found: str) -> BundleError:
    return BundleError(expected, found, str(file), "train or fetch the bundle again")
