"""What one process hands over is what the other gets."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from retrue.handover import handed_over

ECHO = """
import pickle, sys
from retrue.handover import receive
while True:
    try:
        value = receive(sys.stdin.buffer)
    except EOFError:
        break
    for name in value if hasattr(value, "columns") else ():
        if value[name].dtype == "float64":
            value[name] += 1
    pickle.dump(value, sys.stdout.buffer, protocol=5)
    sys.stdout.buffer.flush()
"""


@pytest.fixture(scope="module")
def echo() -> Iterator["subprocess.Popen[bytes]"]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", ECHO], **pipes) as child:  # type: ignore[call-overload]
        yield child


def sent(echo: "subprocess.Popen[bytes]", value: object) -> object:
    assert echo.stdin is not None and echo.stdout is not None
    with handed_over(echo.stdin, value):
        return pickle.load(echo.stdout)


@pytest.mark.parametrize("n_rows", [0, 1, 100_003])
def test_a_table_arrives_whole_and_may_be_written_to(
    echo: "subprocess.Popen[bytes]", n_rows: int
) -> None:
    rows = np.arange(n_rows)
    frame = pd.DataFrame(
        {
            "x": np.where(rows % 7 == 3, np.nan, rows / 3),
            "y": rows / 7,
            "n": rows,
            "b": rows % 2 == 0,
            "c": pd.Categorical.from_codes(rows % 3, pd.Index(["a", "b", "ü"])),
            "t": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(rows, "s"),
            "o": pd.Series([f"text {row}" for row in rows], dtype=object),
        },
        index=pd.Index(rows * 2 + 5),
    )
    before = frame.copy()

    got = sent(echo, frame)

    assert isinstance(got, pd.DataFrame)
    pd.testing.assert_frame_equal(got, before.assign(x=before["x"] + 1, y=before["y"] + 1))
    pd.testing.assert_frame_equal(frame, before)


def test_a_value_without_columns_arrives_too(echo: "subprocess.Popen[bytes]") -> None:
    assert sent(echo, [{"a": (1, None)}, "text"]) == [{"a": (1, None)}, "text"]


def test_nothing_stays_open_behind_it(echo: "subprocess.Popen[bytes]") -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        sent(echo, pd.DataFrame({"x": np.zeros(10)}))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_reader_that_is_gone_is_an_error_of_the_system() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with (
        os.fdopen(writer, "wb", buffering=0) as pipe,
        pytest.raises(BrokenPipeError),
        handed_over(pipe, np.zeros(1000)),
    ):
        pytest.fail("it was handed to nobody")
