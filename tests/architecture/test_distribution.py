"""What is shipped: the wheel runs without the checkout, the image gets what the lock says."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = str(Path(sys.executable).with_name("uv"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [UV, "build", "--wheel", "--no-build-isolation", "--quiet", "--out-dir"]
    subprocess.run(
        [*build, str(folder), str(ROOT)],
        check=True,
        env={"VIRTUAL_ENV": sys.prefix, "PATH": "/usr/bin:/bin"},
    )
    (archive,) = folder.glob("*.whl")
    unpacked = folder / "unpacked"
    zipfile.ZipFile(archive).extractall(unpacked)
    return unpacked


def test_the_wheel_alone_has_all_that_runs(wheel: Path, tmp_path: Path) -> None:
    code = (
        "import flows.cli, flows.deployments, retrue, tasks.service\n"
        "from retrue import image_assembly, images\n"
        "print(retrue.__file__, image_assembly._dockerfile())\n"
    )
    environment = {"PYTHONPATH": str(wheel), "RETRUE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    module, dockerfile = done.stdout.split()
    assert Path(module).is_relative_to(wheel)
    assert Path(dockerfile).is_relative_to(wheel)


def test_the_image_installs_what_the_lock_says() -> None:
    export = [UV, "export", "--only-group", "serving", "--locked", "--no-emit-project", "--quiet"]
    export += [part for name in ("numpy", "scipy", "narwhals") for part in ("--prune", name)]
    done = subprocess.run(
        [*export, "--no-header"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    kept = (ROOT / "src" / "retrue" / "serving" / "requirements.txt").read_text()
    assert kept.splitlines() == done.stdout.splitlines()
