"""A drift check of served rows: read in parts, held against what the bundle kept."""

import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from retrue import bundles, monitoring, served_window, splits
from retrue.config import Problem
from retrue.config_drift import Drift
from retrue.drift import DriftReport
from retrue.drift.numbers import NumericReference
from retrue.labelling import labels
from retrue.prediction_table import append_predictions
from retrue.refs import BundleRef, ModelRef
from retrue.row_json import rows_as_json
from tests.unit.synthetic import learnable
from tests.unit.test_bundles import write

if TYPE_CHECKING:
    from tests.unit.conftest import Small

N = 600
SINCE, UNTIL = date(2024, 2, 1), date(2024, 2, 3)
COLUMNS = ["amount", "shop_size", "wind", "shop", "shop_kind"]


@pytest.fixture
def problem(small: "Small", monkeypatch: pytest.MonkeyPatch) -> Problem:
    monkeypatch.setattr(served_window, "_BATCH_ROWS", 250)
    drift = Drift(backend="native", min_rows=100, magnitude_above=50)
    return small.problem.model_copy(update={"drift": drift})


@pytest.fixture
def bundle(problem: Problem) -> BundleRef:
    return write(problem, learnable())


def serve(problem: Problem, bundle: BundleRef, frame: pd.DataFrame) -> None:
    n = len(frame)
    append_predictions(
        problem.name,
        "log",
        n,
        pd.DataFrame(
            {
                "prediction_id": [f"p{i}" for i in range(n)],
                "received_at_us": np.arange(n),
                "event_time": pd.Series(
                    np.array([datetime(2024, 2, 1)] * n, "datetime64[us]")
                ).dt.tz_localize("UTC"),
                "key": [json.dumps({"visit": 10_000 + i}) for i in range(n)],
                "row": list(rows_as_json(frame[COLUMNS])),
                "score": bundles.score_with(bundle, frame),
                "decision": 0,
                "model_version": 1,
                "bundle_sha256": bundle.sha256,
            }
        ),
    )


def compare(problem: Problem, bundle: BundleRef) -> DriftReport:
    model = ModelRef(problem=problem.name, version=1, run_id="run", bundle=bundle)
    return monitoring.compare(problem, model, SINCE, UNTIL)


def test_rows_of_the_reference_are_no_drift_and_all_of_it_is_told(
    problem: Problem, bundle: BundleRef
) -> None:
    serve(problem, bundle, learnable().sample(N, random_state=1))
    report = compare(problem, bundle)
    assert (report.verdict, report.n_reference, report.n_current) == ("no drift", 2_000, N)
    assert report.backend == "native"
    assert report.predictions is not None and report.predictions.n_current == N
    assert report.predictions.psi < 0.25
    assert report.attributions is not None and report.attributions > 0.95
    assert report.labels is None
    assert compare(problem, bundle) == report


def test_moved_rows_are_drift_of_the_feature_and_of_the_predictions(
    problem: Problem, bundle: BundleRef
) -> None:
    served = learnable().sample(N, random_state=1)
    serve(problem, bundle, served.assign(amount=served["amount"] + 3))
    report = compare(problem, bundle)
    assert (report.verdict, report.top_feature) == ("drift", "amount")
    assert report.predictions is not None and report.predictions.p_value < 1e-9
    assert report.predictions.psi > 1
    first = report.features[0]
    assert first.name == "amount"
    assert first.wasserstein == pytest.approx(3 / learnable()["amount"].std(ddof=0), rel=0.1)


def test_what_is_served_without_a_feature_is_not_fine(problem: Problem, bundle: BundleRef) -> None:
    serve(problem, bundle, learnable().sample(N, random_state=1).assign(wind=np.nan))
    report = compare(problem, bundle)
    assert report.verdict != "no drift"
    assert "wind is all null in the current rows alone" in report.reason


def test_a_window_without_rows_cannot_tell(problem: Problem, bundle: BundleRef) -> None:
    report = compare(problem, bundle)
    assert (report.verdict, report.n_current) == ("cannot tell", 0)
    assert report.predictions is None and report.attributions is None


def test_late_labels_of_the_window_are_held_against_those_of_the_reference(
    problem: Problem, bundle: BundleRef
) -> None:
    late = problem.label.model_copy(update={"late": True, "expression": "late_label > 5"})
    now = datetime(2024, 2, 3, tzinfo=UTC)
    served = learnable().sample(N, random_state=1)
    serve(problem, bundle, served)
    visits = [10_000 + i for i in range(N)]
    frame = pd.DataFrame({"visit": visits[: N // 2], "label": 9.0})
    labels.add(problem, frame, "labels.csv", None, now)
    report = compare(problem.model_copy(update={"label": late}), bundle)
    assert report.labels is not None
    assert (report.labels.n_current, report.labels.n_reference) == (N // 2, 2_000)
    assert report.labels.psi > 1
    assert [(one.category, one.current) for one in report.labels.bins] in (
        [("0", 0), ("1", 1)],
        [("1", 1), ("0", 0)],
    )


def test_the_bundle_keeps_counts_of_all_rows_and_the_scores_of_the_hold_out(
    problem: Problem, bundle: BundleRef
) -> None:
    frame = learnable()
    kept = bundles.read_drift_reference(bundle, problem.features)
    amount = kept.columns["amount"]
    assert isinstance(amount, NumericReference)
    assert (amount.counts.n, amount.is_exact) == (2_000, True)
    assert amount.mean == pytest.approx(frame["amount"].mean())
    score = kept.outputs["score"]
    held_out = splits.split(frame, problem, date(2024, 1, 20)).holdout
    assert isinstance(score, NumericReference)
    assert score.mean == pytest.approx(bundles.score_with(bundle, held_out).mean())


def test_a_bundle_from_before_counts_were_kept_is_checked_by_its_sample(
    problem: Problem, bundle: BundleRef, tmp_path: Path
) -> None:
    (bundle.path / "reference.msgpack").unlink()
    path = bundle.path / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["files"]["reference.msgpack"]
    path.write_text(json.dumps(manifest))
    old = bundle.model_copy(update={"sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
    serve(problem, old, learnable().sample(N, random_state=1))
    report = compare(problem, old)
    assert report.verdict == "no drift"
    assert report.predictions is None
