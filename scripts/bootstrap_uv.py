"""Put the uv that uv.lock pins at `.uv/bin/uv`; runs on a bare Python, standard library only."""

import hashlib
import io
import platform
import subprocess
import sys
import tomllib
import urllib.request
import venv
import zipfile
from pathlib import Path
from typing import Any

FOLDER = Path(".uv")


def pinned() -> dict[str, Any]:
    """The lock's entry for uv itself."""
    packages: list[dict[str, Any]] = tomllib.loads(Path("uv.lock").read_text())["package"]
    return next(package for package in packages if package["name"] == "uv")


def by_pip(version: str) -> None:
    """The usual way; pip knows the user's index and certificates."""
    venv.create(FOLDER, with_pip=True, clear=True)
    pip = [str(FOLDER / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"uv=={version}"], check=True)


def by_hand(version: str, wheels: list[dict[str, Any]]) -> None:
    """For a Python without ensurepip (Debian's): the wheel's program, checked by its hash."""
    tag = f"manylinux_2_17_{platform.machine()}"
    wheel = next(one for one in wheels if tag in one["url"])
    with urllib.request.urlopen(wheel["url"], timeout=300) as answer:
        payload = answer.read()
    if f"sha256:{hashlib.sha256(payload).hexdigest()}" != wheel["hash"]:
        raise SystemExit(f"{wheel['url']}: not the file that uv.lock pins; try another network")
    program = FOLDER / "bin" / "uv"
    program.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        program.write_bytes(archive.read(f"uv-{version}.data/scripts/uv"))
    program.chmod(0o755)


if __name__ == "__main__":
    entry = pinned()
    try:
        import ensurepip  # noqa: F401 - asked only whether it is there
    except ImportError:
        by_hand(entry["version"], entry["wheels"])
    else:
        by_pip(entry["version"])
    print(f"uv {entry['version']} is at {FOLDER / 'bin' / 'uv'}", file=sys.stderr)
