"""`python -m retrue.serving`: serve one bundle until SIGTERM, then drain and exit 0."""

import argparse
import asyncio
import gc
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

from retrue.errors import BundleError, DeployError, RetrueError
from retrue.serving.booster import self_check
from retrue.serving.bundle import Bundle, read_bundle

# A load takes well under a second, and over some truncated models the parser never ends.
_CHECK_TIMEOUT_S = 15
# How long kept connections may bring one more request after SIGTERM before they are closed.
_DRAIN_GRACE_S = 1.0
# Above the idle time of clients and proxies, so that it is they who close: a server that closes
# first can do so while a request is on its way.
_KEEP_ALIVE_S = 75
_FINISH_TIMEOUT_S = 20
_BACKLOG = 2048
# Large bodies scored at a time; each needs some ten times its size.
_LARGE_AT_ONCE = 2
# Of uvicorn's ten a second: how late a key is revoked, or a slow client cut off.
_LOOK_TICKS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve, or only check the bundle (`--check`); the exit code: 0, or 2 with one line."""
    options = _parser().parse_args(arguments)
    try:
        bundle = read_bundle(options.bundle, options.sha256)
        if options.check:
            self_check(bundle)
        else:
            if options.probe:
                _end_with_stdin()
            else:
                _check_in_child(bundle)
            _serve(bundle, options)
    except RetrueError as error:
        sys.stderr.write(f"retrue.serving: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="retrue.serving", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR")
    parser.add_argument("--sha256", required=True, help="of the bundle's manifest.json")
    parser.add_argument("--check", action="store_true", help="check the bundle, do not serve")
    parser.add_argument("--probe", action="store_true", help="end when standard input closes")
    parser.add_argument("--model-version", type=int, default=0)
    parser.add_argument("--log-dir", type=Path, default=Path("."), help="of the prediction log")
    parser.add_argument("--keys", type=Path, help="list of API keys; wanted once it is there")
    parser.add_argument(
        "--on-log-failure",
        choices=("refuse", "answer"),
        default="refuse",
        help="what a request gets whose record cannot be made durable",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--published-at", metavar="ADDRESS", help="of a container; default --host")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--boot-nonce", type=_nonce, default=secrets.token_hex(8))
    return parser


def _nonce(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):  # it becomes part of a file's name
        raise argparse.ArgumentTypeError("1-64 letters, digits, - or _ wanted")
    return text


def _end_with_stdin() -> None:
    """End with whoever started this server, however that one ends: a probe is nobody's service.

    It loads without a child first, since it is itself the child that may die of a damaged text.
    """

    def wait() -> None:
        # Not by `sys.stdin`: its lock, held here, would abort the end by a signal.
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=wait, name="stdin", daemon=True).start()


def _check_in_child(bundle: Bundle) -> None:
    """Load in a child process first: over some damaged texts LightGBM's parser ends its process."""
    command = [sys.executable, "-m", "retrue.serving", "--check"]
    command += ["--bundle", str(bundle.path), "--sha256", bundle.sha256]
    try:
        child = subprocess.run(command, capture_output=True, timeout=_CHECK_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise _unloadable(bundle, f"no end after {_CHECK_TIMEOUT_S} s") from error
    if child.returncode < 0:
        raise _unloadable(bundle, f"a loader killed by signal {-child.returncode}")
    if child.returncode:
        lines = child.stderr.decode(errors="replace").strip().splitlines()
        raise _unloadable(bundle, lines[-1] if lines else f"exit code {child.returncode}")


def _unloadable(bundle: Bundle, found: str) -> BundleError:
    where = str(bundle.path / "model.txt")
    return BundleError("a model that loads and gives its golden scores", found, where, "retrain")


def _serve(bundle: Bundle, options: argparse.Namespace) -> None:
    # Late: the child that only checks the bundle starts in half the time without them.
    import uvicorn

    from retrue.serving.access import guard, insist_keys
    from retrue.serving.app import create_app
    from retrue.serving.connections import Watch
    from retrue.serving.fast_lane import fast_protocol
    from retrue.serving.keys import Keyring
    from retrue.serving.predictions import PredictionLog
    from retrue.serving.service import Service

    keyring = Keyring(options.keys)
    insist_keys(keyring, options.published_at or options.host)
    booster = self_check(bundle)
    listening = _listen(options.host, options.port)
    log = PredictionLog(options.log_dir / f"{options.model_version}-{options.boot_nonce}.sqlite")
    try:
        service = Service(
            bundle,
            booster,
            log,
            options.model_version,
            options.boot_nonce,
            answers_unlogged=options.on_log_failure == "answer",
        )
        config = uvicorn.Config(
            guard(create_app(service), keyring),
            interface="asgi3",
            http=fast_protocol(service, keyring),
            lifespan="off",
            log_level="error",  # a line for each malformed request would fill the disk
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws="none",
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_FINISH_TIMEOUT_S,
        )

        class DrainingServer(uvicorn.Server):
            """uvicorn that lets kept connections bring one more request, and exits 0."""

            _drain_until = 0.0
            _watch = Watch()

            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                # uvicorn's own would close idle connections at once (a request on its way is
                # lost) and raise the signal again at the end (the exit code is not 0).
                service.draining.set()

            async def on_tick(self, counter: int) -> bool:
                if counter % _LOOK_TICKS == 0:
                    keyring.look()
                    self._watch.look(self.server_state.connections, time.monotonic())
                if service.draining.is_set():
                    now = time.monotonic()
                    self._drain_until = self._drain_until or now + _DRAIN_GRACE_S
                    for listener in self.servers:
                        listener.close()
                    if not self.server_state.connections or now >= self._drain_until:
                        self.should_exit = True
                return await super().on_tick(counter)

        server = DrainingServer(config)
        # What is loaded stays; and requests make no cycles, so looking for some is rarely worth it.
        gc.freeze()
        gc.set_threshold(50_000)
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            # More threads than cores only take the interpreter lock from each other.
            pool = ThreadPoolExecutor(min(_LARGE_AT_ONCE, len(os.sched_getaffinity(0))))
            runner.get_loop().set_default_executor(pool)
            runner.run(server.serve(sockets=[listening]))
    finally:
        log.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=_BACKLOG)
    except OSError as error:
        found = error.strerror or "an error"
        raise DeployError("a free port", found, f"{host}:{port}", "choose another port") from error


if __name__ == "__main__":
    sys.exit(main())
