"""Seeded hostile requests as raw bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

CANARY = "zqCANARYqz"
"""Stands in names and texts of bodies; no answer may hold it."""
_PATHS = ("/invocations", "/invocations", "/feedback", "/health", "/version", "/ping", "/nowhere")
_METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "CONNECT",
    "PROPFIND",
    "M-SEARCH",
    "PRI",
    "BREW",
    "get",
]
_TOKENS = [
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"01",
    b"1.",
    b'"\\ud800"',
    b'"\xed\xa0\x80"',
    b'"\\u0000"',
    b"9" * 400,
    b"9" * 5000,
    b"[" * 500,
    b'{"x":' * 500,
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b"\x00",
    b"\xff\xfe",
    b"/**/",
    b",",
    b":",
    b'"',
    b"\\",
    CANARY.encode(),
    f'"{CANARY}"'.encode(),
    f'"{CANARY}":1,'.encode(),
]
_LENGTHS = ["-1", "+5", "5 5", "0x5", "5, 5", "", "1_0", "99999999999999999999", "\u0665", "\u00b2"]
_CODINGS = ["chunked", "Chunked", "identity", "gzip, chunked", "chunked, identity", "xchunked", ""]


class Request(NamedTuple):
    """Bytes to send on one connection."""

    kind: str
    content: bytes


class Requests:
    """Endless requests of all kinds about rows that the model takes."""

    def __init__(self, random: Random, rows: Sequence[dict[str, Any]]) -> None:
        self._random = random
        self._rows = rows
        self._kinds: dict[str, Callable[[], bytes]] = {
            "valid": self._valid,
            "values": self._values,
            "bytes": self._bytes,
            "labels": self._labels,
            "methods": self._methods,
            "targets": self._targets,
            "headers": self._headers,
            "framing": self._framing,
            "chunks": self._chunks,
            "pipelines": self._pipelines,
            "garbage": lambda: random.randbytes(random.randint(1, 400)),
        }

    def next(self, kind: str | None = None) -> Request:
        """Make one, of any kind or of the one named."""
        kind = kind or self._random.choices(list(self._kinds), [3, 6, 6, 3, 2, 2, 2, 2, 2, 1, 1])[0]
        return Request(kind, self._kinds[kind]())

    def _post(self, body: bytes, path: str = "/invocations", *lines: str) -> bytes:
        head = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *lines, f"Content-Length: {len(body)}"]
        return "\r\n".join([*head, "\r\n"]).encode("latin-1") + body

    def _body(self) -> bytes:
        rows = self._random.choices(self._rows, k=self._random.choice([1, 1, 1, 2, 20]))
        form = self._random.choice(["dataframe_records", "instances", "dataframe_split"])
        if form != "dataframe_split":
            return json.dumps({form: rows}).encode()
        split = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
        return json.dumps({form: split}).encode()

    def _valid(self) -> bytes:
        return self._post(self._body())

    def _values(self) -> bytes:
        row: dict[str, Any] = dict(self._random.choice(self._rows))
        for _ in range(self._random.randint(1, 3)):
            name = self._random.choice([*row, CANARY])
            row[name] = self._random.choice(
                [None, True, "", CANARY, 1e308, -1e308, 10**400, 2**63, -0.0, [1], {CANARY: 1}]
            )
            if self._random.random() < 0.2:
                row.pop(self._random.choice(list(row)))
        body: Any = {self._random.choice(["instances", "dataframe_records", CANARY]): [row]}
        return self._post(json.dumps(body).encode(), self._random.choice(_PATHS))

    def _bytes(self) -> bytes:
        body = bytearray(self._body())
        for _ in range(self._random.randint(1, 4)):
            at = self._random.randrange(len(body) + 1)
            end = min(len(body), at + self._random.choice([0, 0, 1, 1, 8, 400]))
            token = self._random.choice([*_TOKENS, self._random.randbytes(2), bytes(body[at:end])])
            body[at:end] = token
        return self._post(bytes(body))

    def _labels(self) -> bytes:
        random, row = self._random, self._random.choice(self._rows)
        key = {name: row.get(name) for name in ("time", "flight", CANARY)[: random.randint(1, 3)]}
        label: dict[str, Any] = {"key": key, "label": random.choice([0, 1, 2, "1", None, 1e308])}
        if random.random() < 0.5:
            label["known_at"] = random.choice(
                ["2013-01-02", "9999-12-31T23:59:59-23:59", CANARY, 1]
            )
        body = json.dumps(random.choice([label, [label] * 3, []])).encode()
        if random.random() < 0.3:
            at = random.randrange(len(body))
            body = body[:at] + random.choice(_TOKENS) + body[at:]
        return self._post(body, "/feedback")

    def _methods(self) -> bytes:
        method, path = self._random.choice(_METHODS), self._random.choice(_PATHS)
        body = self._body() if self._random.random() < 0.5 else b""
        return self._post(body, path).replace(b"POST", method.encode(), 1)

    def _targets(self) -> bytes:
        target = self._random.choice(
            [
                "http://127.0.0.1/invocations",
                "http://other.example/invocations",
                "http://other.example",
                "*",
                "other.example:80",
                "",
                "//invocations",
                "/invocations?" + CANARY,
                "/invocations?log=false&log=true",
                "/%69nvocations",
                "/%ff%00",
                "/\xff",
                "/../../etc/passwd",
                "/a" * self._random.choice([100, 5000, 20_000]),
                f"/{CANARY}",
            ]
        )
        return self._post(self._body(), target)

    def _headers(self) -> bytes:
        name, value = self._random.choice(
            [
                ("Authorization", "Bearer " + CANARY),
                ("X-Big", "x" * self._random.choice([8000, 20_000, 200_000])),
                ("X Bad", "1"),
                ("X-Nul", "a\x00b"),
                ("X-Folded", "a\r\n b"),
                ("X-Latin", "\xff"),
                ("Expect", self._random.choice(["100-continue", "200-ok"])),
                ("Connection", "Upgrade\r\nUpgrade: websocket"),
                ("Connection", "Upgrade, HTTP2-Settings\r\nUpgrade: h2c"),
                ("Connection", "close"),
                ("Content-Encoding", "gzip"),
                ("Content-Type", f"text/{CANARY}"),
                ("Origin", "http://other.example"),
                ("Host", "other.example"),
                ("X-Many", "1" + "\r\nX-Many: 1" * self._random.choice([50, 3000])),
            ]
        )
        return self._post(self._body(), self._random.choice(_PATHS), f"{name}: {value}")

    def _framing(self) -> bytes:
        random, content = self._random, self._valid()
        kind = random.randrange(6)
        if kind == 0:
            head, _, body = content.partition(b"\r\n\r\n")
            length = random.choice(_LENGTHS).encode()
            return head[: head.rindex(b" ") + 1] + length + b"\r\n\r\n" + body
        if kind == 1:
            coding = random.choice(_CODINGS).encode()
            return content.replace(b"Host", b"Transfer-Encoding: " + coding + b"\r\nHost", 1)
        if kind == 2:
            return content.replace(b"Host", b"Content-Length: 3\r\nHost", 1)
        if kind == 3:
            version = random.choice([b"1.0", b"0.9", b"2.0", b"1.2", b"11", b"1.1 x", b""])
            return content.replace(b"HTTP/1.1", b"HTTP/" + version, 1)
        if kind == 4:
            return content.replace(b"\r\n", b"\n", random.choice([1, 9]))
        return content[: random.randrange(1, len(content))]

    def _chunks(self) -> bytes:
        random, body = self._random, self._body()
        head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        parts = []
        while body:
            n = random.choice([1, 7, 100, 5000])
            part, body = body[:n], body[n:]
            size = random.choice([b"%x", b"%x", b"%x", b"%X;a=b", b"0000%x"]) % len(part)
            parts.append(size + b"\r\n" + part + b"\r\n")
        if random.random() < 0.3:
            wrong = random.choice([b"-1", b"zz", b"", b"fffffffffffffffff", b"1 1", b"0x1"])
            parts[random.randrange(len(parts))] = wrong + b"\r\na\r\n"
        return head + b"".join(parts) + random.choice([b"0\r\n\r\n", b"0\r\nX-T: 1\r\n\r\n"])

    def _pipelines(self) -> bytes:
        kinds = [self._valid, self._values, self._methods, self._chunks, self._framing]
        return b"".join(self._random.choice(kinds)() for _ in range(self._random.randint(2, 6)))
