"""On what a model was made: Python, machine and installed packages."""

import os
import platform
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict

MAIN = (
    "retrue",
    "lightgbm",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "mlflow",
    "prefect",
    "great-expectations",
    "deltalake",
)
"""What a reader asks for first: what fits, what reads, what tracks."""


class Environment(BaseModel):
    """Where a run took place; a container's image is named by its deployment."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    python: str
    platform: str
    machine: str
    cpus: int
    packages: dict[str, str]
    """All that is installed, by normalised name (PEP 503), with its version."""

    @property
    def main_packages(self) -> dict[str, str]:
        """Those of `MAIN` that are there."""
        return {name: self.packages[name] for name in MAIN if name in self.packages}


def environment() -> Environment:
    """Describe the present process."""
    return Environment(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        platform=platform.platform(),
        machine=platform.machine(),
        cpus=os.cpu_count() or 1,
        packages=_packages(),
    )


def _packages() -> dict[str, str]:
    """Installed distributions by the names of their folders.

    `importlib.metadata` parses each one's METADATA for the same two words: 0.1 s for 220 packages.
    """
    found: dict[str, str] = {}
    for entry in reversed(sys.path):  # the first on the path is the one that is imported
        for folder in Path(entry or ".").glob("*.dist-info"):
            name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
            found[name.lower().replace("_", "-").replace(".", "-")] = version
    return dict(sorted(found.items()))
