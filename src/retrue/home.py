"""Where state lives: everything Retrue writes is under RETRUE_HOME."""

import os
from pathlib import Path


def home() -> Path:
    """The state folder: RETRUE_HOME, or `.retrue` in the working directory (absolute)."""
    return Path(os.environ.get("RETRUE_HOME", ".retrue")).absolute()


def lake_dir(problem: str) -> Path:
    """Delta tables of one problem, and its pages.

    `data` (linked), `tables/` and `batches/` (sources), `quarantine`, `predictions`, `labels`,
    `explanations` (JSON, one folder a bundle).
    """
    return home() / "lake" / problem


def bundles_dir(problem: str) -> Path:
    """Content-addressed model bundles of one problem, named by manifest SHA-256."""
    return home() / "bundles" / problem


def serving_dir(problem: str) -> Path:
    """Proxy configuration, slots and prediction logs of one problem."""
    return home() / "serving" / problem


def run_dir() -> Path:
    """Process records (pid, start time, port) and logs of the local stack."""
    return home() / "run"


def ledger_url() -> str:
    """SQLAlchemy URL of the ledger: RETRUE_LEDGER_URL, or SQLite under RETRUE_HOME."""
    return os.environ.get("RETRUE_LEDGER_URL", f"sqlite:///{home() / 'ledger.db'}")
