"""Commands to a running HAProxy over its runtime socket: who gets which share, and figures."""

import csv
import socket
import time
from dataclasses import dataclass

from retrue.errors import DeployError
from retrue.proxy_config import SLOTS, WEIGHT, socket_path
from retrue.refs import ServingRef

_COMMAND_TIMEOUT_S = 5.0
_POLL_S = 0.01
# As long as the server gives itself on SIGTERM, and more.
_DRAIN_TIMEOUT_S = 30.0
_OF_CLIENTS = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")
# Not made, made again or at the other server, and broken off: what the server did wrong, even
# where the client was helped.
_FAILURES = ("hrsp_5xx", "econ", "eresp", "wretr", "wredis")


@dataclass(frozen=True)
class SlotFigures:
    """What the proxy counted at one slot since `reset_figures`."""

    n_requests: int
    n_refused: int
    """Answers 4xx."""
    n_failed: int
    """Answers 5xx, and connections and requests that broke."""
    mean_ms: float
    """Of the time to the answer's headers, whole milliseconds."""


def serve_alone(problem_name: str, now: ServingRef | None) -> None:
    """Make the slot of `now` take all requests, the other one none; None: nobody takes any."""
    for slot in SLOTS:
        if now is not None and slot == now.slot:
            point(problem_name, now)
    for slot in SLOTS:
        if now is None or slot != now.slot:
            ask(problem_name, f"set server slots/{slot} state drain")


def share(problem_name: str, new: ServingRef, new_share: float) -> None:
    """Give `new` that share of the requests, and the other slot the rest."""
    weight = max(1, round(WEIGHT * new_share))
    ask(problem_name, f"set server slots/{other_slot(new.slot)} weight {WEIGHT - weight}")
    point(problem_name, new, weight)


def point(problem_name: str, ref: ServingRef, weight: int = WEIGHT) -> None:
    """Make the slot of `ref` take requests for its address; nothing happens when it does."""
    server = f"slots/{ref.slot}"
    if _row(problem_name, ref.slot)["addr"] != f"{ref.host}:{ref.port}":
        # The address changes while nothing is sent there.
        ask(problem_name, f"set server {server} state maint")
        answer = ask(problem_name, f"set server {server} addr {ref.host} port {ref.port}")
        if "changed" not in answer and "no need" not in answer:
            raise _refused(problem_name, answer)
    ask(problem_name, f"set server {server} weight {weight}")
    ask(problem_name, f"set server {server} state ready")


def wait_idle(problem_name: str, slot: str, timeout_s: float = _DRAIN_TIMEOUT_S) -> None:
    """Wait for the requests in flight at a slot that gets no more."""
    give_up = time.monotonic() + timeout_s
    while int(_row(problem_name, slot)["scur"] or 0) and time.monotonic() < give_up:
        time.sleep(_POLL_S)


def reset_figures(problem_name: str) -> None:
    """Begin to count anew; the mean times forget what was before, too."""
    ask(problem_name, "clear counters all")


def figures(problem_name: str, slot: str) -> SlotFigures:
    """What was counted at a slot."""
    row = _row(problem_name, slot)

    def total(*names: str) -> int:
        return sum(int(row.get(name) or 0) for name in names)

    return SlotFigures(
        total(*_OF_CLIENTS), total("hrsp_4xx"), total(*_FAILURES), float(row["rtime"] or 0)
    )


def other_slot(slot: str) -> str:
    """The slot beside this one."""
    return SLOTS[1] if slot == SLOTS[0] else SLOTS[0]


def ask(problem_name: str, command: str) -> str:
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
    if (" state " in command or " weight " in command) and answer:
        raise _refused(problem_name, answer)
    return answer


def _row(problem_name: str, slot: str) -> dict[str, str]:
    lines = ask(problem_name, "show stat").lstrip("# ").splitlines()
    for row in csv.DictReader(lines):
        if row["pxname"] == "slots" and row["svname"] == slot:
            return row
    raise _refused(problem_name, f"no slot {slot}")


def _refused(problem_name: str, answer: str) -> DeployError:
    return DeployError(
        "a proxy that takes the command",
        answer or "no answer",
        f"proxy of {problem_name}",
        "restart it with `retrue down` and `retrue up`",
    )
