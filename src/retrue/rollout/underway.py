"""What a rollout under way leaves on disk, for whoever must end it; and the fence around it.

The proxy takes commands from anybody, so the fencing token is checked beside it: every change is
made under a file lock by the holder of the newest token seen (Kleppmann 2016, fencing tokens).
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrue.errors import LedgerError
from retrue.files import write_atomically
from retrue.home import serving_dir
from retrue.refs import Ref, ServingRef

# The longest work under the lock is the start of a container.
_LOCK_TIMEOUT_S = 60.0
_POLL_S = 0.02


class Underway(Ref):
    """A rollout that has begun to act: the new server, and the one that served before it."""

    stage: str
    new: ServingRef
    old: ServingRef | None


def under_way(problem_name: str) -> Underway | None:
    """The rollout that runs, or was cut off; None between rollouts."""
    try:
        text = _path(problem_name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return Underway.model_validate_json(text)


def note(problem_name: str, found: Underway) -> None:
    """Write down how far a rollout is."""
    write_atomically(_path(problem_name), found.model_dump_json(indent=2))


def forget(problem_name: str) -> None:
    """A rollout has ended, and nothing of it is left."""
    _path(problem_name).unlink(missing_ok=True)


@contextmanager
def fenced(problem_name: str, token: int) -> Iterator[None]:
    """Let the holder of `token` act on proxy, slots and files, alone, unless a newer one has.

    Parameters
    ----------
    problem_name : str
        Name of the problem.
    token : int
        The fencing token of a deployment; it is remembered when it is the newest.

    Raises
    ------
    LedgerError
        A newer token acted before, or another holder does not let go of the lock.
    """
    path = serving_dir(problem_name) / "fence"
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(fd, problem_name)
        newest = int(os.pread(fd, 20, 0) or 0)
        if token < newest:
            raise LedgerError(
                f"fencing token {newest} or a newer one",
                str(token),
                f"proxy of {problem_name}",
                "stop, another deployment took over; if the ledger was put back to an older state,"
                f" remove {path}",
            )
        if token > newest:
            # In one write of one length: it holds the old token or the new one, also after a kill.
            os.pwrite(fd, f"{token:020d}".encode(), 0)
            os.fsync(fd)
        yield
    finally:
        os.close(fd)  # the lock goes with it


def _lock(fd: int, problem_name: str) -> None:
    give_up = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > give_up:
                raise LedgerError(
                    f"the proxy free for a change within {_LOCK_TIMEOUT_S:g} s",
                    "another deployment in the midst of one",
                    f"proxy of {problem_name}",
                    "end that process and try again",
                ) from error
            time.sleep(_POLL_S)
        else:
            return


def _path(problem_name: str) -> Path:
    return serving_dir(problem_name) / "rollout.json"
