"""API keys of a problem's service: made once, kept as hashes, and one of Retrue's own."""

from __future__ import annotations

import fcntl
import json
import re
import secrets
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hmac import compare_digest
from typing import TYPE_CHECKING

import msgspec

from retrue.errors import ConfigError
from retrue.files import write_atomically
from retrue.home import serving_dir
from retrue.serving.keys import Key, KeyList, Scope, hash_key, read_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

OWN = "retrue"
"""The key that Retrue's own requests carry: on the list like any other, and revoked like it."""
# The server of a container runs as another user. What it may read are hashes of 256 random bits.
_LIST_MODE = 0o644


def keys_file(problem: str) -> Path:
    """The list of hashes, alone in its folder, which a container gets to see read-only.

    The folder and not the file: a file that is replaced would stay the old one inside.
    """
    path = serving_dir(problem) / "keys" / "keys.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def listed(problem: str) -> tuple[Key, ...] | None:
    """What is stored of each key; None while the service asks for none."""
    with suppress(FileNotFoundError):
        return read_keys(keys_file(problem))
    return None


def add(problem: str, name: str, scopes: Sequence[Scope]) -> str:
    """Make a key. It is in force within a second, and with the first one keys are asked for.

    Parameters
    ----------
    problem : str
        Whose service.
    name : str
        Who or what will use it: 1-64 letters, digits, `-`, `_` or `.`.
    scopes : sequence of Scope
        What it may do, at least one.

    Returns
    -------
    str
        The key, which is stored nowhere.

    Raises
    ------
    ConfigError
        The name is taken or malformed, or the list is damaged.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise ConfigError(
            "1-64 letters, digits, - _ or .", repr(name), "name of a key", "rename it"
        )
    with _locked(problem):
        keys = listed(problem) or ()
        if name == OWN or any(key.name == name for key in keys):
            remedy = f"choose another, or `retrue keys revoke {problem} {name}` first"
            raise ConfigError("a new name", f"{name!r}, which is taken", "name of a key", remedy)
        key, entry = _make(name, scopes)
        _write(problem, (*keys, entry))
    own_headers(problem)
    return key


def revoke(problem: str, name: str) -> None:
    """Take a key from the list: refused within a second. Retrue's own is made anew at once.

    Raises
    ------
    ConfigError
        There is no such key, or the list is damaged.
    """
    with _locked(problem):
        keys = listed(problem) or ()
        left = tuple(key for key in keys if key.name != name)
        if len(left) == len(keys):
            found = ", ".join(key.name for key in keys) or "no keys"
            remedy = f"see `retrue keys list {problem}`"
            raise ConfigError(f"a key named {name!r}", found, problem, remedy)
        _write(problem, left)
    own_headers(problem)


def own_headers(problem: str) -> dict[str, str]:
    """What Retrue's own requests (replay, golden rows) carry: nothing while no keys are asked for.

    The key is in a file that only this user may read, outside of what containers see.
    """
    with _locked(problem):
        keys = listed(problem)
        if keys is None:
            return {}
        file = serving_dir(problem) / "own.key"
        own = file.read_text(encoding="ascii") if file.is_file() else ""
        if not any(key.name == OWN and _fits(own, key) for key in keys):
            own, entry = _make(OWN, tuple(Scope))
            write_atomically(file, own)
            _write(problem, (*(key for key in keys if key.name != OWN), entry))
        return {"Authorization": f"Bearer {own}"}


def _make(name: str, scopes: Sequence[Scope]) -> tuple[str, Key]:
    # The prefix lets scanners for secrets find it where it does not belong.
    key, salt = f"retrue_{secrets.token_urlsafe(32)}", secrets.token_bytes(16)
    entry = Key(
        name=name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        scopes=tuple(dict.fromkeys(scopes)),
        salt=salt.hex(),
        sha256=hash_key(key.encode(), salt).hex(),
    )
    return key, entry


def _fits(key: str, entry: Key) -> bool:
    found = hash_key(key.encode(), bytes.fromhex(entry.salt))
    return compare_digest(found, bytes.fromhex(entry.sha256))


def _write(problem: str, keys: tuple[Key, ...]) -> None:
    content = json.dumps(msgspec.to_builtins(KeyList(keys)), indent=1)
    write_atomically(keys_file(problem), content, _LIST_MODE)


@contextmanager
def _locked(problem: str) -> Iterator[None]:
    with (keys_file(problem).parent.parent / "keys.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
