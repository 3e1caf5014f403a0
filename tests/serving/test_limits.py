"""Sizes, times and numbers that one client cannot exceed, on a real server."""

import asyncio
import http.client
import json
import os
import socket
import time
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

from retrue.serving.bodies import send_json
from retrue.serving.log_reading import read_after
from retrue.serving.parsing import MAX_ROWS, TEXT_CHARS
from tests.serving.tiny_model import Made, Server, Start, json_rows

QUICK = """from retrue.serving import connections as c
c.TIMES_S.update(head=0.6, body=0.6, unread=0.6, refused=0.6)"""
CHUNKED = b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        yield connection


def everything(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def answered(server: Server, content: bytes) -> tuple[int, bytes]:
    """Status and body of the one answer to raw bytes, after which the server closes."""
    with connected(server) as connection:
        connection.sendall(content)
        head, _, body = everything(connection).partition(b"\r\n\r\n")
        assert b"connection: close" in head.lower()
        return int(head.split()[1]), body


def post(made: Made, *lines: str, target: str = "/invocations", version: str = "HTTP/1.1") -> bytes:
    body = json.dumps({"instances": json_rows(made.frame.head(1))})
    head = [f"POST {target} {version}", "Host: 127.0.0.1", *lines, f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", body]).encode()


LENGTHS = ["-5", "+5", "5 5", "0x5", "\u0665", "", "1_0", "5, 5", "9" * 30]
MALFORMED = [
    *(f"POST /invocations HTTP/1.1\r\nContent-Length: {size}\r\n\r\n{{}}" for size in LENGTHS),
    "POST /invocations HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "POST /invocations HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "POST /invocations HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n{}",
    "POST /invocations HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "GET /secret\xff HTTP/1.1\r\n\r\n",
    "GET /ping HTTP/1.1\r\nSecret Name: x\r\n\r\n",
    "GET /ping HTTP/1.1\r\nName: secret\x00\r\n\r\n",
    "BREW /secret HTTP/1.1\r\n\r\n",
    "CONNECT secret:80 HTTP/1.1\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\x16\x03\x01\x02\x00secret",
]


def test_malformed_http_is_answered_400_in_our_form_and_the_log_stays_quiet(
    start: Start, made: Made
) -> None:
    server = start()
    for text in MALFORMED:
        status, body = answered(server, text.encode())
        assert (status, body) == (400, b'{"error": "malformed HTTP"}'), text
    assert read_after(server.log, 0) == []
    assert (server.log.parent / "stderr-n0").read_text() == ""


@pytest.mark.parametrize("is_split", [True, False])
@pytest.mark.parametrize(
    "line", ["X: " + "secret" * 3000, "\r\n".join(["X: secret"] * 3000)], ids=["long", "many"]
)
def test_a_head_above_its_limit_is_answered_431(
    start: Start, made: Made, line: str, is_split: bool
) -> None:
    server = start()
    content = post(made, line)
    with connected(server) as connection:
        connection.sendall(content[:9000])
        time.sleep(0.2 * is_split)
        connection.sendall(content[9000:])
        assert everything(connection).startswith(b"HTTP/1.1 431")
    assert answered(server, post(made, target="/" + "a" * 20_000))[0] == 431
    assert answered(server, post(made, "X: " + "a" * 15_000, "Connection: close"))[0] == 200
    assert len(read_after(server.log, 0)) == 1


def test_a_head_that_never_ends_does_not_fill_the_memory(start: Start) -> None:
    server = start()
    with connected(server) as connection:
        connection.sendall(b"GET /ping HTTP/1.1\r\n" + b"X: y\r\n" * 2500)
        connection.sendall(b"X: y\r\n" * 2500)
        assert everything(connection).startswith(b"HTTP/1.1 431")


def test_slow_clients_are_cut_off_with_408_while_others_are_served(
    start: Start, made: Made
) -> None:
    server = start(setup=QUICK)
    beginnings = {
        "nothing": b"",
        "lines": b"\r\n",
        "head": b"POST /invocations HTTP/1.1\r\nHost: x\r\nX",
        "body": b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n{",
        "chunks": CHUNKED + b"1\r\n{\r\n",
    }
    with ExitStack() as stack:
        slow = {name: stack.enter_context(connected(server)) for name in beginnings}
        for name, connection in slow.items():
            connection.sendall(beginnings[name])
        begun = time.monotonic()
        while time.monotonic() < begun + 0.4:
            assert server.post({"instances": json_rows(made.frame.head(1))})[0] == 200
            slow["head"].sendall(b"X")  # a byte now and then does not help
            slow["body"].sendall(b" ")
        answers = {name: everything(connection) for name, connection in slow.items()}
    assert {name: answer[9:12] for name, answer in answers.items()} == dict.fromkeys(slow, b"408")
    assert time.monotonic() - begun < 5


def test_an_idle_kept_connection_is_not_taken_for_a_slow_one(start: Start, made: Made) -> None:
    server = start(setup=QUICK)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for _ in range(3):
        connection.request("GET", "/ping")
        assert connection.getresponse().read() == b"{}"
        time.sleep(1.5)
    connection.close()


def test_an_answer_that_nobody_fetches_is_given_up(start: Start, made: Made) -> None:
    server = start(setup=QUICK.replace("body=0.6, ", ""))
    n_open = len(os.listdir(f"/proc/{server.process.pid}/fd"))
    rows = json_rows(made.frame) * 16
    body = json.dumps({"dataframe_records": rows}).encode()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        content = head.encode() + body
        with suppress(OSError):  # cut off while it sends
            connection.sendall(content * 12)  # 12 answers of 600 kB: the kernel buffers less
        deadline = time.monotonic() + 20
        while len(os.listdir(f"/proc/{server.process.pid}/fd")) > n_open:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_an_upgrade_is_answered_as_http_and_ends_the_connection(start: Start, made: Made) -> None:
    server = start()
    ask = b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert answered(server, ask + b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n") == (200, b"{}")
    status, body = answered(server, post(made, "Connection: Upgrade", "Upgrade: h2c"))
    assert (status, b"a body with an upgrade" in body) == (400, True)


def test_other_forms_of_http_are_served(start: Start, made: Made) -> None:
    server = start()
    assert answered(server, b"GET /ping HTTP/1.0\r\n\r\n") == (200, b"{}")
    absolute = post(made, "Connection: close", target="http://x/invocations")
    assert answered(server, absolute)[0] == 200
    expecting = post(made, "Connection: close", "Expect: 100-continue")
    with connected(server) as connection:
        at = expecting.index(b"\r\n\r\n") + 4
        connection.sendall(expecting[:at])
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(expecting[at:])
        assert everything(connection).startswith(b"HTTP/1.1 200")


def test_pipelined_requests_are_answered_in_order_and_their_end_is_quiet(
    start: Start, made: Made
) -> None:
    server = start()
    last = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with connected(server) as connection:
        connection.sendall(post(made) * 3 + last)
        content = everything(connection)
    statuses = [part[:3] for part in content.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"200", b"200", b"404"]
    for _ in range(20):  # gone, or wrong, while earlier ones are under way
        with connected(server) as connection:
            connection.sendall(post(made) * 3)
        with connected(server) as connection:
            connection.sendall(post(made) * 3 + b"\x00")
            assert everything(connection)
    assert server.stop() == 0
    assert (server.log.parent / "stderr-n0").read_text() == ""


def test_more_connections_than_the_limit_are_answered_503(start: Start) -> None:
    server = start(setup="from retrue.serving import connections as c; c.CONNECTION_LIMIT = 3")
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connected(server))
        time.sleep(0.2)
        assert answered(server, b"GET /ping HTTP/1.1\r\n\r\n")[0] == 503
    time.sleep(0.2)
    assert server.get("/ping") == {}


def test_large_bodies_together_stay_within_their_limit(start: Start, made: Made) -> None:
    server = start(setup="from retrue.serving import connections as c; c._HELD_LIMIT_BYTES = 2**20")
    size = b"%x\r\n" % 2**18
    with ExitStack() as stack:
        held = [stack.enter_context(connected(server)) for _ in range(3)]
        for connection in held:
            connection.sendall(CHUNKED + size + b" " * 2**18 + b"\r\n")
        time.sleep(0.5)
        status, _ = answered(server, CHUNKED + (size + b" " * 2**18 + b"\r\n") * 3)
        assert status == 503
        assert server.post({"instances": json_rows(made.frame.head(1))})[0] == 200
    time.sleep(0.5)
    rows = json_rows(made.frame) * 4  # 300 kB: what was held is given back
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for _ in range(5):
        kept.request("POST", "/invocations", json.dumps({"dataframe_records": rows}))
        response = kept.getresponse()
        assert (response.status, bool(response.read())) == (200, True)
    kept.close()


def test_rows_and_texts_above_their_limit_are_answered_413(start: Start, made: Made) -> None:
    server = start()
    row = json_rows(made.frame.head(1))[0]
    columns, values = list(row), list(row.values())
    label = {"key": {"time": row["time"], "flight": 1}, "label": 1}
    many = {"columns": columns, "data": [values] * (MAX_ROWS + 1)}
    for body, path in (
        ({"dataframe_split": many}, "/invocations"),
        ({"instances": [{"temp": 1}] * (MAX_ROWS + 1)}, "/invocations"),
        ({"instances": [row | {"carrier": "secret" * TEXT_CHARS}]}, "/invocations"),
        ([label] * (MAX_ROWS + 1), "/feedback"),
    ):
        status, answer = server.post(body, path)
        assert (status, len(str(answer)) < 300, "secret" in str(answer)) == (413, True, False)
    many["data"] = [values] * MAX_ROWS
    status, answer = server.post({"dataframe_split": many}, "/invocations?log=false")
    assert (status, len(answer["predictions"])) == (200, MAX_ROWS)


def test_an_error_stays_below_2_kb_whatever_the_model_names_its_columns() -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(send_json(send, 400, {"error": "\U0001f600" * 5000}, is_closing=False))
    assert len(sent[1]["body"]) < 2048
