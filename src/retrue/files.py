"""Files that are either the old one or the new one, never half of each."""

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace `path` by `text` (UTF-8) in one step, on disk before it returns; makes folders.

    A reader, or a restart after a power cut, sees the old text or the new one. `mode` says who
    may read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as out:
            os.fchmod(fd, mode)
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def tail(path: Path, n_lines: int = 5) -> str:
    """Last `n_lines` non-empty lines of a log joined by ` | `; "(no log)" when there are none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    kept = [line.strip() for line in lines if line.strip()][-n_lines:]
    return " | ".join(kept) or "(no log)"
