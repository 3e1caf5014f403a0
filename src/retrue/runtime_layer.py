"""The runtime layer of a serving image, made on the host: packages by hash, code, OpenMP."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import retrue
from retrue.errors import DeployError
from retrue.home import home
from retrue.openmp import bundled_libgomp

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
    for file in [requirements, *code_files()]:
        name = "requirements.txt" if file == requirements else str(file.relative_to(_package()))
        content = file.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def code_files() -> list[Path]:
    """Sources that go into the image: the server and the errors it raises, nothing else."""
    package = _package()
    served = sorted((package / "serving").rglob("*.py"))
    return [package / "__init__.py", package / "errors.py", *served]


def write_context(out: io.BufferedIOBase, layer: Path, bundle: Path, dockerfile: Path) -> None:
    """Write the build context as a tar: Dockerfile, `runtime/` and `bundle/`.

    Owner, times and order are fixed, so that the same content hits the builder's cache; the
    drift reference stays out, as the server never reads it.
    """
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as context:
        for name, path in (("Dockerfile", dockerfile), *_context_files(layer, bundle)):
            info = context.gettarinfo(str(path), arcname=name)
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = "root"
            info.mode = 0o755 if info.isdir() else 0o644
            if info.isdir():
                context.addfile(info)
            else:
                with path.open("rb") as content:
                    context.addfile(info, content)


def _context_files(layer: Path, bundle: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(layer.rglob("*")):
        yield f"runtime/{path.relative_to(layer).as_posix()}", path
    for path in sorted(bundle.iterdir()):
        if path.is_file() and path.name != "reference.parquet":
            yield f"bundle/{path.name}", path


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
