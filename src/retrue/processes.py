"""Processes started in the background, with records that survive the command that started them.

Home module of psutil.
"""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from retrue.errors import StackError
from retrue.files import write_atomically
from retrue.home import run_dir
from retrue.refs import Ref

# The start time comes from the boot time, which moves by a second when the clock is set.
_CREATE_TIME_TOLERANCE_S = 2.0

# Kept so that a child that ends is reaped, not left a zombie of a worker that runs for days.
_children: dict[int, subprocess.Popen[bytes]] = {}


class ProcessRecord(Ref):
    """One process we started: pid and start time together name it, also after pids wrap."""

    name: str
    pid: int
    create_time: float
    """Seconds since the epoch."""
    port: int | None
    log_path: Path
    command: tuple[str, ...]


def _record_path(name: str) -> Path:
    return run_dir() / f"{name}.json"


def read_record(name: str) -> ProcessRecord | None:
    """The record of `name`, alive or not; None when there is none or it is unreadable."""
    try:
        return ProcessRecord.model_validate_json(_record_path(name).read_bytes())
    except (OSError, ValueError):
        return None


def _process_of(record: ProcessRecord) -> psutil.Process | None:
    child = _children.get(record.pid)
    if child is not None and child.poll() is not None:
        del _children[record.pid]
    try:
        process = psutil.Process(record.pid)
        if abs(process.create_time() - record.create_time) > _CREATE_TIME_TOLERANCE_S:
            return None
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def this_process() -> tuple[int, float]:
    """Pid and start time (seconds since the epoch) of the calling process."""
    return os.getpid(), psutil.Process().create_time()


def is_running(pid: int, create_time: float) -> bool:
    """Whether that very process of this machine still runs."""
    record = ProcessRecord(
        name="", pid=pid, create_time=create_time, port=None, log_path=Path(), command=()
    )
    return _process_of(record) is not None


def running(name: str) -> ProcessRecord | None:
    """The record of `name` when that very process (pid and start time) still runs."""
    record = read_record(name)
    return record if record is not None and _process_of(record) is not None else None


def alive(name: str) -> bool:
    """Whether the process recorded as `name` still runs."""
    return running(name) is not None


def start_process(
    name: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    port: int | None = None,
    log_path: Path | None = None,
) -> ProcessRecord:
    """Start `argv` in a session of its own, so that it outlives this command; write its record.

    Parameters
    ----------
    name : str
        Name of the record, one process at a time.
    argv : sequence of str
        Program and arguments.
    env : mapping, optional
        Added to the environment of this process.
    port : int, optional
        Port it will listen on; only recorded.
    log_path : Path, optional
        Where its output is appended (default: the run folder's NAME.log).

    Returns
    -------
    ProcessRecord
        It has been started; whether it is ready is the caller's question.

    Raises
    ------
    StackError
        A process of that name runs already, or the program cannot be started.
    """
    if (other := running(name)) is not None:
        raise StackError(
            "no running process of that name", f"pid {other.pid}", name, "stop it first"
        )
    log = log_path or run_dir() / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        try:
            child = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        except OSError as error:
            raise StackError(
                "a program that starts", str(error), name, f"check that {argv[0]} can be run"
            ) from error
    _children[child.pid] = child
    record = ProcessRecord(
        name=name,
        pid=child.pid,
        create_time=psutil.Process(child.pid).create_time(),
        port=port,
        log_path=log,
        command=tuple(argv),
    )
    write_atomically(_record_path(name), record.model_dump_json(indent=2))
    return record


def stop(name: str, timeout_s: float = 10.0, ask: signal.Signals = signal.SIGTERM) -> bool:
    """Stop the process recorded as `name`, and its descendants; remove the record.

    A process that merely has the recorded pid is left alone.

    Parameters
    ----------
    name : str
        Name of the record.
    timeout_s : float
        Seconds between the signal that asks and SIGKILL.
    ask : signal.Signals
        Signal that asks it to end.

    Returns
    -------
    bool
        Whether it ended by itself in time; True when nothing of ours was running.
    """
    record = read_record(name)
    process = _process_of(record) if record is not None else None
    graceful = True
    if process is not None:
        family = [process]
        with suppress(psutil.NoSuchProcess):
            family += process.children(recursive=True)
            process.send_signal(ask)
        _, left = psutil.wait_procs(family[:1], timeout=timeout_s)
        graceful = not left
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, timeout=5)
        child = _children.pop(process.pid, None)
        if child is not None:
            child.wait(timeout=5)
    _record_path(name).unlink(missing_ok=True)
    return graceful


def memory_mb(pid: int) -> float:
    """Resident memory of a process and its children, 10^6 bytes; ProcessLookupError at its end."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(float(one.memory_info().rss) for one in family) / 1e6
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(f"process {pid} has ended") from error


def free_port(preferred: int | None = None) -> int:
    """A port of 127.0.0.1 nobody listens on: `preferred` when it is free, else any."""
    for port in ([preferred] if preferred else []) + [0]:
        with socket.socket() as probe:
            # As servers do: a port in TIME_WAIT is free for a new listener.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StackError("a free port", "none", "127.0.0.1", "stop what holds the machine's ports")
