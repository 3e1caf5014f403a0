"""Background processes: recorded, found again, and only ours stopped."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from retrue import processes
from retrue.errors import StackError
from retrue.home import run_dir

SLEEP = [sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(60)"]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A state folder of its own; what was started is stopped."""
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path))
    yield
    for record in run_dir().glob("*.json"):
        processes.stop(record.stem, timeout_s=0.1)


def wait_for_text(path: Path, text: str) -> None:
    """Wait until the log holds `text`."""
    give_up = time.monotonic() + 10
    while text not in (path.read_text() if path.exists() else ""):
        assert time.monotonic() < give_up, f"{text!r} never came"
        time.sleep(0.01)


def test_a_started_process_is_alive_until_stopped_and_leaves_no_record() -> None:
    record = processes.start_process("sleeper", SLEEP, port=1234)
    assert processes.running("sleeper") == record
    assert record.port == 1234
    assert processes.stop("sleeper")
    assert not processes.alive("sleeper")
    assert not psutil.pid_exists(record.pid)
    assert list(run_dir().glob("*.json")) == []


def test_it_runs_in_a_session_of_its_own_with_its_output_in_the_log() -> None:
    record = processes.start_process("sleeper", SLEEP)
    wait_for_text(record.log_path, "up")
    assert os.getsid(record.pid) == record.pid


def test_the_environment_given_is_added_to_ours() -> None:
    script = "import os; print(os.environ['WORD'], 'PATH' in os.environ, flush=True)"
    record = processes.start_process(
        "printer", [sys.executable, "-S", "-c", script], env={"WORD": "hello"}
    )
    wait_for_text(record.log_path, "hello True")


def test_a_process_that_has_ended_is_not_alive_and_leaves_no_zombie() -> None:
    record = processes.start_process("brief", [sys.executable, "-S", "-c", ""])
    give_up = time.monotonic() + 10
    while processes.alive("brief"):
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert not psutil.pid_exists(record.pid)


def test_a_reused_pid_is_neither_alive_nor_stopped() -> None:
    stranger = subprocess.Popen(SLEEP, stdout=subprocess.DEVNULL)
    try:
        started = psutil.Process(stranger.pid).create_time()
        earlier = processes.ProcessRecord(
            name="server",
            pid=stranger.pid,
            create_time=started - 100,
            port=None,
            log_path=run_dir() / "server.log",
            command=("server",),
        )
        run_dir().mkdir(parents=True)
        (run_dir() / "server.json").write_text(earlier.model_dump_json())
        assert not processes.alive("server")
        assert processes.stop("server")
        assert stranger.poll() is None
        assert processes.read_record("server") is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_second_process_of_a_name_is_refused_while_the_first_runs() -> None:
    record = processes.start_process("sleeper", SLEEP)
    with pytest.raises(StackError, match=f"pid {record.pid}"):
        processes.start_process("sleeper", SLEEP)
    assert processes.running("sleeper") == record


def test_a_program_that_does_not_exist_is_refused_in_one_line() -> None:
    with pytest.raises(StackError, match="no-such-program"):
        processes.start_process("nothing", ["/no-such-program"])
    assert not processes.alive("nothing")


def test_one_that_ignores_the_signal_is_killed_with_its_children() -> None:
    script = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
        "print('child', child.pid, 'end', flush=True)\n"
        "time.sleep(60)\n"
    )
    record = processes.start_process("stubborn", [sys.executable, "-S", "-c", script])
    wait_for_text(record.log_path, "end")
    child = psutil.Process(int(record.log_path.read_text().split()[1]))
    assert not processes.stop("stubborn", timeout_s=0.2)
    assert not psutil.pid_exists(record.pid)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_damaged_record_counts_as_none() -> None:
    run_dir().mkdir(parents=True)
    (run_dir() / "server.json").write_text('{"name": "server", "pid"')
    assert processes.running("server") is None
    assert processes.stop("server")


def test_the_asking_signal_can_be_chosen() -> None:
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))\n"
        "print('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    record = processes.start_process("soft", [sys.executable, "-S", "-c", script])
    wait_for_text(record.log_path, "up")
    assert processes.stop("soft", timeout_s=10, ask=signal.SIGUSR1)


def test_the_preferred_port_is_given_when_free_and_another_when_taken() -> None:
    port = processes.free_port()
    assert processes.free_port(port) == port
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        other = processes.free_port(port)
    assert other != port
    assert other > 1023
