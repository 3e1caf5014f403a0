"""The HTML pages that were written about a problem."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from retrue.errors import DataError
from retrue.home import lake_dir


@dataclass(frozen=True)
class Written:
    """One page; its kind is the first word of its name."""

    kind: str
    path: Path
    written_at: str
    """ISO 8601 in UTC."""

    def facts(self) -> dict[str, str]:
        """As plain values."""
        return {"kind": self.kind, "written_at": self.written_at, "page": str(self.path)}


def of(problem: str, kind: str = "") -> list[Written]:
    """Pages of a problem, or those of one kind, newest first; empty before the first."""
    found = []
    for path in (lake_dir(problem) / "pages").glob("*.html"):
        written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()
        found.append(Written(path.stem.partition("-")[0], path, written_at))
    chosen = [one for one in found if kind in ("", one.kind)]
    return sorted(chosen, key=lambda one: (one.written_at, one.path.name), reverse=True)


def newest(problem: str, kind: str = "") -> Written:
    """The page that was written last.

    Raises
    ------
    DataError
        There is none.
    """
    found = of(problem, kind)
    if not found:
        others = sorted({one.kind for one in of(problem)})
        raise DataError(
            f"a page of kind {kind}" if kind else "a page",
            f"pages of {', '.join(others)}" if others else "none",
            str(lake_dir(problem) / "pages"),
            f"`retrue drift-check {problem}` writes one for each check",
        )
    return found[0]
