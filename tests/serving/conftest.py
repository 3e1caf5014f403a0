"""Fixtures: one tiny bundle, and servers that end with their test."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.serving.tiny_model import RICH, RICH_PROCESSING, Made, Server, Start, make_bundle


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One bundle for all tests that only read it."""
    return make_bundle(tmp_path_factory.mktemp("made") / "bundle")


@pytest.fixture
def start(tmp_path: Path, made: Made) -> Iterator[Start]:
    """Start servers that end with the test: `start(version=1, bundle=..., limit_bytes=None)`.

    `options` are added to the command; `setup` is Python run before the server; `before` is a
    command that the server's is given to.
    """
    started: list[subprocess.Popen[bytes]] = []

    def start_server(
        version: int = 1,
        bundle: Made = made,
        nonce: str = "n0",
        limit_bytes: int | None = None,
        log_dir: Path = tmp_path,
        options: Sequence[str] = (),
        setup: str = "",
        before: Sequence[str] = (),
    ) -> Server:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        module = ["-m", "retrue.serving"]
        if setup:  # of constants that are times: a test does not wait as long as a server
            main = "import sys; from retrue.serving.__main__ import main; sys.exit(main())"
            module = ["-c", f"{setup}\n{main}"]
        command = [sys.executable, *module, "--bundle", str(bundle.path)]
        command += ["--sha256", bundle.sha256, "--model-version", str(version), "--port", str(port)]
        command += ["--log-dir", str(log_dir), "--boot-nonce", nonce, *options]
        command = [*before, *command]
        if limit_bytes is not None:  # no file of the process may grow above it, as on a full disk
            command = ["/bin/sh", "-c", f'ulimit -f {limit_bytes // 512}; exec "$0" "$@"', *command]
        errors = tmp_path / f"stderr-{nonce}"
        with errors.open("wb") as stderr:
            process = subprocess.Popen(command, stderr=stderr, env=dict(os.environ))
        started.append(process)
        server = Server(process, port, log_dir / f"{version}-{nonce}.sqlite", errors)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(OSError):
                server.get("/health")
                return server
            time.sleep(0.05)
        raise AssertionError(f"no server: {errors.read_text()}")

    yield start_server
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(10)


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """A bundle of each task whose features become several columns each."""
    folder = tmp_path_factory.mktemp("rich")
    return {
        task: make_bundle(folder / task, 7, task, RICH, RICH_PROCESSING)
        for task in ("binary", "multiclass", "regression")
    }
