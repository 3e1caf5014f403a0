"""API keys as the server sees them: salted hashes in a file that it looks at all the time."""

import logging
import os
from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Annotated

import msgspec

from retrue.errors import ConfigError


class Scope(StrEnum):
    """What a key may do: ask for scores, send labels, or only read; each may read."""

    PREDICT = "predict"
    FEEDBACK = "feedback"
    OBSERVE = "observe"


_Salt = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
_LOGGER = logging.getLogger("retrue.serving")


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key without the key: what is stored of it."""

    name: str
    created: str
    """ISO 8601, UTC."""
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1)]
    salt: _Salt
    sha256: _Sha256


class KeyList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    keys: tuple[Key, ...]


def hash_key(key: bytes, salt: bytes) -> bytes:
    """Salted SHA-256 of a key.

    A slow hash makes guessing dear where people choose the secret. Our keys are 256 random bits,
    which nobody guesses at any speed; a slow hash would only let strangers burn our processor.
    """
    return sha256(salt + key).digest()


def read_keys(path: Path) -> tuple[Key, ...]:
    """Read the keys of a list.

    Raises
    ------
    ConfigError
        The file is there and no key list; it is never taken for an empty one.
    FileNotFoundError
        There is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=KeyList).keys
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        found = error.strerror or "an error" if isinstance(error, OSError) else "another content"
        remedy = "see who changed it; move it away and add keys again with `retrue keys add`"
        raise ConfigError("a readable list of API keys", found, str(path), remedy) from None


class Keyring:
    """The keys in force: none wanted until the file is there, and wanted ever after.

    That it vanishes or gets damaged must not open a server that was closed: then no key fits.

    Parameters
    ----------
    path : Path or None
        The list; None for a server without keys.

    Raises
    ------
    ConfigError
        The list is damaged from the start.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._keys: Sequence[tuple[bytes, bytes, frozenset[str]]] = ()
        self._verified: dict[bytes, frozenset[str]] = {}
        self._seen: tuple[int, int, int] | None = None
        self.are_wanted = False
        """Whether requests need a key."""
        if path is not None and path.exists():
            read_keys(path)
        self.look()

    def scopes(self, key: bytes) -> frozenset[str] | None:
        """What a key may do; None for one that is not in force.

        A key is compared with all of them, each in constant time. One that fitted is remembered by
        its hash until the list changes, so that it costs one hash from then on.
        """
        digest = sha256(key).digest()
        found = self._verified.get(digest)
        if found is None:
            for salt, expected, scopes in self._keys:
                if compare_digest(hash_key(key, salt), expected):
                    found = scopes
            if found is not None:
                self._verified[digest] = found
        return found

    def look(self) -> None:
        """Take the list as it is now, if it changed."""
        if self._path is None:
            return
        try:
            status = os.stat(self._path)
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen == self._seen:
                return
            keys = read_keys(self._path)
            self._seen = seen
        except (OSError, ConfigError) as error:
            missing = isinstance(error, FileNotFoundError)
            if missing and not self.are_wanted:
                return
            if self._keys or not self.are_wanted:
                _LOGGER.error("every key is refused: %s", "no list" if missing else error)
            keys, self._seen = (), None
        self._verified = {}
        self.are_wanted = True
        self._keys = tuple(
            (bytes.fromhex(key.salt), bytes.fromhex(key.sha256), frozenset(key.scopes))
            for key in keys
        )
