"""One model judged from its data version to the verdict, a real server of its bundle included."""

import weakref
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from retrue import bundles, experiment, lake, pages, training
from retrue.config import Problem
from retrue.refs import DataRef, ModelRef
from retrue.verdicts import Verdict
from tests.unit.synthetic import learnable

if TYPE_CHECKING:
    from tests.unit.conftest import Small

MADE_BY = {"code_commit": "c" * 40, "lock_sha256": "1" * 64}


@pytest.fixture
def data(small: "Small") -> DataRef:
    small.replace("configs/visits.yaml", "holdout_days: 5", "holdout_days: 7")
    return lake.write_version("visits", learnable(), ["visit"], "2024-01-20")


def with_rules(problem: Problem, **rules: object) -> Problem:
    rules = {"resamples": 100, "max_p99_ms": 10_000, "min_rows_per_s": 1, **rules}
    return problem.model_copy(update={"gate": problem.gate.model_copy(update=rules)})


def judged(problem: Problem, data: DataRef) -> Verdict:
    return experiment.judge(problem, data, experiment.fit_bundle(problem, data, MADE_BY), None)


def test_a_first_model_is_promoted_with_all_its_evidence(small: "Small", data: DataRef) -> None:
    problem = with_rules(small.problem)
    verdict = judged(problem, data)
    assert verdict.promoted, verdict.reason
    assert verdict.metrics["auc"].lower > 0.6
    assert verdict.champion_metrics["auc"].value == 0.5
    assert verdict.processing is not None and verdict.processing.holds
    assert verdict.n_seeds == 1, "a deterministic recipe costs no further fits"
    page = pages.verdict(problem, verdict)
    for heading in ("Metrics", "Calibration", "Processing performance"):
        assert f"## {heading}" in page
    assert "call a row" in page
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_the_rows_that_were_read_are_gone_when_their_training_part_is_fitted(
    small: "Small", data: DataRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[weakref.ref[pd.DataFrame]] = []
    alive: list[bool] = []
    read, fit = lake.read_version, training.fit

    def noted(*given: Any, **named: Any) -> pd.DataFrame:
        frame = read(*given, **named)
        frames.append(weakref.ref(frame))
        return frame

    def asked(*given: Any) -> training.Fitted:
        alive.extend(one() is not None for one in frames)
        return fit(*given)

    monkeypatch.setattr(lake, "read_version", noted)
    monkeypatch.setattr(training, "fit", asked)
    experiment.fit_bundle(small.problem, data, MADE_BY)
    assert alive == [False]


def test_a_server_that_is_too_slow_refuses_a_model_that_is_better(
    small: "Small", data: DataRef
) -> None:
    verdict = judged(with_rules(small.problem, max_p99_ms=1e-6), data)
    assert verdict.lower is not None and verdict.lower > 0
    assert not verdict.promoted
    assert "p99 of one-row requests" in verdict.reason
    assert "**it does not hold**" in pages.verdict(small.problem, verdict)


def test_seeds_are_counted_where_the_recipe_leaves_something_to_chance(
    small: "Small", data: DataRef
) -> None:
    small.replace(
        "configs/visits.yaml", "  seed: 7\n", "  seed: 7\n  params: {extra_trees: true}\n"
    )
    problem = with_rules(small.problem, seeds=2)
    verdict = judged(problem, data)
    assert verdict.n_seeds == 3
    assert "days and 3 seeds" in verdict.reason
    assert "3 models of as many seeds" in pages.verdict(problem, verdict)


def test_a_champion_is_judged_by_its_own_features_also_those_dropped_since(
    small: "Small", data: DataRef
) -> None:
    problem = with_rules(small.problem)
    early = lake.write_version("visits", learnable(), ["visit"], "2024-01-13")
    bundle = experiment.fit_bundle(problem, early, MADE_BY)
    champion = ModelRef(problem="visits", version=1, run_id="x", bundle=bundle)
    whole = experiment.judge(problem, data, bundle, champion)
    assert whole.champion == whole.challenger

    kept = tuple(name for name in problem.features.numeric if name != "amount")
    features = problem.features.model_copy(update={"numeric": kept})
    fewer = problem.model_copy(update={"features": features})
    poorer = experiment.fit_bundle(fewer, data, MADE_BY)
    verdict = experiment.judge(fewer, data, poorer, champion)
    assert verdict.champion == whole.champion
    assert verdict.upper is not None and verdict.upper < 0

    frame = learnable().drop(columns="amount")
    lacking = lake.write_version("visits", frame, ["visit"], "2024-01-20")
    refused = experiment.judge(fewer, lacking, poorer, champion)
    assert not refused.promoted and refused.gain is None
    assert f"the champion needs amount, which data version {lacking.version}" in refused.reason


def test_a_champion_fitted_on_the_hold_out_ends_it_before_anything_is_measured(
    small: "Small", data: DataRef
) -> None:
    problem = small.problem
    bundle = experiment.fit_bundle(problem, data, MADE_BY)
    late = lake.write_version("visits", learnable(), ["visit"], "2024-01-18")
    champion = ModelRef(problem="visits", version=1, run_id="x", bundle=bundle)
    verdict = experiment.judge(problem, late, bundle, champion)
    assert "the champion was fitted on rows until 2024-01-13" in verdict.reason
    assert verdict.processing is None


@pytest.mark.parametrize("is_in_time_order", [True, False])
def test_the_reference_holds_the_rows_of_the_span_whatever_the_order_of_keys(
    small: "Small", is_in_time_order: bool
) -> None:
    rows = learnable()
    if not is_in_time_order:
        rows["visit"] = rows["visit"].to_numpy()[::-1]
    data = lake.write_version("visits", rows, ["visit"], "2024-01-20")
    small.replace("configs/visits.yaml", "start: 2024-01-01", "start: 2024-01-06")
    kept = bundles.read_reference(experiment.fit_bundle(small.problem, data, MADE_BY))
    in_span = rows[rows["at"] >= pd.Timestamp("2024-01-06", tz="UTC")]
    assert sorted(kept["amount"]) == sorted(in_span["amount"])
