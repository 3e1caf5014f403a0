"""Bundles: the same inputs give the same bytes, other bytes are refused, golden rows hold nulls."""

import json
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from retrue import bundles, splits, training
from retrue.config import Problem
from retrue.decision_costs import decision_threshold
from retrue.errors import BundleError
from retrue.refs import BundleRef, DataRef
from retrue.serving.booster import self_check
from retrue.serving.bundle import read_bundle
from tests.unit.synthetic import learnable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.conftest import Small

UNTIL = date(2024, 1, 20)
MADE_BY = {"code_commit": "c0ffee", "lock_sha256": "1" * 64, "trained_before": "2024-01-15"}


@pytest.fixture
def problem(small: "Small") -> Problem:
    return small.problem


@pytest.fixture
def frame() -> pd.DataFrame:
    return learnable()


def write(problem: Problem, frame: pd.DataFrame) -> BundleRef:
    data = DataRef(
        problem=problem.name,
        path=Path("lake"),
        version=3,
        sha256="2" * 64,
        n_rows=len(frame),
        until=UNTIL.isoformat(),
    )
    fitted = training.fit(splits.split(frame, problem, UNTIL), problem)
    return bundles.write_bundle(problem, data, fitted, frame, MADE_BY)


def test_the_same_inputs_give_the_same_bundle_and_nothing_is_left_beside_it(
    problem: Problem, frame: pd.DataFrame
) -> None:
    first, second = write(problem, frame), write(problem, frame)
    assert first == second
    assert [path.name for path in first.path.parent.iterdir()] == [first.sha256[:16]]


def test_other_provenance_is_another_bundle(
    problem: Problem, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(problem, frame)
    monkeypatch.setitem(MADE_BY, "code_commit", "decaf")
    assert write(problem, frame).sha256 != first.sha256


def test_the_server_accepts_the_bundle_and_gives_its_golden_scores(
    problem: Problem, frame: pd.DataFrame
) -> None:
    ref = write(problem, frame)
    bundle = read_bundle(ref.path, ref.sha256)
    self_check(bundle)
    assert set(bundle.golden.rows[-1].values()) == {None}
    assert len(bundle.golden.rows) == bundles.N_GOLDEN


def test_scores_of_the_bundle_are_those_of_the_model(problem: Problem, frame: pd.DataFrame) -> None:
    ref = write(problem, frame)
    text = (ref.path / "model.txt").read_text()
    features = json.loads((ref.path / "signature.json").read_text())["features"]
    expected = training.score(text, features, frame)
    np.testing.assert_array_equal(bundles.score_with(ref, frame), expected)


@pytest.mark.parametrize(
    "name", ["reference.parquet", "reference.msgpack", "metrics.json", "manifest.json"]
)
def test_a_changed_byte_is_refused_before_it_is_parsed(
    problem: Problem, frame: pd.DataFrame, name: str
) -> None:
    ref = write(problem, frame)
    path = ref.path / name
    payload = bytearray(path.read_bytes())
    payload[len(payload) // 2] ^= 1
    path.write_bytes(payload)
    read: Callable[[BundleRef], object]
    read = bundles.read_reference if name.endswith("parquet") else bundles.read_metrics
    if name == "manifest.json":
        read = bundles.read_manifest
    if name == "reference.msgpack":
        read = partial(bundles.read_drift_reference, features=problem.features)
    with pytest.raises(BundleError, match=name):
        read(ref)


def test_the_threshold_is_where_acting_costs_what_waiting_costs(problem: Problem) -> None:
    false_alarm = problem.canvas.cost_false_positive.amount
    miss = problem.canvas.cost_false_negative.amount
    threshold = decision_threshold(problem)
    assert (1 - threshold) * false_alarm == pytest.approx(threshold * miss)
