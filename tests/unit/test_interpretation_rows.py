"""Explanations of single rows: what would flip a decision really does, and nothing smaller does."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue import bundles
from retrue.errors import DataError
from retrue.home import serving_dir
from retrue.interpretation import counterfactual as counterfactuals
from retrue.interpretation.asked_rows import given_row, predicted_row
from retrue.interpretation.counterfactual import counterfactual
from retrue.interpretation.explained_model import ExplainedModel, Floats, load
from retrue.interpretation.seen_values import rows_as_json, seen_values
from retrue.interpretation.study import study
from retrue.interpretation.what_if import reaches
from retrue.lake import append_predictions
from retrue.prediction_table import PREDICTIONS
from retrue.serving.booster import self_check
from retrue.serving.bundle import read_bundle
from retrue.serving.encoding import encode
from retrue.serving.scoring import Scorer
from tests.unit.explained import as_model, define, fitted, rows


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path))


class Lookup(ExplainedModel):
    """A model of three features whose scores are read from a table."""

    table: Floats

    def scores(self, matrix: Floats) -> Floats:
        at = matrix.astype(int)
        found: Floats = self.table[at[:, 0], at[:, 1], at[:, 2]][:, None]
        return found


@settings(max_examples=150)
@given(
    st.lists(st.floats(0, 1), min_size=36, max_size=36),
    st.floats(0, 1),
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)),
)
def test_no_smaller_change_flips_the_decision(
    scores: list[float], threshold: float, start: tuple[int, int, int]
) -> None:
    features: list[Any] = [
        {"name": "a", "kind": "numeric"},
        {"name": "b", "kind": "categorical", "categories": ["x", "y", "z"]},
        {"name": "c", "kind": "numeric"},
    ]
    model = Lookup(features, "binary", (), threshold, None)
    object.__setattr__(model, "table", np.array(scores).reshape(4, 3, 3))
    grid = list(product(range(4), range(3), range(3)))
    frame = pd.DataFrame(grid, columns=["a", "b", "c"]).astype({"a": float, "c": float})
    frame["b"] = frame["b"].map(dict(enumerate("xyz")))
    seen = seen_values(frame, model)
    row = np.array(start, dtype=float)
    raw = {"a": float(start[0]), "b": "xyz"[start[1]], "c": float(start[2])}
    found = counterfactual(model, row, raw, seen)

    units = [seen[0].spread, None, seen[2].spread]

    def size(other: tuple[int, ...]) -> tuple[int, float]:
        moved = [(abs(other[i] - start[i]), units[i]) for i in range(3) if other[i] != start[i]]
        return len(moved), sum(1.0 if unit is None else step / unit for step, unit in moved)

    now = model.table[start] > threshold
    flips = [size(other) for other in grid if (model.table[other] > threshold) != now]
    assert found.is_exact
    if not flips:
        assert found.found is None
        return
    assert found.found is not None
    n, distance = min(flips)
    assert len(found.found.changes) == n
    assert found.found.distance == pytest.approx(distance)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_the_served_decision_flips(task: str) -> None:
    ref = fitted(define(task))
    model = load(ref, 1)
    bundle = read_bundle(ref.path)
    scorer = Scorer(bundle, self_check(bundle), 1)
    seen = seen_values(bundles.read_reference(ref), model)
    asked = rows(25, seed=6)
    served = rows_as_json(asked, model.names)
    n_found = 0
    for row in served:
        encoded = np.array(encode([row], model.features))
        found = counterfactual(model, encoded, row, seen).found
        before, after = (
            scorer.score(json.dumps({"instances": [one]}).encode(), False)[0]
            for one in (row, found.row if found else row)
        )
        if found is None:
            continue
        n_found += 1
        assert before.decisions[0] != after.decisions[0]
        expected = found.score if model.classes else found.score[0]
        assert after.predictions[0] == (list(expected) if model.classes else expected)  # type: ignore[arg-type]
        changed = {name for name in row if row[name] != found.row[name]}
        assert changed == {change.name for change in found.changes}
    assert n_found >= 20


def test_only_what_may_change_does_and_it_is_said_when_nothing_helps() -> None:
    ref = fitted(define())
    model = load(ref, 1)
    reference = bundles.read_reference(ref)
    seen = seen_values(reference, model)
    matrix = model.encode(reference)
    at = int(model.scores(matrix)[:, 0].argmax())
    raw = rows_as_json(reference.iloc[[at]], model.names)[0]
    free = counterfactual(model, matrix[at], raw, seen)
    assert free.found is not None
    assert {change.name for change in free.found.changes} != {"noise"}
    bound = counterfactual(model, matrix[at], raw, seen, ["noise"])
    assert bound.found is None and bound.is_exact
    assert bound.said.startswith("There is none: no change of noise")
    one = counterfactual(model, matrix[at], raw, seen, ["rises", "falls"]).found
    assert one is not None and {change.name for change in one.changes} <= {"rises", "falls"}


def test_a_long_search_says_that_it_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    ref = fitted(define())
    model = load(ref, 1)
    reference = bundles.read_reference(ref)
    matrix, seen = model.encode(reference), seen_values(reference, model)
    at = int(model.scores(matrix)[:, 0].argmax())
    raw = rows_as_json(reference.iloc[[at]], model.names)[0]
    monkeypatch.setattr(counterfactuals, "MAX_TRIED", 500)
    found = counterfactual(model, matrix[at], raw, seen)
    assert found.found is not None
    assert model.decisions(model.scores(found.found.encoded[None, :]))[0] == 0
    if len(found.found.changes) > 1:
        assert not found.is_exact and "may exist" in found.said


def test_what_if_tells_the_ends_of_each_feature_and_who_reaches_furthest_first() -> None:
    ref = fitted(define())
    model = load(ref, 1)
    reference = bundles.read_reference(ref)
    matrix, seen = model.encode(reference), seen_values(reference, model)
    found = reaches(model, matrix[0], seen, 0)
    widths = [one.highest - one.lowest for one in found]
    assert widths == sorted(widths, reverse=True)
    assert "note" not in {one.values.name for one in found}
    first = found[0]
    at = first.values.texts.index(first.highest_at)
    changed = matrix[:1].copy()
    changed[0, first.values.columns] = first.values.encoded[at]
    assert model.scores(changed)[0, 0] == first.highest
    assert first.flips == bool(
        (first.lowest > model.threshold) != (model.scores(matrix[:1])[0, 0] > model.threshold)
        or (first.highest > model.threshold) != (model.scores(matrix[:1])[0, 0] > model.threshold)
    )


def record(prediction_id: str, row: dict[str, Any], score: float) -> dict[str, Any]:
    return {
        "prediction_id": prediction_id,
        "received_at_us": 1,
        "event_time": pd.Timestamp("2024-02-01", tz="UTC"),
        "key": None,
        "row": json.dumps(row),
        "score": score,
        "decision": 1,
        "model_version": 4,
        "bundle_sha256": "0" * 64,
    }


def test_a_prediction_is_explained_as_it_was_answered() -> None:
    problem = define()
    ref = fitted(problem)
    model = load(ref, 1)
    row = rows_as_json(rows(1, seed=2), model.names)[0] | {"gappy": None, "kind": "never seen"}
    score = float(model.scores(np.array(encode([row], model.features))[None, :])[0, 0])
    frame = pd.DataFrame([record("abc", row, score)])
    assert [*frame.columns, "log"] == PREDICTIONS.names
    append_predictions("things", "a.sqlite", 1, frame)
    asked = predicted_row("things", "abc")
    assert (asked.values, asked.model_version, asked.score) == (row, 4, score)
    found = study(problem, as_model(ref), asked).rows[0]
    assert found.score == score
    assert "bit for bit" in found.note
    assert found.base + found.tree_shap.sum() == pytest.approx(found.margin, abs=1e-6)
    assert found.base + found.tree_shap.sum() == pytest.approx(np.log(score / (1 - score)))


def test_an_id_that_was_never_given_is_refused_in_words() -> None:
    (serving_dir("things") / "predictions").mkdir(parents=True)
    with pytest.raises(DataError, match=r"predictions of things: .* found 'nobody'; copy it"):
        predicted_row("things", "nobody")


def test_a_given_row_is_read_as_the_server_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "row.json"
    file.write_text('{"a": 1, "b": null}\n')
    for text in ('{"a": 1, "b": null}', str(file)):
        assert given_row(text).values == {"a": 1, "b": None}
    for text, why in (
        ('{"a": NaN}', "NaN, which JSON lacks"),
        ('{"a": 1, "a": 2}', "given twice"),
        ('{"a": 1}, {"a": 2}', "2 rows"),
        ("nowhere.json", "nowhere.json"),
    ):
        with pytest.raises(DataError, match=why):
            given_row(text)


def test_a_given_row_without_a_feature_is_refused() -> None:
    problem = define()
    with pytest.raises(DataError, match="'falls'"):
        study(problem, as_model(fitted(problem)), given_row('{"rises": 1}'))
