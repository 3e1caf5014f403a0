"""The base image from Debian packages, for machines without a registry: no shell, about 45 MB.

mmdebstrap fetches and checks the packages (its `extract` variant runs none of their scripts,
so neither root nor a chroot is needed); this module keeps what Python and OpenMP need of them.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from retrue.apt_sources import debian_sources
from retrue.base_contents import DROPPED, KEPT, WRITTEN
from retrue.errors import DeployError
from retrue.image_archive import tree_entries, write_archive, write_layer

TAG = "retrue/base:bookworm-py311"
SUITE = "bookworm"
_CONFIG = {"Env": ["PATH=/usr/bin", "LANG=C.UTF-8"]}
PACKAGES = ("python3.11-minimal", "libpython3.11-stdlib", "libgomp1", "libstdc++6")


def build_tree(target: Path, deadline_s: float = 300.0) -> None:
    """Make the root file system of the base image in the empty folder `target`.

    Parameters
    ----------
    target : Path
        Existing empty folder.
    deadline_s : float
        Limit of each of the commands run (apt-get, mmdebstrap), seconds.

    Raises
    ------
    DeployError
        apt-get, dpkg-deb or perl is missing, or the packages cannot be fetched.
    """
    for program in ("apt-get", "dpkg-deb", "perl"):
        if shutil.which(program) is None:
            raise DeployError(
                f"{program} on PATH",
                "none",
                "base image",
                "let Docker pull the base image, or use serving.target: process",
            )
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="packages-") as scratch:
        work = Path(scratch)
        mmdebstrap = shutil.which("mmdebstrap") or _fetch_mmdebstrap(work, deadline_s)
        extracted = work / "root"
        sources = debian_sources(Path("/etc/apt"), SUITE)
        # Without sources mmdebstrap takes Debian's own archive, security updates included.
        given = []
        if sources:
            given = [str(work / "debian.list")]
            (work / "debian.list").write_text("\n".join(sources) + "\n")
        options = work / "apt.conf"
        options.write_text(_network_options() + '\nAcquire::Languages "none";\n')
        _run(
            [
                "perl",
                mmdebstrap,
                "--mode=chrootless",
                "--variant=extract",
                "--skip=cleanup/apt",
                f"--architectures={_architecture()}",
                f"--include={','.join(PACKAGES)}",
                f"--aptopt={options}",
                SUITE,
                str(extracted),
                *given,
            ],
            deadline_s,
            work,
        )
        _keep(extracted, target)
        _record_packages(extracted / "var/cache/apt/archives", target)
    for name, text in WRITTEN.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text)
    for name in ("tmp", "proc", "sys", "dev", "opt/retrue", "var/lib/retrue"):
        (target / name).mkdir(parents=True, exist_ok=True)
    (target / "usr/bin/python3").symlink_to("python3.11")
    _compile(target)


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _network_options() -> str:
    """Proxies, certificates and dates as the machine's apt has them; mmdebstrap has none."""
    argv = ["apt-config", "dump"]
    dump = subprocess.run(argv, capture_output=True, text=True, check=False)
    kept = re.compile(r"Acquire::(https?|Retries|Check-)", re.IGNORECASE)
    return "\n".join(line for line in dump.stdout.splitlines() if kept.match(line))


def _fetch_mmdebstrap(work: Path, deadline_s: float) -> str:
    """Download and unpack mmdebstrap; apt's lists and cache are private, so root is not needed."""
    state, cache = work / "state", work / "cache"
    (state / "lists/partial").mkdir(parents=True)
    (cache / "archives/partial").mkdir(parents=True)
    apt = ["apt-get", "-q", "-o", f"Dir::State={state}", "-o", f"Dir::Cache={cache}"]
    apt += ["-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none"]
    apt += ["-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false"]
    _run([*apt, "update"], deadline_s, work)
    wanted = ["mmdebstrap"]
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists():
        wanted.append("debian-archive-keyring")
    _run([*apt, "download", *wanted], deadline_s, work)
    for package in work.glob("*.deb"):
        _run(["dpkg-deb", "-x", str(package), str(work / "tools")], deadline_s, work)
    return str(work / "tools/usr/bin/mmdebstrap")


def _run(argv: Sequence[str], deadline_s: float, work: Path) -> None:
    where = f"base image, {Path(argv[0]).name if argv[0] != 'perl' else 'mmdebstrap'}"
    remedy = "check this machine's apt sources and network, or use serving.target: process"
    try:
        done = subprocess.run(
            argv,
            cwd=work,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DeployError(f"an end within {deadline_s:g} s", "none", where, remedy) from error
    if done.returncode:
        # Addresses of mirrors may hold passwords: never shown.
        said = re.sub(r"\S+://\S+", "(address)", f"{done.stdout}\n{done.stderr}").strip()
        last = " | ".join(said.splitlines()[-3:])
        raise DeployError("success", f"exit code {done.returncode}: {last}", where, remedy)


def _keep(extracted: Path, target: Path) -> None:
    for folder, folders, names in os.walk(extracted):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in names + links:
            source = Path(folder) / name
            relative = source.relative_to(extracted).as_posix()
            kept = any(fnmatch(relative, pattern) for pattern in KEPT)
            if kept and not any(fnmatch(relative, pattern) for pattern in DROPPED):
                place = target / relative
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, place, follow_symlinks=False)


def _record_packages(archives: Path, target: Path) -> None:
    """Note each package where scanners look for it, with the hash of its file as in apt's lists."""
    folder = target / "var/lib/dpkg/status.d"
    folder.mkdir(parents=True)
    for package in sorted(archives.glob("*.deb")):
        argv = ["dpkg-deb", "-f", str(package)]
        fields = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        sha256 = hashlib.sha256(package.read_bytes()).hexdigest()
        (folder / package.name.split("_")[0]).write_text(f"{fields.rstrip()}\nSHA256: {sha256}\n")


def _compile(target: Path) -> None:
    """Compile the standard library with the image's own Python: a read-only image never could.

    Hash-based and unchecked, and with a fixed hash seed, so that the same source gives the same
    files.
    """
    triple = next(target.glob("usr/lib/*-linux-gnu*")).name
    loader = next(target.glob("lib64/ld-linux-*"), None) or next(target.glob("lib/ld-linux-*"))
    loader = target / os.path.relpath(os.readlink(loader), "/") if loader.is_symlink() else loader
    libraries = f"{target}/lib/{triple}:{target}/usr/lib/{triple}"
    python = [str(loader), "--library-path", libraries, str(target / "usr/bin/python3.11")]
    how = ["--invalidation-mode", "unchecked-hash", "-s", str(target)]
    subprocess.run(
        [*python, "-S", "-m", "compileall", "-q", "-j", "0", *how, f"{target}/usr/lib/python3.11"],
        env={
            "PYTHONHOME": str(target / "usr"),
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        check=False,
        timeout=120,
    )


def build_archive(folder: Path, deadline_s: float = 300.0) -> Path:
    """Build the base image as a docker-archive in `folder`, ready for `docker load`.

    Returns
    -------
    Path
        The archive; the caller removes it. The same packages give the same image id.

    Raises
    ------
    DeployError
        As `build_tree`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="base-") as scratch:
        tree = Path(scratch) / "tree"
        tree.mkdir()
        build_tree(tree, deadline_s)
        layer = write_layer(tree_entries(tree), Path(scratch) / "layer.tar")
        archive = folder / "base-image.tar"
        with archive.open("wb") as out:
            write_archive(out, _CONFIG, _architecture(), [layer], tag=TAG)
    return archive


if __name__ == "__main__":
    from retrue.images import build_base_image

    sys.stdout.write(f"{TAG} {build_base_image()}\n")
