"""What the kernel is asked, in order: a record is synced before its answer is sent."""

import re
import shutil
from pathlib import Path

import psutil
import pytest

from tests.serving.tiny_model import Made, Start, json_rows

_CALLS = "trace=write,writev,sendto,sendmsg,pwrite64,fsync,fdatasync"


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_no_answer_is_sent_before_its_record_is_synced(
    start: Start, made: Made, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    server = start(before=["strace", "-f", "-y", "-s", "40", "-o", str(trace), "-e", _CALLS])
    rows = json_rows(made.frame.head(20))
    for row in rows:
        assert server.post({"instances": [row]})[0] == 200
    assert server.post({"key": {"time": "2013-01-01", "flight": 1}, "label": 1}, "/feedback") == (
        200,
        {"accepted": 1},
    )
    for child in psutil.Process(server.process.pid).children():
        child.terminate()
    server.process.wait(30)
    steps = "".join(map(_step, trace.read_text().splitlines()))
    # The first answer is of /health. From then on each request in turn: its pages are written,
    # the write-ahead log is synced, the answer is sent.
    with_record = [one for one in steps.split("a")[1:-1] if one]
    assert len(with_record) == len(rows) + 1
    assert all(re.fullmatch(r"w+s", one) for one in with_record), steps
    # The name of the first file is on disk before the first answer as well.
    begun = trace.read_text().partition("HTTP/1.1 200")[0]
    assert re.search(rf"sync\(\d+<{re.escape(str(tmp_path))}>\) = 0", begun)


def _step(line: str) -> str:
    """`w` a write to the write-ahead log, `s` the end of its sync, `a` an answer."""
    if "HTTP/1.1 200" in line:
        return "a"
    if "-wal>" in line and "pwrite64(" in line:
        return "w"
    # A call that is cut by one of another thread ends in a line of its own.
    ended = "= 0" in line and re.search(r"f(data)?sync(\(| resumed)", line)
    return "s" if ended and ("-wal>" in line or "resumed" in line) else ""
