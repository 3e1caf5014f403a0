"""Replay and steady traffic against a real server."""

import json
import socket
import time

import numpy as np
import pandas as pd
import pytest

from retrue.replay import Traffic, replay
from retrue.serving.log_reading import read_after
from tests.serving.tiny_model import Made, Start, make_frame


@pytest.mark.parametrize("group_by", ["hour", 100])
def test_every_row_is_sent_once_with_all_its_bits(
    start: Start, made: Made, group_by: str | int
) -> None:
    server = start()
    frame = make_frame(950, seed=31)
    seen: list[tuple[int, int]] = []
    shuffled = frame.sample(frac=1, random_state=1)
    result = replay(shuffled, server.url, group_by, "time", lambda *step: seen.append(step))
    requests = frame["hour"].nunique() if group_by == "hour" else 10
    assert (result.requests, result.rows, result.failed) == (requests, 950, 0)
    assert max(seen) == (requests, requests)
    written = read_after(server.log, 0)
    scores = {json.loads(str(row[4]))["flight"]: row[6] for row in written}
    assert [scores[flight] for flight in frame["flight"]] == made.scores(frame)
    assert {row[3] for row in written} == set(frame["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))


def test_failures_are_counted(start: Start) -> None:
    server = start()
    wrong = make_frame(30, seed=1).drop(columns="wind")
    result = replay(wrong, server.url, 10)
    assert (result.requests, result.rows, result.failed) == (3, 0, 3)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert replay(wrong, nobody, 10).failed == 3
    assert replay(wrong.head(0), nobody, 10).requests == 0


def test_nulls_and_fractions_of_seconds_are_sent(start: Start) -> None:
    server = start()
    frame = make_frame(3, seed=2)
    frame["time"] = frame["time"] + pd.Timedelta(1, "us")
    frame["carrier"] = [None, np.nan, "UA"]
    frame.loc[2, "time"] = pd.NaT
    assert replay(frame, server.url, 10).failed == 0
    written = read_after(server.log, 0)
    assert written[0][3] == "2013-01-01T00:00:00.000001Z"
    assert json.loads(str(written[2][4]))["time"] is None
    assert [json.loads(str(row[5]))["carrier"] for row in written] == [None, None, "UA"]


def test_traffic_reports_versions_and_failures(start: Start) -> None:
    server = start(version=5)
    with Traffic(make_frame(7, seed=3), server.url, interval_s=0.01) as traffic:
        while traffic.report().answered < 20:
            time.sleep(0.02)
        assert server.stop() == 0
        while traffic.report().failed < 2:
            time.sleep(0.02)
    report = traffic.stop()
    assert report.by_model_version == {5: report.answered}
    assert len(read_after(server.log, 0)) == report.answered
