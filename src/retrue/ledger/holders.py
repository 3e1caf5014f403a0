"""Who holds a claim, and whether that process still lives."""

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Holder:
    """A process: pids are reused, so its time of creation belongs to its name."""

    host: str
    pid: int
    created: str
    """Boot id and start in clock ticks since boot; empty where there is no /proc."""


def this_process() -> Holder:
    """Name the calling process."""
    pid = os.getpid()
    return Holder(socket.gethostname(), pid, _created(pid) or "")


def is_dead(holder: Holder) -> bool:
    """Whether the holder is known to be gone; False for another host or without /proc."""
    if holder.host != socket.gethostname() or not holder.created:
        return False
    return _created(holder.pid) != holder.created


def is_local(holder: Holder) -> bool:
    """Whether `is_dead` can know: the holder ran on this host and /proc told when it began."""
    return holder.host == socket.gethostname() and bool(holder.created)


def _created(pid: int) -> str | None:
    """None for a process that is gone, a zombie, or on a system without /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, UnicodeDecodeError):
        return None
    # The command's name may hold spaces and brackets; state is field 3, start time field 22.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{_boot_id()}:{fields[19]}"


@cache
def _boot_id() -> str:
    # Ticks restart with the machine: without the boot a reused pid could pass for the old one.
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
