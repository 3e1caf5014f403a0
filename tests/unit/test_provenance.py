"""Provenance: the same code has the same name, other code another."""

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from retrue.provenance import code_commit, lock_sha256


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("a = 1\n")
    (tmp_path / "old name.py").write_text("moved = True\n" * 20)
    (tmp_path / ".gitignore").write_text("state/\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_a_clean_tree_is_its_commit(repo: Path) -> None:
    assert code_commit(repo) == git(repo, "rev-parse", "HEAD")
    (repo / "state").mkdir()
    (repo / "state" / "model.txt").write_text("ignored")
    assert code_commit(repo) == git(repo, "rev-parse", "HEAD")


def test_each_edit_gets_a_name_and_the_same_edit_the_same_one(repo: Path) -> None:
    head = git(repo, "rev-parse", "HEAD")
    names = []
    (repo / "code.py").write_text("a = 2\n")
    names.append(code_commit(repo))
    git(repo, "add", "code.py")
    assert code_commit(repo) == names[0], "staging changes no code"
    (repo / "code.py").write_text("a = 3\n")
    names.append(code_commit(repo))
    (repo / "new file.py").write_text("b = 1\n")
    names.append(code_commit(repo))
    (repo / "new file.py").write_text("b = 2\n")
    names.append(code_commit(repo))
    (repo / "code.py").unlink()
    names.append(code_commit(repo))
    git(repo, "mv", "old name.py", "ne\u00fcer name.py")
    names.append(code_commit(repo))
    assert len(set(names)) == len(names)
    assert all(name.startswith(f"{head}-dirty-") for name in names)


def test_it_matters_which_of_two_equal_files_was_renamed(repo: Path) -> None:
    (repo / "twin.py").write_text((repo / "old name.py").read_text())
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "second")
    names = set()
    for twin in ("twin.py", "old name.py"):
        git(repo, "mv", twin, "new.py")
        names.add(code_commit(repo))
        git(repo, "mv", "new.py", twin)
    assert len(names) == 2


def test_a_folder_below_the_top_names_the_whole_tree(repo: Path) -> None:
    (repo / "below").mkdir()
    (repo / "code.py").write_text("a = 2\n")
    assert code_commit(repo / "below") == code_commit(repo)


def test_a_git_hook_around_us_changes_nothing(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_commit(repo)
    monkeypatch.setenv("GIT_DIR", str(repo / "elsewhere"))
    assert code_commit(repo) == before


def test_no_git_no_commit_no_folder_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code_commit(tmp_path / "absent") == "unknown"
    git(tmp_path, "init", "-q")
    assert code_commit(tmp_path) == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code_commit(tmp_path) == "unknown"


def test_the_lock_is_named_by_its_bytes(tmp_path: Path) -> None:
    assert lock_sha256(tmp_path) == "unknown"
    (tmp_path / "uv.lock").write_bytes(b"version = 1\n")
    assert lock_sha256(tmp_path) == sha256(b"version = 1\n").hexdigest()
