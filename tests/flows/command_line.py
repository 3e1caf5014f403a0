"""The command line as users call it."""

import subprocess
import sys
from pathlib import Path


def retrue(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run `retrue` in a project folder."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "retrue"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
