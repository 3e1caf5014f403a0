"""A change of the explanation asks for a human, noise does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from retrue import experiment
from retrue.config import Interpretation
from retrue.interpretation import explain
from retrue.interpretation.change import challenge, explanation_change
from retrue.interpretation.explain import Explanation, FeatureEffect
from retrue.problem_checks import cross_checks
from retrue.refs import DataRef
from tests.unit.explained import UNTIL, as_model, define, fitted, rows

BOUNDS = Interpretation(top_features=2)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path))


def explained(**features: tuple[float, float | None]) -> Explanation:
    total = sum(size for size, _ in features.values())
    effects = [
        FeatureEffect(
            name=name, mean_abs_shap=size, share=size / total, gain_share=0.1, direction=way
        )
        for name, (size, way) in features.items()
    ]
    return Explanation(
        features=tuple(sorted(effects, key=lambda one: -one.share)), n_rows=150, unit="log odds"
    )


def test_the_same_explanation_is_no_doubt() -> None:
    one = explained(a=(3, 0.9), b=(2, -0.8), c=(1, None))
    found = explanation_change(one, one, BOUNDS)
    assert (found.ndcg, found.flipped, found.doubts) == (1.0, (), ())


def test_another_leader_asks_for_a_human_and_says_who_led() -> None:
    theirs = explained(a=(9, None), b=(1, None), c=(0.5, None), d=(0.1, None))
    ours = explained(a=(0.1, None), b=(1, None), c=(0.5, None), d=(9, None))
    found = explanation_change(ours, theirs, BOUNDS)
    assert found.ndcg < 0.9
    (doubt,) = found.doubts
    assert "led by a, b, c, now by d, b, c" in doubt
    assert explanation_change(ours, theirs, Interpretation(ndcg_below=0.2)).doubts == ()


@pytest.mark.parametrize(
    ("before", "now", "is_flipped"),
    [
        (0.9, -0.9, True),
        (-0.5, 0.5, True),
        (0.9, -0.4, False),
        (0.9, 0.1, False),
        (0.9, None, False),
    ],
)
def test_a_top_feature_that_turns_round_asks_for_a_human(
    before: float, now: float | None, is_flipped: bool
) -> None:
    found = explanation_change(
        explained(a=(3, now), b=(2, None)), explained(a=(3, before), b=(2, None)), BOUNDS
    )
    assert found.flipped == (("a",) if is_flipped else ())
    assert len(found.doubts) == is_flipped


def test_a_feature_that_hardly_weighs_may_turn_round() -> None:
    theirs = explained(a=(3, 0.9), b=(2, 0.9), c=(0.1, 0.9))
    ours = explained(a=(3, 0.9), b=(2, 0.9), c=(0.1, -0.9))
    assert explanation_change(ours, theirs, BOUNDS).doubts == ()


def test_a_feature_that_one_of_them_lacks_counts_as_nothing() -> None:
    theirs = explained(old=(5, None), a=(3, None), b=(1, None))
    ours = explained(a=(3, None), b=(1, None))
    found = explanation_change(ours, theirs, Interpretation(ndcg_below=0.99))
    assert found.ndcg < 0.95
    assert found.doubts


def test_the_twin_of_a_model_is_no_doubt_and_a_world_upside_down_is_one() -> None:
    problem = define()
    champion = fitted(problem)
    twin = fitted(define(training__seed=8))
    turned = rows()
    turned["y"] = -turned["y"]
    turned["kind"] = turned["kind"].replace({"c": "d"})  # the champion does not know it
    other = fitted(problem, turned)
    held = rows(600, seed=12)
    assert challenge(problem, twin, champion, held) == ()
    doubts = challenge(problem, other, champion, held)
    assert any("rises raised the score" in doubt and "lowers" in doubt for doubt in doubts)
    assert any("falls lowered the score" in doubt for doubt in doubts)


def test_a_model_that_cannot_be_explained_is_a_doubt() -> None:
    problem = define(training__params={"linear_tree": True})
    (doubt,) = challenge(problem, fitted(problem), None, rows(50))
    assert "cannot be told" in doubt


def test_the_gate_keeps_the_explanation_and_hands_on_the_doubts() -> None:
    problem = define()
    champion = fitted(problem)
    turned = rows()
    turned["y"] = -turned["y"]
    challenger = fitted(problem, turned)
    ref = DataRef(problem="things", path=Path(), version=0, sha256="0" * 64, n_rows=1, until=UNTIL)
    data = ref.model_copy(update={"path": Path(explain.kept_path(champion)).parents[2] / "data"})
    first = experiment.judge(problem, data, champion, None)
    assert first.promoted and first.doubts == ()
    kept = Explanation.model_validate_json(explain.kept_path(champion).read_text())
    assert kept.features[0].name == "rises"
    found = experiment.judge(problem, data, challenger, as_model(champion))
    assert found.doubts
    assert not found.promoted


def test_a_counterfactual_may_change_features_only() -> None:
    problem = define(interpretation__may_change=["rises", "kinds"])
    (fault,) = cross_checks(problem)
    assert fault[0] == ("interpretation", "may_change", 1)
    assert fault[3] == "did you mean kind?"
    with pytest.raises(ValidationError):
        Interpretation(ndcg_below=1.5)
