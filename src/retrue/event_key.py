"""The key that signs requests of other systems: one a state folder, read by its user alone."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from retrue.errors import StackError
from retrue.files import write_atomically
from retrue.home import home

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "RETRUE_EVENT_KEY"
"""Of the environment; goes before the file."""

_MIN_LENGTH = 32
"""Characters; 128 bits as hexadecimal digits, the least that NIST SP 800-107 5.3.4 asks for."""


def key_file() -> Path:
    """Where the key is, unless the environment has it."""
    return home() / "events.key"


def ensure() -> None:
    """Make a key where there is none."""
    if not os.environ.get(VARIABLE) and not key_file().exists():
        write_atomically(key_file(), secrets.token_hex(32))


def read() -> bytes:
    """The key.

    Raises
    ------
    StackError
        There is none, it is shorter than 32 characters, or others may read its file.
    """
    found = os.environ.get(VARIABLE, "")
    where = f"the environment variable {VARIABLE}"
    if not found:
        path = key_file()
        where = str(path)
        try:
            mode = path.stat().st_mode
            found = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise StackError(
                "a key for requests of other systems", str(error), where, "run `retrue up`"
            ) from error
        if mode & 0o077:
            raise StackError(
                "a key that its owner alone may read",
                f"mode {mode & 0o777:o}",
                where,
                f"chmod 600 {path}, and replace the key if others could have read it",
            )
    if len(found) < _MIN_LENGTH:
        raise StackError(
            f"a key of at least {_MIN_LENGTH} characters",
            f"{len(found)}",
            where,
            "remove it and run `retrue up`, or give a longer one",
        )
    return found.encode()
