"""The processing-performance gate: measured on a server that really runs, and gone afterwards."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from retrue.config import Gate
from retrue.evidence import performance
from retrue.home import run_dir
from retrue.refs import BundleRef
from tests.serving.tiny_model import make_bundle, write_manifest


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BundleRef:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))
    made = make_bundle(tmp_path / "bundle")
    return BundleRef(problem="tiny", path=made.path, sha256=made.sha256)


def test_a_server_of_the_bundle_is_measured_and_leaves_nothing(bundle: BundleRef) -> None:
    with performance.probing(bundle, 30) as probe:
        found = probe.measure(Gate(max_p99_ms=5_000, min_rows_per_s=1))
    assert found.holds and found.reasons == ()
    assert found.p50_ms is not None and found.p99_ms is not None
    assert 0 < found.p50_ms <= found.p99_ms
    assert found.rows_per_s is not None and found.rows_per_s > 100
    assert found.memory_mb is not None and 10 < found.memory_mb < 300
    assert probe.process.poll() is not None
    assert list(run_dir().iterdir()) == []


def test_a_probe_that_is_told_to_end_does_so_in_order(bundle: BundleRef) -> None:
    with performance.probing(bundle, 30) as probe:
        probe.measure(Gate())
        probe.process.terminate()
        assert probe.process.wait(30) == 0


def test_limits_that_are_missed_are_told_with_both_figures(bundle: BundleRef) -> None:
    rules = Gate(max_p99_ms=1e-6, min_rows_per_s=1e12, max_memory_mb=0.5)
    with performance.probing(bundle, 30) as probe:
        found = probe.measure(rules)
    assert not found.holds
    assert found.reasons[0].startswith("p99 of one-row requests")
    assert "1,000,000,000,000 wanted" in found.reasons[1]
    assert "at most 0.5 wanted" in found.reasons[2]


def test_other_scores_than_the_golden_ones_are_refused(bundle: BundleRef) -> None:
    path = bundle.path / "golden.json"
    golden = json.loads(path.read_text())
    golden["scores"][3] += 1e-9
    path.write_text(json.dumps(golden))
    other = bundle.model_copy(update={"sha256": write_manifest(bundle.path)})
    with performance.probing(other, 30) as probe:
        found = probe.measure(Gate())
    assert not found.holds
    assert found.p99_ms is None
    assert "golden score" in found.reasons[0]


def test_a_probe_ends_with_the_process_that_started_it_even_when_that_is_killed(
    bundle: BundleRef,
) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from retrue.evidence import performance; from retrue.refs import BundleRef\n"
        "ref = BundleRef.model_validate_json(sys.argv[1])\n"
        "with performance.probing(ref, 30) as probe:\n"
        "    print(probe.process.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, bundle.model_dump_json()], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.stdout.close()
    time.sleep(1)  # far enough to serve
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait(10)
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the probe outlived its parent"
        time.sleep(0.05)
    (left,) = run_dir().iterdir()
    with performance.probing(bundle, 30) as other:
        assert not left.exists()
        (mine,) = run_dir().iterdir()
        with performance.probing(bundle, 30):
            assert mine.exists(), "a probe beside it is no leftover"
    assert other.process.poll() is not None
    assert list(run_dir().iterdir()) == []
