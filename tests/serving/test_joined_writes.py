"""An answer leaves in one piece, and nothing is kept that nothing follows."""

import json
import socket
from pathlib import Path

from tests.serving.tiny_model import Made, Start, json_rows


def _writes(pid: int) -> int:
    fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(fields["syscw"])


def _read_answer(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def test_an_answer_is_one_write(start: Start, made: Made) -> None:
    server = start()
    body = json.dumps({"dataframe_records": json_rows(made.frame.head(1))}).encode()
    request = b"POST /invocations?log=false HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        before = _writes(server.process.pid)
        for _ in range(50):
            connection.sendall(request % len(body) + body)
            assert _read_answer(connection).startswith(b"HTTP/1.1 200 OK\r\n")
        # The loop may wake itself now and then.
        assert _writes(server.process.pid) - before < 75


def test_a_head_that_no_body_follows_is_written_at_once(start: Start) -> None:
    server = start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        for _ in range(3):
            connection.sendall(b"HEAD /ping HTTP/1.1\r\nhost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_client_that_waits_to_be_told_to_go_on_is_told(start: Start, made: Made) -> None:
    server = start()
    body = json.dumps({"dataframe_records": json_rows(made.frame.head(1))}).encode()
    head = (
        b"POST /invocations HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: %d\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head % len(body) + b"connection: close\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        answer = _read_answer(connection)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert connection.recv(1) == b""
