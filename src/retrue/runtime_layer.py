"""The runtime layer of a serving image, made on the host: packages by hash, code, OpenMP."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import retrue
from retrue.errors import DeployError
from retrue.home import home
from retrue.image_archive import Entry, tree_entries
from retrue.openmp import bundled_libgomp
from retrue.serving.bundle import LEFT_OUT

# Image platforms by the engine's name for them; manylinux_2_28 is what bookworm runs.
_PLATFORMS = {
    "x86_64": "x86_64-manylinux_2_28",
    "amd64": "x86_64-manylinux_2_28",
    "aarch64": "aarch64-manylinux_2_28",
    "arm64": "aarch64-manylinux_2_28",
}
_PYTHON = "3.11"


def runtime_layer(requirements: Path, architecture: str, deadline_s: float = 180.0) -> Path:
    """The files of `/opt/retrue` below the model: `site/` and `lib/`; made once, then reused.

    Parameters
    ----------
    requirements : Path
        Serving requirements with a hash for each file.
    architecture : str
        The Docker engine's, e.g. `x86_64`.
    deadline_s : float
        Limit of the installation, seconds.

    Returns
    -------
    Path
        Folder under RETRUE_HOME named by the hash of all that went into it.

    Raises
    ------
    DeployError
        A package cannot be fetched or has another hash than the requirements say.
    """
    key = layer_key(requirements, architecture)
    place = home() / "runtime" / key
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".building-") as scratch:
        building = Path(scratch) / "layer"
        site = building / "site"
        site.mkdir(parents=True)
        _install(requirements, site, architecture, deadline_s)
        _drop_scripts(site)
        for file in code_files():
            target = site / "retrue" / file.relative_to(_package())
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        _compile(site)
        (building / "lib").mkdir()
        if (library := bundled_libgomp()) is not None:
            shutil.copyfile(library, building / "lib/libgomp.so.1")
        try:
            os.replace(building, place)
        except OSError:
            # Another deploy made the same layer meanwhile.
            if not place.is_dir():
                raise
    return place


def layer_key(requirements: Path, architecture: str) -> str:
    """First 16 digits of the SHA-256 of all that the runtime layer is made from."""
    digest = hashlib.sha256(f"{architecture} {_PYTHON}\n".encode())
    library = bundled_libgomp()
    made_by = [Path(__file__), *([library] if library else [])]
    for file in [requirements, *made_by, *code_files()]:
        is_code = file.is_relative_to(_package())
        name = str(file.relative_to(_package())) if is_code else file.name
        content = file.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def code_files() -> list[Path]:
    """Sources that go into the image: the server and the errors it raises, nothing else."""
    package = _package()
    served = sorted(
        file for file in (package / "serving").rglob("*") if file.suffix in {".py", ".css", ".js"}
    )
    return [package / "__init__.py", package / "errors.py", *served]


def runtime_entries(layer: Path) -> list[Entry]:
    """The runtime layer as it lies in the image."""
    return [("opt", None), ("opt/retrue", None), *tree_entries(layer, "opt/retrue/")]


def bundle_entries(bundle: Path) -> list[Entry]:
    """The bundle as it lies in the image, without the drift reference: no server reads it."""
    kept = [
        path for path in sorted(bundle.iterdir()) if path.is_file() and path.name not in LEFT_OUT
    ]
    folders: list[Entry] = [(name, None) for name in ("opt", "opt/retrue", "opt/retrue/bundle")]
    return [*folders, *((f"opt/retrue/bundle/{path.name}", path) for path in kept)]


def _package() -> Path:
    return Path(retrue.__path__[0])


def _install(requirements: Path, site: Path, architecture: str, deadline_s: float) -> None:
    from uv import find_uv_bin

    platform = _PLATFORMS.get(architecture)
    if platform is None:
        raise DeployError(
            f"an engine of {', '.join(_PLATFORMS)}",
            architecture,
            "Docker engine",
            "use serving.target: process",
        )
    argv = [find_uv_bin(), "pip", "install", "--quiet", "--target", str(site), "--no-deps"]
    argv += ["--require-hashes", "--only-binary", ":all:", "--link-mode", "copy"]
    argv += ["--python-version", _PYTHON, "--python-platform", platform]
    argv += ["--python", sys.executable, "-r", str(requirements)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=deadline_s, check=False)
        found = done.stderr.strip().splitlines()[-1:] if done.returncode else None
    except subprocess.TimeoutExpired:
        found = [f"no end after {deadline_s:g} s"]
    if found is not None:
        raise DeployError(
            "serving packages with the hashes of the requirements",
            "".join(found) or "a failed installation",
            str(requirements),
            "check the network and the package index, or use serving.target: process",
        )


def _drop_scripts(site: Path) -> None:
    """Remove commands: nobody runs them, and their first line names this machine's Python."""
    shutil.rmtree(site / "bin", ignore_errors=True)
    for record in site.glob("*.dist-info/RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith("bin/")]
        record.write_text("".join(kept), encoding="utf-8")


def _compile(site: Path) -> None:
    """Compile where this Python is the image's version: a read-only image never could.

    With a fixed hash seed and unchecked hashes the same source gives the same files, so that the
    builder's cache knows them again.
    """
    if f"{sys.version_info.major}.{sys.version_info.minor}" != _PYTHON:
        return
    argv = [sys.executable, "-S", "-m", "compileall", "-q", "-s", str(site)]
    argv += ["-p", "/opt/retrue/site", "--invalidation-mode", "unchecked-hash", str(site)]
    # A package may carry templates that are not Python; the exit code says no more than that.
    subprocess.run(argv, env={"PYTHONHASHSEED": "0"}, capture_output=True, timeout=120, check=False)
