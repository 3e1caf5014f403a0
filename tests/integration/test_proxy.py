"""The proxy loses no request, sends none twice, and comes back as it was."""

import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from retrue import engine, images, processes, proxy, proxy_commands, slots
from retrue.config import Problem
from retrue.errors import DeployError
from retrue.probes import is_healthy
from retrue.proxy_config import config_path, socket_path
from retrue.refs import BundleRef, ServingRef
from retrue.rollout.course import roll_out
from retrue.serving.log_reading import read_after
from tests.integration.tiny_service import NAME, Load, ask

Bundles = tuple[BundleRef, BundleRef]
Record = Callable[[str, object], None]


def swap_under_load(
    problem: Problem, bundles: Bundles, n_swaps: int, target: str, ready: list[str | None]
) -> Load:
    """Bring versions 1, 2, 3 ... into service while clients ask; what the clients got."""
    roll_out(problem, bundles[0], 1, target, image=ready[0])
    with Load(problem.serving.port) as load:
        for swap in range(1, n_swaps + 1):
            time.sleep(0.2)
            roll_out(problem, bundles[swap % 2], swap + 1, target, image=ready[swap % 2])
        time.sleep(0.2)
    return load


def n_logged(problem: Problem) -> int:
    """Predictions in all logs."""
    logs = slots.predictions_dir(problem.name).glob("*.sqlite")
    return sum(len(read_after(log, 0)) for log in logs)


@pytest.mark.timeout(120)
def test_five_swaps_of_processes_under_load_lose_and_double_no_request(
    problem: Problem, bundles: Bundles, record_property: Record
) -> None:
    load = swap_under_load(problem, bundles, 5, slots.PROCESS, [None, None])
    assert load.lost == []
    assert load.versions == {1, 2, 3, 4, 5, 6}
    assert load.n_answered > 500
    assert n_logged(problem) == load.n_answered
    record_property("n_answered", load.n_answered)


@pytest.mark.docker
@pytest.mark.timeout(180)
def test_five_swaps_of_containers_under_load_lose_and_double_no_request(
    problem: Problem, bundles: Bundles, docker_engine: "engine.Engine", record_property: Record
) -> None:
    base = images.ensure_base_image(docker_engine, problem.serving.base_image)
    ready: list[str | None] = [
        images.build_image(docker_engine, bundle, 1, base) for bundle in bundles
    ]
    load = swap_under_load(problem, bundles, 5, slots.CONTAINER, ready)
    assert load.lost == []
    assert load.versions == {1, 2, 3, 4, 5, 6}
    slots.stop_slot(in_service(problem))
    assert n_logged(problem) == load.n_answered
    record_property("n_answered", load.n_answered)


def in_service(problem: Problem) -> ServingRef:
    """What serves now; there must be something."""
    now = proxy.serving_now(problem.name)
    assert now is not None
    return now


def test_the_free_slot_is_the_one_that_does_not_serve(problem: Problem, bundles: Bundles) -> None:
    assert proxy.serving_now(NAME) is None
    assert proxy.free_slot(NAME) == "a"
    first = roll_out(problem, bundles[0], 1, slots.PROCESS)
    assert (first.slot, proxy.free_slot(NAME)) == ("a", "b")
    assert proxy.serving_now(NAME) == first
    second = roll_out(problem, bundles[1], 2, slots.PROCESS)
    assert (second.slot, proxy.free_slot(NAME)) == ("b", "a")
    assert not is_healthy(first)
    assert is_healthy(second)


@contextmanager
def stub_server(answer: bytes, gate: threading.Event) -> Iterator[tuple[int, list[bytes]]]:
    """A server that keeps what it gets, waits for `gate` and sends `answer`, maybe nothing."""
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    got.append(connection.recv(65536))
                    gate.wait(20)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], got
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def stub_ref(slot: str, port: int) -> ServingRef:
    """A reference to a stub server; nobody looks at anything but slot and address."""
    return ServingRef(
        problem=NAME,
        slot=slot,
        target=slots.CONTAINER,
        host="127.0.0.1",
        port=port,
        handle="none",
        model_version=1,
        bundle_sha256="0" * 64,
        boot_nonce="stub",
    )


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"


def test_a_request_in_flight_is_finished_by_the_old_server(problem: Problem) -> None:
    proxy.ensure_proxy(NAME, problem.serving.port)
    is_open, gate = threading.Event(), threading.Event()
    is_open.set()
    answers: list[tuple[int, object]] = []
    with (
        stub_server(OK + b"old", gate) as (old, got),
        stub_server(OK + b"new", is_open) as (new, _),
    ):
        proxy.switch(NAME, stub_ref("a", old))
        client = threading.Thread(
            target=lambda: answers.append(ask(problem.serving.port, "/invocations", b"{}"))
        )
        client.start()
        while not got:
            time.sleep(0.01)
        proxy.switch(NAME, stub_ref("b", new))
        waiting = threading.Thread(target=proxy_commands.wait_idle, args=(NAME, "a"))
        waiting.start()
        time.sleep(0.1)
        assert waiting.is_alive()
        assert ask(problem.serving.port) == (200, b"new")
        gate.set()
        client.join()
        waiting.join()
    assert answers == [(200, b"old")]


def test_a_request_that_may_have_been_scored_is_not_sent_again(problem: Problem) -> None:
    proxy.ensure_proxy(NAME, problem.serving.port)
    gate = threading.Event()
    gate.set()
    with stub_server(b"", gate) as (port, got):
        proxy.switch(NAME, stub_ref("a", port))
        status, _ = ask(problem.serving.port, "/invocations", b"{}")
        time.sleep(0.1)
    assert status == 502
    assert len(got) == 1


def test_a_proxy_that_was_killed_comes_back_with_the_last_switch(
    problem: Problem, bundles: Bundles
) -> None:
    for version, bundle in enumerate(bundles, 1):
        roll_out(problem, bundle, version, slots.PROCESS)
    pid = proxy.ensure_proxy(NAME, problem.serving.port)
    os.kill(pid, signal.SIGKILL)
    while processes.alive(f"proxy-{NAME}"):
        time.sleep(0.01)
    with pytest.raises(DeployError, match="retrue up"):
        proxy.switch(NAME, in_service(problem))
    assert proxy.ensure_proxy(NAME, problem.serving.port) != pid
    assert ask(problem.serving.port)[1]["model_version"] == 2


def test_a_running_proxy_is_kept_and_a_half_done_switch_undone(
    problem: Problem, bundles: Bundles
) -> None:
    first = roll_out(problem, bundles[0], 1, slots.PROCESS)
    pid = proxy.ensure_proxy(NAME, problem.serving.port)
    state = (config_path(NAME).parent / "serving.json").read_text()
    with stub_server(b"", threading.Event()) as (port, got):
        proxy.switch(NAME, stub_ref("b", port))
        # As if the switch had been killed before it was written down.
        (config_path(NAME).parent / "serving.json").write_text(state)
        assert proxy.ensure_proxy(NAME, problem.serving.port) == pid
        assert proxy.serving_now(NAME) == first
        for _ in range(4):
            assert ask(problem.serving.port)[1]["boot_nonce"] == first.boot_nonce
        assert got == []


def test_a_port_that_is_taken_is_named(problem: Problem) -> None:
    port = problem.serving.port
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(DeployError, match=str(port)),
    ):
        proxy.ensure_proxy(NAME, port)
    assert not processes.alive(f"proxy-{NAME}")


def test_another_port_moves_the_proxy_there(problem: Problem, bundles: Bundles) -> None:
    roll_out(problem, bundles[0], 1, slots.PROCESS)
    other = processes.free_port()
    proxy.ensure_proxy(NAME, other)
    assert ask(other)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        ask(problem.serving.port)


def test_a_state_folder_with_a_long_path_works(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_home = tmp_path / ("x" * 100)
    monkeypatch.setenv("RETRUE_HOME", str(long_home))
    try:
        proxy.ensure_proxy(NAME, problem.serving.port)
        assert len(str(socket_path(NAME))) < 100
        assert str(socket_path(NAME)) in config_path(NAME).read_text()
        assert ask(problem.serving.port)[0] == 503  # nothing serves yet
    finally:
        proxy.stop_proxy(NAME)
        assert not socket_path(NAME).exists()
        shutil.rmtree(long_home)


def test_the_proxy_listens_on_the_loopback_address_only(problem: Problem) -> None:
    proxy.ensure_proxy(NAME, problem.serving.port)
    text = config_path(NAME).read_text()
    assert [line.split()[1] for line in text.splitlines() if line.strip().startswith("bind")] == [
        f"127.0.0.1:{problem.serving.port}"
    ]
