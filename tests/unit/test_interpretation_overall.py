"""Explanations of whole models: they add up, see what is there, and say how good they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from retrue import splits
from retrue.errors import TrainingError
from retrue.interpretation import gap, kernel
from retrue.interpretation.curves import curve
from retrue.interpretation.explain import summarise, summarise_model
from retrue.interpretation.explained_model import Floats, load
from retrue.interpretation.mimic import mimic
from retrue.interpretation.permutation import permutation
from retrue.interpretation.ranking import ndcg
from retrue.interpretation.seen_values import seen_values
from tests.unit.explained import define, fitted, opened, rows

TASKS = ["binary", "multiclass", "regression"]
GAINS = arrays(np.float64, 6, elements=st.floats(0, 100, allow_subnormal=False))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path))


@pytest.mark.parametrize("boosting", ["gbdt", "dart", "rf"])
@pytest.mark.parametrize("task", TASKS)
def test_contributions_and_base_add_up_to_the_margin(task: str, boosting: str) -> None:
    params = {"boosting": boosting, "bagging_freq": 1, "bagging_fraction": 0.7}
    model = opened(define(task, training__params=params))
    matrix = model.encode(rows(200, seed=9))
    values, base = model.contributions(matrix)
    assert values.shape == (200, 3 if task == "multiclass" else 1, 7)
    margins = model.margins(matrix)
    np.testing.assert_allclose(values.sum(axis=2) + base, margins, rtol=0, atol=1e-6)
    odds = np.exp(margins)
    scores = {
        "binary": odds / (1 + odds),
        "multiclass": odds / odds.sum(axis=1, keepdims=True),
        "regression": margins,
    }[task]
    np.testing.assert_allclose(scores, model.scores(matrix), atol=1e-9)


def test_a_model_that_cannot_be_explained_says_so() -> None:
    model = opened(define(training__params={"linear_tree": True}))
    with pytest.raises(TrainingError, match="linear_tree"):
        model.contributions(model.encode(rows(5)))


def test_shuffling_noise_costs_nothing_and_shuffling_what_is_used_does() -> None:
    problem = define(training__params={"num_leaves": 5})
    model = opened(problem)
    held = rows(800, seed=11)
    y = splits.target(held, problem)
    found = permutation(model, model.encode(held), y, list(range(7)), seed=1)
    rise, spread = found.rises["rises"]
    assert rise > 10 * spread > 0
    assert abs(found.rises["noise"][0]) < 0.05 * rise
    again = permutation(model, model.encode(held), y, list(range(7)), seed=1)
    assert again == found


@pytest.mark.parametrize("task", TASKS)
def test_what_no_tree_asks_about_loses_exactly_nothing(task: str) -> None:
    problem = define(task, features__numeric=["rises", "same"], training__num_boost_round=3)
    frame = rows().assign(same=1.0)
    model = opened(problem, frame)
    y = splits.target(frame, problem, model.classes)
    found = permutation(model, model.encode(frame), y, list(range(5)), seed=1)
    assert found.rises["same"] == (0.0, 0.0)


def test_a_tree_that_imitates_a_tree_is_as_good_as_it() -> None:
    params = {"num_leaves": 4, "learning_rate": 1.0, "feature_fraction": 1.0}
    problem = define(
        "regression",
        training__params=params,
        training__num_boost_round=1,
        features={"numeric": ["rises", "falls"], "categorical": ["kind"]},
        processing={},
    )
    model = opened(problem)
    found = mimic(model, model.encode(rows(3_000, seed=5)), seed=1)
    assert found.r2 > 0.99
    leaves = found.root.rules()
    assert len(leaves) >= 4
    assert sum(node.n_rows for _, node in leaves) == found.n_fitted == 2_250


def test_a_tree_that_imitates_boosting_says_how_badly() -> None:
    model = opened(define())
    found = mimic(model, model.encode(rows(2_000, seed=5)), seed=1)
    assert 0.4 < found.r2 < 0.97
    assert found.agreement is not None and found.majority is not None
    assert found.majority < found.agreement < 1
    assert found.n_left_out == 1
    asked = {part.split()[0] for parts, _ in found.root.rules() for part in parts}
    assert asked <= {"rises", "falls", "noise", "gappy", "kind", "since"}
    # No rule asks twice for the same side of a number, or for a category beside its narrower set.
    for parts, _ in found.root.rules():
        assert len({part.split(" ≤ ")[0].split(" > ")[0] for part in parts if " in " in part}) == (
            sum(" in " in part for part in parts)
        )


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_ice_lines_go_the_way_the_world_goes(task: str) -> None:
    problem = define(task)
    found = {one.name: one for one in summarise(fitted(problem), rows(), problem).features}
    assert found["rises"].direction == pytest.approx(1, abs=0.1)
    assert found["falls"].direction == pytest.approx(-1, abs=0.1)
    assert found["kind"].direction is None


def test_classes_have_directions_of_their_own() -> None:
    problem = define("multiclass")
    found = {one.name: one for one in summarise(fitted(problem), rows(), problem).features}
    assert found["rises"].by_class["high"] > 0.9
    assert found["rises"].by_class["low"] < -0.9
    assert found["rises"].direction in found["rises"].by_class.values()


def test_a_curve_changes_one_feature_and_is_centred_at_its_start() -> None:
    model = opened(define("regression"))
    frame = rows(60, seed=4)
    seen = {one.name: one for one in seen_values(frame, model)}
    found = curve(model, model.encode(frame), seen["rises"], 5)
    at = seen["rises"].raw[int(found.grid[2])]
    expected = model.scores(model.encode(frame.assign(rises=at)))
    np.testing.assert_array_equal(found.lines[:, :, 2], expected)
    assert (found.centred[:, :, 0] == 0).all()
    np.testing.assert_allclose(found.mean[:, 2], expected.mean(axis=0))


def test_the_same_seed_gives_the_same_summary_and_no_other_row_matters() -> None:
    problem = define()
    bundle, frame = fitted(problem), rows()
    assert summarise(bundle, frame, problem) == summarise(bundle, frame.copy(), problem)
    assert summarise(bundle, frame, problem).n_rows == 150


def test_rows_that_are_all_missing_are_explained() -> None:
    problem = define()
    model = opened(problem)
    empty = rows(5).reindex(range(10, 15)).astype({"note": object})
    found = summarise_model(model, empty, problem)
    assert np.isfinite([one.mean_abs_shap for one in found.features]).all()


def test_values_that_were_seen_are_encoded_as_they_are_served() -> None:
    model = opened(define())
    frame = rows(300)
    for one in seen_values(frame, model):
        if one.feature["kind"] == "text":
            assert one.raw == ()
            continue
        assert int(one.counts.sum()) + one.n_missing == 300
        column = frame[one.name]
        again = model.encode(frame[column.notna()])[:, one.columns]
        rows_seen = {tuple(row) for row in one.encoded.tolist()}
        assert {tuple(row) for row in again.tolist()} == rows_seen
        if one.is_ordered:
            assert (np.diff(one.places) > 0).all()


@given(GAINS, st.permutations(range(6)))
def test_agreement_is_one_for_the_same_ranking_and_never_above(
    gains: Floats, order: list[int]
) -> None:
    assert ndcg(gains, gains) == pytest.approx(1)
    assert ndcg(gains, 3 * gains) == pytest.approx(1)
    other = gains[list(order)]
    for one, two in ((gains, other), (other, gains)):
        assert 0 < ndcg(one, two) <= 1


@given(st.lists(st.floats(0.1, 100), min_size=3, max_size=8, unique=True))
def test_agreement_falls_when_the_top_swaps_and_more_than_when_the_end_does(
    found: list[float],
) -> None:
    gains = np.sort(found)[::-1] + np.arange(len(found), 0, -1)
    top, end = gains.copy(), gains.copy()
    top[[0, 1]] = top[[1, 0]]
    end[[-2, -1]] = end[[-1, -2]]
    assert ndcg(gains, top) < 1
    even = np.arange(len(gains), 0, -1.0)
    assert ndcg(even, even[[1, 0, *range(2, len(even))]]) <= ndcg(
        even, even[[*range(len(even) - 2), -1, -2]]
    )


def test_the_gap_is_nothing_for_a_row_like_the_whole_and_names_those_that_differ() -> None:
    contributions = np.array([[[4.0, -3, 2, 0.1]]] * 9 + [[[0.1, 0.2, -0.3, 5.0]]])
    found = gap.gap(contributions)
    assert found.differ_most[0] == 9
    assert found.ndcg[9] < 0.6
    assert found.ndcg[0] == pytest.approx(1)
    assert found.outside == pytest.approx(0.1)


@pytest.mark.parametrize("task", TASKS)
def test_kernel_shap_agrees_with_tree_shap_and_leaves_no_trace(
    task: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model = load(fitted(define(task)), 1)
    matrix = model.encode(rows(200, seed=8))
    values, _ = model.contributions(matrix[:4])
    outputs = np.array([0, 1, 2, 0]) if task == "multiclass" else np.zeros(4, dtype=np.intp)
    mine = values[np.arange(4), outputs]
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    found = kernel.kernel_shap(model, matrix[:4], outputs, matrix[4:], mine, seed=1)
    assert np.random.random() == expected  # numpy's global generator is as it was
    assert found.correlation > 0.9
    assert found.ndcg > 0.9
    assert found.sum_error < 1e-6
    again = kernel.kernel_shap(model, matrix[:4], outputs, matrix[4:], mine, seed=1)
    np.testing.assert_array_equal(found.values, again.values)
    assert capfd.readouterr() == ("", "")
