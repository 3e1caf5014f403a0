"""Late labels at a running server: strict, durable before the answer, collected exactly once."""

import http.client
import json
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from retrue.labelling import labels
from retrue.monitoring import collect
from retrue.serving.log_reading import FEEDBACK_COLUMNS, read_after, read_feedback_after
from tests.serving.tiny_model import Made, Server, Start, json_rows

NOW = datetime(2024, 3, 1, tzinfo=UTC)
KEY = {"time": "2013-01-01T00:07:00Z", "flight": 7}


def feedback(log: Path) -> list[dict[str, Any]]:
    return [dict(zip(FEEDBACK_COLUMNS, row, strict=True)) for row in read_feedback_after(log, 0)]


def test_labels_are_in_the_log_when_they_are_answered(start: Start) -> None:
    server = start()
    before_us = time.time_ns() // 1000
    one = {"key": KEY, "label": 1}
    assert server.post(one, "/feedback") == (200, {"accepted": 1})
    several = [
        {"key": {"flight": 8, "time": "2013-01-01 01:00"}, "label": 0.1, "known_at": "2013-01-02"},
        {"prediction_id": "abc", "label": "überpünktlich", "known_at": "2013-01-02T03:00+01:00"},
        {"prediction_id": "abd", "label": 12345678901234567890},
    ]
    assert server.post(several, "/feedback") == (200, {"accepted": 3})
    rows = feedback(server.log)
    assert [row["label"] for row in rows] == ["1", "0.1", '"überpünktlich"', "12345678901234567890"]
    assert [row["key"] for row in rows][:2] == [
        '{"time":"2013-01-01T00:07:00Z","flight":7}',
        '{"time":"2013-01-01 01:00","flight":8}',
    ]
    assert [row["prediction_id"] for row in rows] == [None, None, "abc", "abd"]
    assert [row["known_at"] for row in rows] == [
        None,
        "2013-01-02T00:00:00+00:00",
        "2013-01-02T02:00:00+00:00",
        None,
    ]
    assert all(before_us <= row["received_at_us"] <= time.time_ns() // 1000 for row in rows)
    assert read_after(server.log, 0) == []


def soon(**ahead: int) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


WRONG: list[Any] = [
    b"",
    b"null",
    b"[]",
    b"5",
    b'"secret"',
    b"{",
    b"[" * 10_000,
    b'{"label": NaN, "prediction_id": "a"}',
    b'{"label": 1e999, "prediction_id": "a"}',
    b'{"label": 1' + b"0" * 400 + b', "prediction_id": "a"}',
    b'{"label": "\xff", "prediction_id": "a"}',
    b'{"label": "\\ud800", "prediction_id": "a"}',
    b'{"label": 1, "label": 0, "prediction_id": "a"}',
    b'{"label": 1, "key": {"time": "secret", "flight": 1, "\\u0066light": 2}}',
    {"label": 1},
    {"prediction_id": "secret"},
    {"label": None, "prediction_id": "a"},
    {"label": True, "prediction_id": "a"},
    {"label": "", "prediction_id": "a"},
    {"label": "secret" * 200, "prediction_id": "a"},
    {"label": [1], "prediction_id": "a"},
    {"label": 1, "prediction_id": None},
    {"label": 1, "prediction_id": 5},
    {"label": 1, "key": KEY, "prediction_id": "a"},
    {"label": 1, "key": {"flight": 7}},
    {"label": 1, "key": {**KEY, "secret": 7}},
    {"label": 1, "key": {**KEY, "flight": None}},
    {"label": 1, "key": {**KEY, "flight": [7]}},
    {"label": 1, "key": "secret"},
    {"label": 1, "key": KEY, "secret": 1},
    {"label": 1, "key": KEY, "known_at": "secret"},
    {"label": 1, "key": KEY, "known_at": 5},
    {"label": 1, "key": KEY, "known_at": "0001-01-01T00:00:00+05:00"},
    {"label": 1, "key": KEY, "known_at": soon(days=1)},
    [{"label": 1, "key": KEY}, {"label": "secret"}],
    [[{"label": 1, "key": KEY}]],
]


def test_wrong_labels_are_refused_whole_without_an_echo(start: Start) -> None:
    server = start()
    for body in WRONG:
        status, answer = server.post(body, "/feedback")
        assert (status, list(answer)) == (400, ["error"]), body
        assert "secret" not in answer["error"]
        assert len(answer["error"]) < 300
    assert feedback(server.log) == []
    status, answer = server.post([{"label": 1, "key": KEY}, {"label": 2}], "/feedback")
    assert answer["error"].startswith("label 1, field key: expected a key or a prediction_id")
    assert server.post({"label": 1, "key": KEY, "known_at": soon(minutes=1)}, "/feedback")[0] == 200
    assert server.post(b" " * (9 * 2**20), "/feedback")[0] == 413


def test_what_was_answered_survives_kill_9(start: Start, made: Made) -> None:
    server = start()
    row = json_rows(made.frame.head(1))[0]
    answered: list[int] = []

    def send(number: int) -> None:
        label = {"key": {**KEY, "flight": number}, "label": number % 2}
        try:
            server.post({"instances": [row]})  # the two kinds share their commits
            status, answer = server.post([label, label], "/feedback")
        except (OSError, http.client.HTTPException):
            return
        assert (status, answer) == (200, {"accepted": 2})
        answered.append(number)
        if len(answered) == 50:
            server.process.kill()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(200)))
    assert 50 <= len(answered) < 200
    kept = [json.loads(entry["key"])["flight"] for entry in feedback(server.log)]
    assert all(kept.count(number) == 2 for number in answered)
    assert all(kept.count(number) in (0, 2) for number in range(200))


def test_a_full_disk_answers_503(start: Start) -> None:
    server = start(limit_bytes=200 * 1024)
    body = [{"key": {**KEY, "flight": number}, "label": "x" * 500} for number in range(50)]
    statuses = [server.post(body, "/feedback")[0] for _ in range(30)]
    assert set(statuses) == {200, 503}
    assert server.get("/health")["status"] == "ok"
    server.stop()
    assert len(feedback(server.log)) == 50 * statuses.count(200)


@pytest.fixture
def serve_home(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Server]:
    """A server whose log lies where `collect` looks for those of `tiny`."""

    def make() -> Server:
        folder = tmp_path / "home" / "serving" / "tiny"
        folder.mkdir(parents=True)
        (folder / "predictions").symlink_to(tmp_path, target_is_directory=True)
        monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))
        return start()

    return make


def test_collecting_moves_each_label_once_to_the_row_it_is_of(
    serve_home: Callable[[], Server], made: Made
) -> None:
    server = serve_home()
    rows = json_rows(made.frame.head(3))
    rows[1]["time"] = "2013-01-01T01:01:00+01:00"
    del rows[2]["flight"]
    ids = server.post({"instances": rows})[1]["prediction_ids"]
    late = [
        {"prediction_id": ids[0], "label": 1, "known_at": "2013-01-02"},
        {"prediction_id": ids[1], "label": 0},
        {"prediction_id": ids[2], "label": 1},
        {"prediction_id": "unknown", "label": 1},
    ]
    assert server.post(late, "/feedback")[0] == 200
    assert collect("tiny", NOW) == 3
    first = '{"time":"2013-01-01T00:00:00Z","flight":0}'
    found = labels.as_known_at("tiny", datetime.now(UTC))
    assert dict(zip(found["key"], found["value"], strict=True)) == {
        first: 1,
        '{"time":"2013-01-01T00:01:00Z","flight":1}': 0,
    }
    assert labels.as_known_at("tiny", NOW)["key"].tolist() == [first]
    assert set(found["recorded_at"]) == {NOW}
    assert set(found["source"]) == {f"feedback {server.log.name}"}
    assert labels.summary("tiny")["without_row"] == 2
    correction = {"key": {"flight": 0, "time": "2013-01-01 00:00"}, "label": 0}
    assert server.post(correction, "/feedback")[0] == 200
    for _ in range(2):
        assert collect("tiny", NOW + timedelta(days=1)) == 0
        assert labels.summary("tiny")["labels"] == 5
    assert labels.history("tiny", KEY | {"time": "2013-01-01", "flight": 0})["value"].tolist() == [
        1,
        0,
    ]


def test_a_log_from_before_there_were_labels_is_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path))
    folder = tmp_path / "serving" / "tiny" / "predictions"
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "1-old.sqlite") as old:
        old.execute(
            "CREATE TABLE predictions (seq INTEGER PRIMARY KEY, prediction_id, received_at_us, "
            "event_time, key, row, score, decision, model_version, bundle_sha256)"
        )
    old.close()
    assert collect("tiny", NOW) == 0
    assert labels.summary("tiny")["labels"] == 0
