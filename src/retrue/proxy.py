"""One HAProxy a problem in front of two slots; the switch between them loses no request.

The slots carry no active health checks: a server gets traffic only
after its golden requests were right, and with one server in service there is nothing to fail
over to, while a check that is late once would turn requests away.
"""

import signal
import time
from pathlib import Path

from retrue import processes
from retrue.errors import DeployError
from retrue.files import tail, write_atomically
from retrue.home import serving_dir
from retrue.proxy_commands import ask, other_slot, serve_alone
from retrue.proxy_config import SLOTS, binary, config_path, socket_path, write_config
from retrue.refs import ServingRef

_START_TIMEOUT_S = 10.0


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
    return SLOTS[0] if now is None else other_slot(now.slot)


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
        serve_alone(problem_name, now)
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
            ask(problem_name, "show version")
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


def switch(problem_name: str, new: ServingRef) -> None:
    """Send all requests to `new` from now on; the old server finishes what it has.

    The new server is in before the old one gets no more requests, so there is always one that
    takes them. Doing it again after a crash is safe, and the way back is the same call.

    Parameters
    ----------
    problem_name : str
        Name of the problem; its proxy must be running (`ensure_proxy`).
    new : ServingRef
        A server that is ready and was checked.

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
    serve_alone(problem_name, new)
    # The state file decides; the configuration follows it, also at the next start.
    write_atomically(_state_path(problem_name), new.model_dump_json(indent=2))
    write_config(problem_name, record.port, new)


def stop_proxy(problem_name: str) -> None:
    """Stop the proxy after the requests in flight; the slots and what is in service stay."""
    name = process_name(problem_name)
    processes.stop(name, timeout_s=5.0, ask=signal.SIGUSR1)
    # HAProxy leaves it, and in the temporary folder nobody else would tidy it up.
    socket_path(problem_name).unlink(missing_ok=True)


def _state_path(problem_name: str) -> Path:
    return serving_dir(problem_name) / "serving.json"


def process_name(problem_name: str) -> str:
    """Name of the proxy's process record."""
    return f"proxy-{problem_name}"
