"""Receivers of alerts on this machine: a web server and a mail server, each a thread."""

import email
import json
import socket
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Web:
    """What was posted, and how the next posts are answered."""

    port: int = 0
    status: int = 200
    posts: list[tuple[str, Any]] = field(default_factory=list)


@contextmanager
def web_receiver() -> Iterator[Web]:
    """A web server that takes any POST of JSON."""
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if web.status == 200:
                web.posts.append((self.path, json.loads(body)))
            self.send_response(web.status)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *args: object) -> None:
            del args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.port = server.server_address[1]
    with _serving(server):
        yield web


@dataclass
class Mail:
    """What was mailed."""

    port: int = 0
    messages: list[Message] = field(default_factory=list)


@contextmanager
def mail_receiver() -> Iterator[Mail]:
    """A mail server (RFC 5321, as much of it as one client needs)."""
    mail = Mail()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            for line in iter(self.rfile.readline, b""):
                word = line.strip().upper()
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = iter(self.rfile.readline, b".\r\n")
                    mail.messages.append(email.message_from_bytes(b"".join(lines)))
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                if word == b"QUIT":
                    return

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    mail.port = server.server_address[1]
    with _serving(server):
        yield mail


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
