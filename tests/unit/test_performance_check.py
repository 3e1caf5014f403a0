"""Checks from the lake to the ledger: estimates, labels that come later, trust, three answers."""

import json
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrue import bundles, experiment, ledger
from retrue.config import Problem
from retrue.labelling import labels
from retrue.lake import write_version
from retrue.ledger import Ledger
from retrue.performance import estimated, holdout, page
from retrue.performance import rows as performance_rows
from retrue.performance.check import check
from retrue.performance.report import Performance
from retrue.prediction_table import append_predictions
from retrue.problems import load_problem
from retrue.refs import BundleRef
from retrue.row_json import rows_as_json
from tests.unit import late_labels
from tests.unit.conftest import Small
from tests.unit.synthetic import learnable

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
MADE_BY = {"code_commit": "c0ffee", "lock_sha256": "0" * 64}
SERVED = date(2024, 1, 14), date(2024, 1, 19)
NEXT = date(2024, 1, 19), date(2024, 1, 24)


@pytest.fixture
def problem(small: Small) -> Problem:
    """Visits, of which a week is held out; few leaves and large steps make honest scores."""
    found = load_problem("visits", small.root)
    params = {"learning_rate": 0.3, "num_leaves": 4, "min_data_in_leaf": 40}
    training = found.training.model_copy(update={"holdout_days": 7, "params": params})
    return found.model_copy(update={"training": training})


@pytest.fixture
def book(small: Small) -> Ledger:
    return ledger.connect()


def write_data(frame: pd.DataFrame, until: str) -> Any:
    rows = frame[frame["at"] < pd.Timestamp(until, tz="UTC")]
    return write_version("visits", rows, ["visit"], until)


def serve(problem: Problem, bundle: BundleRef, frame: pd.DataFrame) -> None:
    """Put a model's answers to rows from the 14th on into the lake."""
    rows = frame[frame["at"] >= pd.Timestamp("2024-01-14", tz="UTC")].reset_index(drop=True)
    names = [*problem.features.numeric, *problem.features.categorical]
    records = pd.DataFrame(
        {
            "prediction_id": [f"id{n}" for n in rows["visit"]],
            "received_at_us": np.arange(len(rows)),
            "event_time": rows["at"].astype("datetime64[us, UTC]"),
            "key": [json.dumps({"visit": n}) for n in rows["visit"].tolist()],
            "row": list(rows_as_json(rows[names])),
            "score": bundles.score_with(bundle, rows),
            "decision": 0,
            "model_version": 1,
            "bundle_sha256": bundle.sha256,
        }
    )
    assert append_predictions("visits", "1-a.sqlite", len(rows), records)


@pytest.fixture
def served(problem: Problem) -> pd.DataFrame:
    """All rows there ever are; a model of those before the 14th answered the others."""
    frame = learnable()
    bundle = experiment.fit_bundle(problem, write_data(frame, "2024-01-14"), MADE_BY)
    serve(problem, bundle, frame)
    return frame


def checked(book: Ledger, problem: Problem, window: tuple[date, date] = SERVED) -> Performance:
    return check(book, problem, 1, *window, NOW)


def test_a_window_is_estimated_first_and_realised_when_its_labels_have_come(
    book: Ledger, problem: Problem, served: pd.DataFrame
) -> None:
    first = checked(book, problem)
    assert (first.basis, first.verdict, first.trust.state) == ("estimated", "ok", "untested")
    assert first.realised.reason == "no labels yet"
    assert first.concept.verdict == "cannot tell"
    write_data(served, "2024-01-20")
    later = checked(book, problem, NEXT)
    assert later.verdict == "cannot tell"
    assert later.trust.state == "trusted"
    (row, _) = ledger.performance_checks(book, "visits", 1)
    assert (row.is_right, row.n_labelled) == (True, row.n_rows)
    judged = Performance.model_validate_json(row.report_json)
    assert judged.estimated == first.estimated
    assert (judged.basis, judged.verdict) == ("realised", "ok")
    assert judged.concept.verdict == "unchanged"
    shown = page.markdown(problem, judged, ledger.performance_checks(book, "visits"))
    loss = judged.realised.metrics["log_loss"]
    assert f"{loss.value:.4f} [{loss.lower:.4f}, {loss.upper:.4f}]" in shown
    assert "| 2024-01-14 to 2024-01-19 | v1 |" in shown
    assert "| 100% | yes | ok |" in shown


def test_a_concept_that_flips_is_worse_changed_and_costs_the_estimate_its_trust(
    book: Ledger, problem: Problem, served: pd.DataFrame
) -> None:
    before = checked(book, problem)
    late = served["at"] >= pd.Timestamp("2024-01-14", tz="UTC")
    flipped = served.assign(delay=np.where(late, 10 - served["delay"], served["delay"]))
    write_data(flipped, "2024-01-20")
    found = checked(book, problem)
    assert before.verdict == "ok", "x is untouched, so the estimate saw nothing"
    assert (found.basis, found.verdict, found.asks) == ("realised", "worse", "retraining")
    assert found.is_right is False
    assert found.concept.verdict == "changed"
    assert {one.name for one in found.concept.terms} & {"amount", "score"}
    assert found.trust.state == "withdrawn"
    assert "2024-01-14 to 2024-01-19" in found.trust.reason


def late_problem(**drift: Any) -> Problem:
    problem = late_labels.make_problem()
    return problem.model_copy(update={"drift": problem.drift.model_copy(update=drift)})


def answer(n: int, score: Any, name: str = "1-a.sqlite") -> None:
    sha256 = late_labels.write_bundle()
    rows = [
        {"key": {"visit": i}, "score": float(score[i]), "day": 1 + i % 10, "row": {"amount": i}}
        for i in range(n)
    ]
    late_labels.serve(rows, sha256, name)


FEBRUARY = date(2024, 2, 1), date(2024, 2, 11)


def test_late_labels_count_from_when_they_are_known(small: Small, book: Ledger) -> None:
    problem, rng = late_problem(), np.random.default_rng(0)
    score = rng.beta(1, 2, 600)
    answer(600, score)
    frame = pd.DataFrame(
        {"visit": np.arange(600), "label": (rng.random(600) < score).astype(int)}
    ).assign(known_at="2024-02-20T00:00:00Z")
    labels.add(problem, frame, "labels.csv", None, NOW)
    before = check(book, problem, 3, *FEBRUARY, datetime(2024, 2, 19, tzinfo=UTC))
    assert (before.basis, before.realised.n_labelled) == ("estimated", 0)
    after = check(book, problem, 3, *FEBRUARY, datetime(2024, 2, 21, tzinfo=UTC))
    assert (after.basis, after.realised.n_labelled, after.is_right) == ("realised", 600, True)
    assert "manifest with its data version" in after.concept.reason


def test_an_estimate_that_was_wrong_does_not_speak_for_the_next_window(
    small: Small, book: Ledger
) -> None:
    problem = late_problem()
    answer(600, np.random.default_rng(0).beta(1, 2, 600))
    ledger.record_performance(
        book, "visits", 3, "2024-01-01", "2024-02-01",
        verdict="worse", n_rows=600, n_labelled=600, is_right=False, report_json="{}",
    )  # fmt: skip
    found = check(book, problem, 3, *FEBRUARY, NOW)
    assert (found.verdict, found.basis, found.asks) == ("cannot tell", None, "human")
    assert "the estimate is not trusted" in found.reason
    assert found.estimated.metrics, "it is shown all the same"


@pytest.mark.parametrize(
    ("version", "score", "said"),
    [
        (4, np.full(600, 0.3), "version 4 answered no row"),
        (3, np.where(np.arange(600) == 5, np.nan, 0.3), "1 of 600 scores are no probabilities"),
        (3, np.full(20, 0.3), "20 rows, 500 wanted"),
    ],
)
def test_what_cannot_be_judged_is_never_fine(
    small: Small, book: Ledger, version: int, score: Any, said: str
) -> None:
    answer(len(score), score)
    found = check(book, late_problem(), version, *FEBRUARY, NOW)
    assert (found.verdict, found.basis) == ("cannot tell", None)
    assert said in found.reason
    assert page.markdown(late_problem(), found, []).startswith("# Performance: cannot tell")


def test_a_bundle_that_is_gone_or_a_label_that_cannot_be_made_says_so(
    small: Small, book: Ledger
) -> None:
    problem = late_labels.make_problem(expression="late_label > price")
    answer(600, np.full(600, 0.3))
    frame = pd.DataFrame({"visit": np.arange(600), "label": 1})
    labels.add(problem, frame, "labels.csv", None, datetime(2024, 2, 1, tzinfo=UTC))
    found = check(book, problem, 3, *FEBRUARY, NOW)
    assert "column price, which is not served" in found.realised.reason
    assert found.basis == "estimated"
    late_labels.serve([{"key": {"visit": 900}, "day": 20}], "f" * 64, "2-b.sqlite")
    gone = check(book, problem, 3, date(2024, 2, 20), date(2024, 2, 21), NOW)
    assert gone.verdict == "cannot tell"
    assert "manifest.json" in gone.reason


def test_an_error_nobody_thought_of_is_no_answer_and_stops_no_decision(
    small: Small, book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("days")

    monkeypatch.setattr(estimated, "estimate", broken)
    answer(600, np.full(600, 0.5))
    found = check(book, late_problem(), 3, *FEBRUARY, NOW)
    assert (found.verdict, found.reason) == ("cannot tell", "ZeroDivisionError: days")


def test_an_estimate_far_above_the_hold_out_asks_a_human(small: Small, book: Ledger) -> None:
    answer(600, np.full(600, 0.5))
    found = check(book, late_problem(), 3, *FEBRUARY, NOW)
    assert (found.verdict, found.basis, found.asks) == ("worse", "estimated", "human")
    assert check(book, late_problem(performance_drop=1.0), 3, *FEBRUARY, NOW).verdict == "ok"


def known(problem: Problem, n: int = 600) -> None:
    """Give the first answers their labels."""
    label = (np.random.default_rng(1).random(n) < 0.3).astype(int)
    frame = pd.DataFrame({"visit": np.arange(n), "label": label})
    labels.add(problem, frame, "labels.csv", None, datetime(2024, 2, 12, tzinfo=UTC))


def test_earlier_windows_are_judged_by_their_own_version_and_no_day_twice(
    small: Small, book: Ledger
) -> None:
    problem = late_problem()
    answer(600, np.full(600, 0.3))
    overlapping = date(2024, 1, 30), date(2024, 2, 6)
    for window in (overlapping, FEBRUARY):
        check(book, problem, 3, *window, NOW)
    known(problem)
    check(book, problem, 4, date(2024, 2, 11), date(2024, 2, 21), NOW)
    labelled = {
        one.window_end[:10]: one.n_labelled for one in ledger.performance_checks(book, "visits", 3)
    }
    assert labelled == {"2024-02-11": 600, "2024-02-06": 0}


def test_a_window_that_has_its_labels_is_not_judged_again(small: Small, book: Ledger) -> None:
    problem = late_problem()
    answer(600, np.full(600, 0.3))
    known(problem)
    ledger.record_performance(
        book, "visits", 3, *FEBRUARY,
        verdict="ok", n_rows=600, n_labelled=590, is_right=True, report_json="{}",
    )  # fmt: skip
    check(book, problem, 3, date(2024, 2, 11), date(2024, 2, 21), NOW)
    (row,) = [one for one in ledger.performance_checks(book, "visits", 3) if one.n_labelled]
    assert row.n_labelled == 590


def test_of_several_answers_to_one_key_the_first_is_judged(small: Small, book: Ledger) -> None:
    answer(600, np.full(600, 0.3))
    answer(600, np.full(600, 0.9), "2-b.sqlite")
    found = check(book, late_problem(), 3, *FEBRUARY, NOW)
    assert found.estimated.n_rows == 600
    assert found.estimated.metrics["recall"].value == 0, "no score is above the threshold of 0.4"


def test_rows_that_the_model_learned_are_in_no_hold_out(small: Small, problem: Problem) -> None:
    bundle = experiment.fit_bundle(problem, write_data(learnable(), "2024-01-14"), MADE_BY)
    training = problem.training.model_copy(update={"holdout_days": 8})
    longer = problem.model_copy(update={"training": training})
    learned = pd.Timestamp(bundles.read_manifest(bundle)["trained_before"])
    assert holdout.labelled(longer, bundle).features["at"].min() >= learned


def test_rows_without_labels_are_judged_without_reading_their_features(
    book: Ledger, problem: Problem, served: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("features were read")

    monkeypatch.setattr(performance_rows, "table", fail)
    assert checked(book, problem).basis == "estimated"
    write_data(served, "2024-01-20")
    assert checked(book, problem).reason == "AssertionError: features were read"
