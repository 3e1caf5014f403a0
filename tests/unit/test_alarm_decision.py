"""The alarm of a check, from a real bundle and a real ledger."""

import hashlib
import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from retrue import ledger, loop_decisions
from retrue.alarms import decision
from retrue.config import Problem
from retrue.config_drift import AlarmWindows
from retrue.ledger import Check, Ledger
from retrue.performance.report import Performance
from retrue.problems import load_problem
from retrue.refs import BundleRef, ModelRef
from tests.unit.test_alarm_policy import REPORT, calibration

ROOT = Path(__file__).parents[2]
LEARNED_UNTIL = date(2013, 4, 1)


@pytest.fixture
def problem() -> Problem:
    flights = load_problem("flights", ROOT)
    changes = {"alarm_windows": AlarmWindows(k=2, n=3), "magnitude_above": 60.0}
    return flights.model_copy(update={"drift": flights.drift.model_copy(update=changes)})


@pytest.fixture
def book(tmp_path: Path) -> Ledger:
    return ledger.connect(f"sqlite:///{tmp_path / 'ledger.db'}")


@pytest.fixture
def model(tmp_path: Path) -> ModelRef:
    return make_model(tmp_path, calibration(temp=0.5).model_dump_json().encode())


def make_model(
    folder: Path, alarms: bytes | None, reference: bytes | None = None, until: date = LEARNED_UNTIL
) -> ModelRef:
    """A version whose bundle holds what alarms need, and no model."""
    given = {"alarms.json": alarms, "reference.parquet": reference}
    files = {name: payload for name, payload in given.items() if payload is not None}
    for name, payload in files.items():
        (folder / name).write_bytes(payload)
    entries = {name: {"sha256": hashlib.sha256(one).hexdigest()} for name, one in files.items()}
    manifest = json.dumps({"data": {"until": str(until)}, "files": entries}).encode()
    (folder / "manifest.json").write_bytes(manifest)
    sha256 = hashlib.sha256(manifest).hexdigest()
    bundle = BundleRef(problem="flights", path=folder, sha256=sha256)
    return ModelRef(problem="flights", version=1, run_id="run", bundle=bundle)


def checked(book: Ledger, problem: Problem, model: ModelRef, until: date) -> Check:
    """Temperature moved in this window, the magnitude did not."""
    report = decision.with_alarm(book, problem, model, until, REPORT)
    since = until - timedelta(days=30)
    return loop_decisions.decide(book, "flights", model.version, since, until, report, None)


def test_the_second_window_of_drift_alarms_and_the_report_keeps_the_comparison(
    book: Ledger, problem: Problem, model: ModelRef
) -> None:
    first, second = (checked(book, problem, model, date(2013, 5, day)) for day in (1, 2))
    assert (first.verdict, second.verdict) == ("no drift", "drift")
    report = json.loads(first.report_json)
    assert (report["verdict"], report["alarm"]["vote"]) == ("no drift", "drift")
    assert report["alarm"]["held_back"] == "too few windows"
    assert [one.id for one in ledger.open_decisions(book, "flights")] == [second.id]
    assert loop_decisions.announcement(second)["reason"].startswith("temp moved beyond")


def test_another_model_version_counts_its_own_windows(
    book: Ledger, problem: Problem, model: ModelRef
) -> None:
    checked(book, problem, model, date(2013, 5, 1))
    other = model.model_copy(update={"version": 2})
    assert checked(book, problem, other, date(2013, 5, 2)).verdict == "no drift"


def test_an_answered_retraining_and_the_models_own_data_keep_quiet_for_a_while(
    book: Ledger, problem: Problem, model: ModelRef
) -> None:
    for day in (3, 4):
        said = json.loads(checked(book, problem, model, date(2013, 4, day)).report_json)
        assert said["alarm"]["held_back"] == ("cool-down")
    alarm = checked(book, problem, model, date(2013, 5, 1))
    assert alarm.verdict == "drift"
    claim = ledger.claim_retraining(book, "flights", alarm.trigger_key)
    loop_decisions.finish_retraining(book, claim, "refused", {})
    assert checked(book, problem, model, date(2013, 5, 7)).verdict == "no drift"
    assert checked(book, problem, model, date(2013, 5, 8)).verdict == "drift"


def judged(book: Ledger, until: date, basis: str, asks: str | None) -> None:
    """What was found of the performance of a window of ten days."""
    none = {"n_rows": 600, "n_days": 10}
    found = Performance.model_validate(
        {
            "verdict": "worse" if asks else "ok",
            "basis": basis,
            "metric": "log_loss",
            "baseline": 0.4,
            "asks": asks,
            "estimated": none,
            "realised": {"n_labelled": 600, "share_labelled": 1, "n_days": 10},
            "is_right": None,
            "concept": {"verdict": "changed", "reason": "it moved"},
            "trust": {"state": "untested", "n_scored": 0, "reason": "new"},
            "reason": f"log_loss {basis} 0.7",
        }
    )
    ledger.record_performance(
        book, "flights", 1, str(until - timedelta(days=10)), str(until),
        verdict=found.verdict, n_rows=600, n_labelled=600, is_right=None,
        report_json=found.model_dump_json(),
    )  # fmt: skip


def test_labels_of_an_earlier_window_that_show_the_version_worse_are_drift(
    book: Ledger, problem: Problem, model: ModelRef
) -> None:
    still = REPORT.model_copy(update={"features": ()})

    def vote(until: date, of: ModelRef = model) -> str:
        alarm = decision.with_alarm(book, problem, of, until, still).alarm
        assert alarm is not None
        return alarm.vote

    judged(book, date(2013, 5, 1), "realised", "retraining")
    judged(book, date(2013, 5, 20), "estimated", "human")
    assert vote(date(2013, 6, 1)) == "drift"
    assert vote(date(2013, 4, 30)) == "no drift", "labels of later days are not known then"
    assert vote(date(2013, 6, 1), model.model_copy(update={"version": 2})) == "no drift"
    reason = decision.worse_by_labels(book, model, date(2013, 6, 1))
    assert reason == "log_loss realised 0.7 (2013-04-21 to 2013-05-01)"
    judged(book, date(2013, 5, 25), "realised", None)
    assert vote(date(2013, 6, 1)) == "no drift", "newer labels find nothing wrong"


def test_a_bundle_from_before_thresholds_alarms_by_its_magnitude_and_warns(
    book: Ledger, problem: Problem, tmp_path: Path
) -> None:
    model = make_model(tmp_path, None)
    report = decision.with_alarm(book, problem, model, date(2013, 5, 1), REPORT)
    assert report.alarm is not None
    assert report.alarm.verdict == "no drift"
    assert "train again to calibrate" in report.alarm.warnings[0]
    assert decision.threshold(problem, model) == 60
