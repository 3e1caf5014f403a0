"""A real file system of two megabytes: full, nothing is answered that is not in the log."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retrue.serving.log_reading import read_after
from tests.serving.tiny_model import Made, Server, Start, json_rows

_AS_ROOT = [] if os.getuid() == 0 else ["sudo", "-n"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    options = f"size=2m,mode=0777,uid={os.getuid()}"
    mount = [*_AS_ROOT, "mount", "-t", "tmpfs", "-o", options, "none", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    yield place
    subprocess.run([*_AS_ROOT, "umount", "--lazy", str(place)], check=True)


def fill(server: Server, body: Any) -> list[tuple[int, dict[str, Any]]]:
    """Ask until the disk has been full for 20 requests."""
    answers = []
    for _ in range(2_000):
        answers.append(server.post(body))
        if len(answers) > 20 and all(_is_unlogged(one) for one in answers[-20:]):
            return answers
    raise AssertionError("the disk never became full")


def _is_unlogged(answer: tuple[int, dict[str, Any]]) -> bool:
    return answer[0] == 503 or answer[1]["prediction_ids"][0] is None


def test_on_a_full_disk_every_answer_is_503_until_there_is_space(
    start: Start, made: Made, small_disk: Path
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2**20))
    server = start(log_dir=small_disk)
    body = {"instances": json_rows(made.frame.head(40))}
    answers = fill(server, body)
    assert {str(answer) for status, answer in answers if status != 200} == {
        "{'error': 'the prediction log takes no records'}"
    }
    assert server.post({"key": {"time": "2013-01-01", "flight": 1}, "label": 1}, "/feedback")[
        0
    ] in {
        200,  # a label is short: it may fit where a row does not
        503,
    }
    ballast.unlink()
    answers += [server.post(body) for _ in range(3)]
    assert [status for status, _ in answers[-3:]] == [200] * 3
    answered = [
        one for status, answer in answers if status == 200 for one in answer["prediction_ids"]
    ]
    logged = [row[1] for row in read_after(server.log, 0)]
    assert len(set(logged)) == len(logged)
    assert set(answered) <= set(logged)
    assert server.get("/health")["unlogged_rows"] == 0
    server.stop()


def test_a_server_that_prefers_answers_says_which_have_no_record(
    start: Start, made: Made, small_disk: Path
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2**20))
    server = start(log_dir=small_disk, options=["--on-log-failure", "answer"])
    rows = made.frame.head(40)
    answers = fill(server, {"instances": json_rows(rows)})
    assert {status for status, _ in answers} == {200}
    assert answers[-1][1]["predictions"] == made.scores(rows)
    assert answers[-1][1]["prediction_ids"] == [None] * 40
    unlogged = sum(one is None for _, answer in answers for one in answer["prediction_ids"])
    assert server.get("/health")["unlogged_rows"] == unlogged
    # A label is nothing that was asked for: it is taken, or it is not.
    labels = [{"key": {"time": "2013-01-01", "flight": i}, "label": 1} for i in range(10_000)]
    assert server.post(labels, "/feedback")[0] == 503
    ballast.unlink()
    status, answer = server.post({"instances": json_rows(rows)})
    assert (status, None in answer["prediction_ids"]) == (200, False)
    given = {one for _, answer in answers for one in answer["prediction_ids"]} - {None}
    assert given <= {row[1] for row in read_after(server.log, 0)}
    said = server.errors.read_text()
    assert said.count("answered without a record") == 1  # once a minute
    assert str(server.log) in said
    server.stop()


def test_a_full_disk_at_the_start_is_one_line(start: Start, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(2**21 - 4096))
    began = time.monotonic()
    with pytest.raises(AssertionError, match=r"no server: retrue\.serving: .*disk"):
        start(log_dir=small_disk)
    assert time.monotonic() - began < 30
