"""The server as a process of its own, over real HTTP."""

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from retrue.serving.log_reading import COLUMNS, read_after
from tests.serving.test_request_bodies import HOSTILE
from tests.serving.tiny_model import Made, Start, json_rows, make_frame


def test_answers_have_the_bits_of_lightgbm_and_are_in_the_log(start: Start, made: Made) -> None:
    server = start(version=3)
    frame = make_frame(400, seed=21)
    rows = json_rows(frame)
    rows[1]["time"] = "2013-01-01T02:01:00+02:00"
    rows[2]["time"] = "no time"
    del rows[3]["flight"]
    expected = made.scores(frame)
    answers = [server.post({"dataframe_records": [row]})[1] for row in rows[:50]]
    split = {"columns": list(rows[50]), "data": [list(row.values()) for row in rows[50:]]}
    status, batch = server.post({"dataframe_split": split})
    assert status == 200
    scores = [answer["predictions"][0] for answer in answers] + batch["predictions"]
    decisions = [answer["decisions"][0] for answer in answers] + batch["decisions"]
    ids = [answer["prediction_ids"][0] for answer in answers] + batch["prediction_ids"]
    assert scores == expected
    assert decisions == [int(score > 0.5) for score in expected]
    assert batch["model_version"] == 3
    written = [dict(zip(COLUMNS, row, strict=True)) for row in read_after(server.log, 0)]
    assert [row["prediction_id"] for row in written] == ids
    assert len(set(ids)) == 400
    assert [row["score"] for row in written] == expected
    assert {row["bundle_sha256"] for row in written} == {made.sha256}
    assert written[0]["event_time"] == "2013-01-01T00:00:00Z"
    assert written[1]["event_time"] == "2013-01-01T00:01:00Z"
    assert str(written[2]["event_time"])[:4] == time.strftime("%Y", time.gmtime())
    assert json.loads(str(written[0]["key"])) == {"time": "2013-01-01T00:00:00Z", "flight": 0}
    assert written[3]["key"] is None
    names = [feature["name"] for feature in made.features]
    assert json.loads(str(written[9]["row"])) == {name: rows[9][name] for name in names}


def test_health_says_what_runs_and_only_known_paths_answer(start: Start, made: Made) -> None:
    server = start(version=4, nonce="abc")
    identity = {
        "problem": "tiny",
        "model_version": 4,
        "bundle_sha256": made.sha256,
        "boot_nonce": "abc",
    }
    assert server.get("/health") == {"status": "ok", **identity, "unlogged_rows": 0}
    assert server.get("/version") == identity
    assert server.get("/ping") == {}
    assert server.post({}, "/nowhere") == (404, {"error": "not found"})
    assert server.post({}, "/ping") == (405, {"error": "method not allowed"})


def test_hostile_bodies_answer_4xx_and_the_server_lives_on(start: Start, made: Made) -> None:
    server = start()
    for body in HOSTILE:
        status, answer = server.post(body)
        assert status == 400
        assert list(answer) == ["error"]
    row = json_rows(made.frame.head(1))[0]
    for wrong in ({"temp": "secret"}, {"wind": True}, {"hour": 10**400}):
        status, answer = server.post({"instances": [row | wrong]})
        assert (status, "secret" in str(answer)) == (400, False)
    assert server.post({"instances": [row]}, "/invocations?log=no")[0] == 400
    assert read_after(server.log, 0) == []
    assert server.post({"instances": [row]})[0] == 200


def test_requests_without_log_leave_no_record_and_carry_no_id(start: Start, made: Made) -> None:
    server = start()
    body = {"instances": json_rows(made.frame.head(20))}
    status, answer = server.post(body, "/invocations?log=false")
    assert status == 200
    assert answer["predictions"] == made.scores(made.frame.head(20))
    assert answer["prediction_ids"] == [None] * 20
    assert read_after(server.log, 0) == []


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_above_the_limit_is_refused_while_it_streams(start: Start, chunked: bool) -> None:
    server = start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    part = b" " * 2**20
    headers = {} if chunked else {"Content-Length": str(20 * 2**20)}
    connection.request("POST", "/invocations", iter([part] * 20), headers, encode_chunked=chunked)
    response = connection.getresponse()
    assert (response.status, "8388608" in json.loads(response.read())["error"]) == (413, True)
    connection.close()
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    peak_kb = int(status.split("VmHWM:")[1].split()[0])
    assert peak_kb < 100_000


def test_a_full_disk_answers_503_and_nothing_unlogged(start: Start, made: Made) -> None:
    server = start(limit_bytes=200 * 1024)
    body = {"instances": json_rows(made.frame.head(50))}
    answers = [server.post(body) for _ in range(60)]
    statuses = [status for status, _ in answers]
    assert set(statuses) == {200, 503}
    assert {str(answer) for status, answer in answers if status == 503} == {
        "{'error': 'the prediction log takes no records'}"
    }
    assert server.get("/health")["status"] == "ok"
    answered = {
        key for status, answer in answers if status == 200 for key in answer["prediction_ids"]
    }
    server.stop()
    assert {row[1] for row in read_after(server.log, 0)} >= answered


def test_what_was_answered_survives_kill_9(start: Start, made: Made) -> None:
    server = start()
    rows = json_rows(made.frame.head(200))
    answered: list[str] = []

    def send(row: dict[str, object]) -> None:
        try:
            status, answer = server.post({"instances": [row]})
        except (OSError, http.client.HTTPException):
            return
        assert status == 200
        answered.extend(answer["prediction_ids"])
        if len(answered) == 60:
            server.process.kill()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, rows))
    assert 60 <= len(answered) < 200
    assert {row[1] for row in read_after(server.log, 0)} >= set(answered)


def test_sigterm_finishes_what_is_in_flight_and_tells_kept_connections(
    start: Start, made: Made
) -> None:
    server = start()
    body = json.dumps({"instances": json_rows(made.frame.head(1))})
    slow = socket.create_connection(("127.0.0.1", server.port), 20)
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    slow.sendall(head.encode() + body[:20].encode())
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    kept.request("POST", "/invocations", body)
    first = kept.getresponse()
    assert (first.status, first.getheader("connection")) == (200, None)
    ids = set(json.loads(first.read())["prediction_ids"])
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.4)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port), 5)
    kept.request("POST", "/invocations", body)
    second = kept.getresponse()
    assert (second.status, second.getheader("connection")) == (200, "close")
    ids |= set(json.loads(second.read())["prediction_ids"])
    time.sleep(1)
    slow.sendall(body[20:].encode())
    answer = b"".join(iter(lambda: slow.recv(65536), b""))
    slow.close()
    assert answer.startswith(b"HTTP/1.1 200")
    ids |= set(json.loads(answer.split(b"\r\n\r\n")[1])["prediction_ids"])
    assert server.process.wait(20) == 0
    assert {row[1] for row in read_after(server.log, 0)} == ids
    assert len(ids) == 3
    assert not list(server.log.parent.glob("*-wal"))


def test_no_request_is_lost_over_sigterm_under_load(start: Start, made: Made) -> None:
    server = start()
    rows = json_rows(made.frame)
    statuses: list[int] = []
    is_stopping = threading.Event()

    def send(thread: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        for row in rows[thread:]:
            connection.request("POST", "/invocations", json.dumps({"instances": [row]}))
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
            if response.getheader("connection") == "close":
                break
        is_stopping.set()

    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(send, thread) for thread in range(6)]
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        for one in done:
            one.result()
    assert server.process.wait(20) == 0
    assert set(statuses) == {200}
    assert len(read_after(server.log, 0)) == len(statuses)


def test_a_busy_port_is_one_line_and_exit_2(start: Start, made: Made) -> None:
    server = start()
    command = [sys.executable, "-m", "retrue.serving", "--bundle", str(made.path), "--sha256"]
    command += [made.sha256, "--port", str(server.port), "--log-dir", os.devnull]
    child = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (child.returncode, child.stderr.count("\n")) == (2, 1)
    assert "expected a free port" in child.stderr


def test_the_server_imports_nothing_heavy() -> None:
    code = "import sys, retrue.serving.app, retrue.serving.__main__, uvicorn; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    heavy = {"numpy", "pandas", "lightgbm", "pydantic", "mlflow", "prefect", "docker", "scipy"}
    assert not heavy & set(modules)
    ours = {name for name in modules if name.startswith("retrue.")}
    assert {name for name in ours if not name.startswith("retrue.serving")} == {"retrue.errors"}


def test_a_log_left_by_kill_9_is_continued_by_the_same_boot(start: Start, made: Made) -> None:
    body = {"instances": json_rows(made.frame.head(3))}
    server = start()
    server.post(body)
    server.process.kill()
    server.process.wait(10)
    again = start()
    again.post(body)
    assert again.stop() == 0
    with sqlite3.connect(again.log) as connection:
        assert connection.execute("SELECT max(seq) FROM predictions").fetchone() == (6,)
    connection.close()
