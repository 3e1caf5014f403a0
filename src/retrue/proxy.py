"""One HAProxy a problem in front of two slots; the switch between them loses no request.

The slots carry no active health checks: a server gets traffic only
after its golden requests were right, and with one server in service there is nothing to fail
over to, while a check that is late once would turn requests away.
"""

import csv
import signal
import socket
import time
from pathlib import Path

from retrue import processes
from retrue.errors import DeployError
from retrue.files import tail, write_atomically
from retrue.home import serving_dir
from retrue.proxy_config import SLOTS, binary, config_path, socket_path, write_config
from retrue.refs import ServingRef

_START_TIMEOUT_S = 10.0
_COMMAND_TIMEOUT_S = 5.0


def serving_now(problem_name: str) -> ServingRef | None:
    """The server that the proxy sends requests to, as of the last switch; None before any."""
    try:
        text = _state_path(problem_name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return ServingRef.model_validate_json(text)


def free_slot(problem_name: str) -> str:
    """The slot that is not in service."""
    now = serving_now(problem_name)
    return SLOTS[1] if now is not None and now.slot == SLOTS[0] else SLOTS[0]


def choose_port(problem_name: str, preferred: int) -> int:
    """The port a running proxy has; else the preferred one, or any free one when it is taken."""
    record = processes.running(process_name(problem_name))
    if record is not None and record.port is not None:
        return record.port
    return processes.free_port(preferred)


def ensure_proxy(problem_name: str, port: int) -> int:
    """Start the proxy of a problem where it is not running; its pid.

    A running proxy is brought back to the last switch that was completed, whatever a killed
    deploy left half done: the slot in service takes requests, the other one none.

    Parameters
    ----------
    problem_name : str
        Name of the problem.
    port : int
        Port on 127.0.0.1 where clients send their requests.

    Raises
    ------
    DeployError
        HAProxy is missing, or does not start (the port is taken, say).
    """
    name = process_name(problem_name)
    now = serving_now(problem_name)
    record = processes.running(name)
    if record is not None and record.port == port:
        for slot in SLOTS:
            if now is not None and slot == now.slot:
                _point(problem_name, now)
            else:
                _ask(problem_name, f"set server slots/{slot} state drain")
        return record.pid
    if record is not None:
        stop_proxy(problem_name)
    write_config(problem_name, port, now)
    log_path = serving_dir(problem_name) / "proxy.log"
    argv = [binary(), "-db", "-f", str(config_path(problem_name))]
    record = processes.start_process(name, argv, port=port, log_path=log_path)
    give_up = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < give_up and processes.alive(name):
        try:
            _ask(problem_name, "show version")
        except DeployError:
            time.sleep(0.02)
        else:
            return record.pid
    processes.stop(name)
    raise DeployError(
        f"a proxy listening on 127.0.0.1:{port}",
        tail(log_path, 3),
        f"proxy of {problem_name}",
        "free the port, or set another serving.port",
    )


def switch(
    problem_name: str, new: ServingRef, *, drain_timeout_s: float = 30.0
) -> ServingRef | None:
    """Send all requests to `new` from now on; let the old server finish what it has.

    The new server is in before the old one gets no more requests, so there is always one that
    takes them. What was decided is on disk before the old server is waited for. Doing it again
    after a crash is safe.

    Parameters
    ----------
    problem_name : str
        Name of the problem; its proxy must be running (`ensure_proxy`).
    new : ServingRef
        A server that is ready and was checked.
    drain_timeout_s : float
        How long requests in flight on the old server are waited for, seconds.

    Returns
    -------
    ServingRef or None
        The server that is out of service now, for the caller to stop; None when there was none.

    Raises
    ------
    DeployError
        The proxy is not running or refuses.
    """
    record = processes.running(process_name(problem_name))
    if record is None or record.port is None:
        raise DeployError(
            "a running proxy", "none", f"proxy of {problem_name}", "start it with `retrue up`"
        )
    old = serving_now(problem_name)
    _point(problem_name, new)
    other = SLOTS[1] if new.slot == SLOTS[0] else SLOTS[0]
    _ask(problem_name, f"set server slots/{other} state drain")
    # The state file decides; the configuration follows it, also at the next start.
    write_atomically(_state_path(problem_name), new.model_dump_json(indent=2))
    write_config(problem_name, record.port, new)
    give_up = time.monotonic() + drain_timeout_s
    while _sessions(problem_name, other) and time.monotonic() < give_up:
        time.sleep(0.01)
    _ask(problem_name, f"set server slots/{other} state maint")
    return old if old is not None and old != new else None


def stop_proxy(problem_name: str) -> None:
    """Stop the proxy after the requests in flight; the slots and what is in service stay."""
    name = process_name(problem_name)
    processes.stop(name, timeout_s=5.0, ask=signal.SIGUSR1)
    # HAProxy leaves it, and in the temporary folder nobody else would tidy it up.
    socket_path(problem_name).unlink(missing_ok=True)


def _point(problem_name: str, ref: ServingRef) -> None:
    """Make the slot of `ref` take requests for its address; nothing happens when it does."""
    server = f"slots/{ref.slot}"
    row = _row(problem_name, ref.slot)
    if row["addr"] != f"{ref.host}:{ref.port}":
        # The address changes while nothing is sent there.
        _ask(problem_name, f"set server {server} state maint")
        answer = _ask(problem_name, f"set server {server} addr {ref.host} port {ref.port}")
        if "changed" not in answer and "no need" not in answer:
            raise _refused(problem_name, answer)
    _ask(problem_name, f"set server {server} weight 100%")
    _ask(problem_name, f"set server {server} state ready")


def _sessions(problem_name: str, slot: str) -> int:
    return int(_row(problem_name, slot)["scur"] or 0)


def _row(problem_name: str, slot: str) -> dict[str, str]:
    lines = _ask(problem_name, "show stat").lstrip("# ").splitlines()
    for row in csv.DictReader(lines):
        if row["pxname"] == "slots" and row["svname"] == slot:
            return row
    raise _refused(problem_name, f"no slot {slot}")


def _ask(problem_name: str, command: str) -> str:
    """Answer of the proxy's runtime socket; a `set server` that is refused raises."""
    chunks = []
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_COMMAND_TIMEOUT_S)
            connection.connect(str(socket_path(problem_name)))
            connection.sendall(f"{command}\n".encode())
            while chunk := connection.recv(65536):
                chunks.append(chunk)
    except OSError as error:
        raise DeployError(
            "a proxy that takes commands",
            str(error),
            f"proxy of {problem_name}",
            "start it with `retrue up`",
        ) from error
    answer = b"".join(chunks).decode(errors="replace").strip()
    if " state " in command and answer:
        raise _refused(problem_name, answer)
    return answer


def _refused(problem_name: str, answer: str) -> DeployError:
    return DeployError(
        "a proxy that takes the command",
        answer or "no answer",
        f"proxy of {problem_name}",
        "restart it with `retrue down` and `retrue up`",
    )


def _state_path(problem_name: str) -> Path:
    return serving_dir(problem_name) / "serving.json"


def process_name(problem_name: str) -> str:
    """Name of the proxy's process record."""
    return f"proxy-{problem_name}"
