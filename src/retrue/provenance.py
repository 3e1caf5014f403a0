"""Which code and which lock file made something."""

import os
import subprocess
from hashlib import sha256
from pathlib import Path

UNKNOWN = "unknown"


def code_commit(root: Path) -> str:
    """Name the commit of the code in `root`: its hash, `HASH-dirty-DIGEST`, or "unknown".

    DIGEST (12 hex digits) covers path and content of every file that differs from the commit,
    untracked files included and ignored ones not: the same edits give the same name. "unknown"
    where there is no git, no commit yet, or git refuses the folder.
    """
    # One call answers both questions; without optional locks it never writes to the index.
    status = _git(root, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all")
    if status is None:
        return UNKNOWN
    fields = status.split("\0")
    head = next((f.split()[2] for f in fields if f.startswith("# branch.oid ")), "(initial)")
    if head == "(initial)":
        return UNKNOWN
    changed = _changed_paths(fields)
    if not changed:
        return head
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None:
        return UNKNOWN
    digest = sha256()
    top = top.removesuffix("\n")
    for path in sorted(changed):
        entry = f"{path}\0{_content_sha256(Path(top) / path)}\0"
        digest.update(entry.encode(errors="surrogateescape"))
    return f"{head}-dirty-{digest.hexdigest()[:12]}"


def lock_sha256(root: Path) -> str:
    """SHA-256 (hex) of the bytes of `root/uv.lock`, or "unknown" without one."""
    lock = root / "uv.lock"
    return sha256(lock.read_bytes()).hexdigest() if lock.is_file() else UNKNOWN


def lock_text(root: Path, sha256_wanted: str) -> bytes | None:
    """Content of `root/uv.lock` if it still is the one with that hash; else None."""
    lock = root / "uv.lock"
    content = lock.read_bytes() if lock.is_file() else b""
    return content if sha256(content).hexdigest() == sha256_wanted else None


def provenance(root: Path) -> dict[str, str]:
    """Both of them, by the names they have in a bundle's manifest."""
    return {"code_commit": code_commit(root), "lock_sha256": lock_sha256(root)}


def _git(root: Path, *arguments: str) -> str | None:
    # Within a git hook these variables point at another repository or index.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],  # noqa: S607 - the git the user has
            capture_output=True,
            check=True,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="surrogateescape")


def _changed_paths(fields: list[str]) -> set[str]:
    """Paths of `git status --porcelain=v2 -z`, relative to the top of the work tree."""
    paths = set()
    rest = iter(fields)
    # Words before the path: 8 in an ordinary entry, 9 in a renamed one, 10 in an unmerged one.
    words = {"?": 1, "1": 8, "2": 9, "u": 10}
    for field in rest:
        kind = field[:1]
        if kind in words:
            paths.add(field.split(" ", words[kind])[-1])
        if kind == "2":
            paths.add(next(rest))  # A rename names its old path in a field of its own.
    return paths


def _content_sha256(path: Path) -> str:
    if path.is_symlink():
        return f"link {os.readlink(path)}"
    if not path.is_file():
        return "gone"
    executable = "x" if os.access(path, os.X_OK) else "-"
    with path.open("rb") as file:
        digest = sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return executable + digest.hexdigest()
